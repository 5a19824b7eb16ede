"""Watchers of changes, shared by all triggers of a process."""
