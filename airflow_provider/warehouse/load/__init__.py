"""A file into a table: staged, checked and written in one transaction."""
