"""Strictness of the emulated API: typed models, and rules of texts, dates and polygons."""
