"""The service's real-time connection (Engine.IO 3)."""
