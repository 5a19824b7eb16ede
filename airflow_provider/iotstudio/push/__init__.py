"""Property values that the service pushes over MQTT."""
