"""Sync: bring a fleet's Things in step with rows, by a plan that is checked, applied and verified."""
