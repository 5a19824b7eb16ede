"""Checks as data, a module for each service and level."""
