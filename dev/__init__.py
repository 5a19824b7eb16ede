"""Development tools: run and test the provider on one machine; not part of the package."""
