"""Property values exchanged with an MQTT broker."""
