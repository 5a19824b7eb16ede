"""Syncs: a plan executed and verified."""
