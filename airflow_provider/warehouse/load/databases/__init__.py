"""Databases of loads: what each of them does in its own way."""
