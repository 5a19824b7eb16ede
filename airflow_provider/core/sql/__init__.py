"""SQL: rows of a query on any Airflow connection to a database."""
