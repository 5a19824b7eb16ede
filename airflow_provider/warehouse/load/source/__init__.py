"""Source of a load: files on local disk, read as batches of columns."""
