"""SQL on a PostgreSQL server with PostGIS: a database and a restricted role for each sandbox."""
