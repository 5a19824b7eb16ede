"""Integration API runs: submitted, waited for, classified."""
