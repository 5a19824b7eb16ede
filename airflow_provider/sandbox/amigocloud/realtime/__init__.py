"""Realtime events: Engine.IO over WebSockets and HTTP polling."""
