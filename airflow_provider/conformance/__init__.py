"""Conformance: whether a live service behaves as the provider, and its sandbox, assume."""
