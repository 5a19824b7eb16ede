"""Exports of one dataset in parts, all of them in one state."""
