"""SQL of PostgreSQL as the service reads it: tokens, and what a statement does."""
