"""Catalogue: display types and categories in step with rows, by a plan that is checked and verified."""
