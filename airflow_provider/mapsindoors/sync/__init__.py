"""Sync: make a plan, execute it in batches, and verify the result."""
