"""Exports of Things and of their history."""
