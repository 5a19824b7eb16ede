"""Files on any object storage: readers of rows, atomic files, formats, writers and manifests."""
