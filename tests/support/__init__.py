"""Test helpers: fakes, runners and searches that several test modules use."""
