"""Columns of a source and of a table: names, types, and values as texts."""
