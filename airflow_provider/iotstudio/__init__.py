"""Altair IoT Studio: Things, their properties, history and actions."""
