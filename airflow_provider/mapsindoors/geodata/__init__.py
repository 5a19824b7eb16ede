"""Geodata: geometry, rows, comparison, batches."""
