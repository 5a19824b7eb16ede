"""Paths of sources: folders of storage, wildcards, names of partitions, and manifests."""
