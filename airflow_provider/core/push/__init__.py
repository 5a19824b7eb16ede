"""Push: values from a message broker, instead of polls."""
