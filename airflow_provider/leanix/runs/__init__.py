"""Runs: submitted, waited for, classified."""
