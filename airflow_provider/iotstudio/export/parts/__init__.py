"""Exports of histories in parts, each of some of the Things."""
