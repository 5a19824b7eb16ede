"""Sync: bring a dataset in step with rows, by a plan that is checked, applied and verified."""
