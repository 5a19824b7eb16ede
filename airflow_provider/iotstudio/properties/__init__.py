"""Property writes."""
