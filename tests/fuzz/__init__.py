"""Fuzz targets: what the provider reads. ``make fuzz`` searches, the unit tests replay what was found."""
