"""Tools to try and test the provider on one machine; no part of the package."""
