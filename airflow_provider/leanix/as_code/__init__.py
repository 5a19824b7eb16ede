"""Processor configurations as code: compared with the stored ones, and written."""
