"""Route handlers of the IoT Studio API."""
