"""Syncs of rows with a service: what plans, limits, pages and reports of all of them share."""
