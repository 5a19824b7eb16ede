"""Exports of datasets and queries."""
