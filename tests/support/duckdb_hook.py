"""Hook of DuckDB for tests: there is no maintained provider. Use it by the connection type ``duckdb``."""

from __future__ import annotations

from typing import Any

import duckdb
from airflow.providers.common.sql.hooks.sql import DbApiHook


class DuckDbHook(DbApiHook):
    """DuckDB file that a connection's host names."""

    conn_name_attr = "duckdb_conn_id"
    conn_type = "duckdb"
    placeholder = "?"

    def get_conn(self) -> Any:
        """Open the file."""
        return duckdb.connect(self.get_connection(self.get_conn_id()).host)
