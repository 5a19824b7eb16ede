"""Engines: what runs the SQL of an account, chosen when the sandbox starts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from airflow_provider.sandbox.amigocloud.sql.sqlite import SqliteStore
from airflow_provider.sandbox.amigocloud.sql.store import Dataset, Engine, Seed, Store
from airflow_provider.sandbox.service import StartError

_NO_DRIVER = "AmigoCloud's SQL on PostgreSQL needs the driver psycopg: pip install 'psycopg[binary]'"


class SqliteEngine(Engine):
    """The embedded engine: each store is a database in memory.

    :param seed: adds the seeded datasets.
    :param now: returns the value of ``now()``, in the format of rows.
    """

    def __init__(self, seed: Seed, now: Callable[[], str]) -> None:
        self.seed = seed
        self.now = now
        self.store: SqliteStore | None = None

    def new_store(self) -> Store:
        """Return a store with the seeded datasets, which are made once in a process."""
        self.close()
        self.store = SqliteStore(_content(self.seed), self.now)
        return self.store

    def close(self) -> None:
        """Free the memory of the last store."""
        if self.store is not None:
            self.store.close()
            self.store = None


@cache
def _content(seed: Seed) -> tuple[bytes, dict[int, Dataset]]:
    store = SqliteStore(None, str)
    seed(store)
    content = store.dump()
    store.close()
    return content


def open_engine(url: str, seed: Seed, now: Callable[[], str], ahead: Callable[[], float]) -> Engine:
    """Return the engine of an account: PostgreSQL when there is an address, else the embedded one.

    :param url: address of a PostgreSQL server; empty for the embedded engine.
    :param seed: adds the seeded datasets to a store.
    :param now: returns the sandbox's time in the format of rows.
    :param ahead: returns the seconds by which the sandbox's clock is ahead of the real time.
    :raises StartError: when the server cannot be used.
    """
    if not url:
        return SqliteEngine(seed, now)
    try:
        from airflow_provider.sandbox.amigocloud.sql.postgres.engine import PostgresEngine
    except ImportError as error:
        if not str(error.name or "psycopg").startswith("psycopg"):
            raise
        raise StartError(_NO_DRIVER) from None
    return PostgresEngine(url, seed, ahead)
