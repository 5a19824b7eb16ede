"""Photos of a dataset's rows, from its galleries into a folder."""
