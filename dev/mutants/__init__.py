"""Mutation score: change the code in small ways, and see whether a test fails. `make mutants` runs it."""
