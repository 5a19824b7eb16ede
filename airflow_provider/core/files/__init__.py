"""Rows and bytes in files of any object storage."""
