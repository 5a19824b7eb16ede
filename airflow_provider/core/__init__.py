"""Shared parts of the four vendors' packages; nothing in here knows a vendor's name."""
