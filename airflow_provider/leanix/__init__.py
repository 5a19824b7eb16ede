"""LeanIX: start Integration API runs, wait for them, and download their results."""
