"""Reports: a page about an exported file, made of the rows while they are written."""
