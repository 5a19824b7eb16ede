"""Descriptions of Things: validated, created once, updated field by field."""
