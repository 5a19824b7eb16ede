"""Geodata: geometry, rows, validation, differences, snapshots, batches, export."""
