"""Engine on PostgreSQL: one database for a sandbox, put back to the seeded rows by a reset."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from psycopg.sql import SQL, Identifier

from airflow_provider.sandbox.amigocloud.sql.postgres import schema
from airflow_provider.sandbox.amigocloud.sql.postgres.address import read_address
from airflow_provider.sandbox.amigocloud.sql.postgres.database import Database
from airflow_provider.sandbox.amigocloud.sql.postgres.store import PostgresStore
from airflow_provider.sandbox.amigocloud.sql.store import Dataset, Engine, Seed, Store


class PostgresEngine(Engine):
    """A database on a server, with a store that a reset replaces.

    :param url: address of the server.
    :param seed: adds the seeded datasets to a store.
    :param ahead: returns the seconds by which the sandbox's clock is ahead of the real time.
    :raises StartError: when the server cannot be used.
    """

    def __init__(self, url: str, seed: Seed, ahead: Callable[[], float]) -> None:
        self.database = Database(read_address(url))
        self.database.create()
        self._ahead = ahead
        self._store = PostgresStore(self.database, {}, ahead)
        try:
            seed(self._store)
            self._seeded: dict[int, Dataset] = deepcopy(self._store.datasets)
            for dataset in self._seeded.values():
                schema.keep_seeded(self.database.owner(), dataset)
        except BaseException:
            self.database.remove()
            raise
        self._store.touched.clear()

    def new_store(self) -> Store:
        """Return a store with the seeded datasets: those that have changed are made again."""
        with self._store.lock:
            db = self.database.owner()
            with db.transaction():
                for number in self._store.touched:
                    if number in self._store.datasets:
                        schema.drop(db, number)
                    if seeded := self._seeded.get(number):
                        schema.create(db, seeded, schema.seeded_query(seeded), self.database.role)
                db.execute(SQL("ALTER SEQUENCE kept.{} RESTART").format(Identifier("uuids")))
            self._store = PostgresStore(self.database, deepcopy(self._seeded), self._ahead)
        return self._store

    def before_fork(self) -> None:
        """Close the connections to the database, as it cannot be copied while one is open."""
        self.database.disconnect()

    def after_fork(self, member: int) -> None:
        """Use a copy of the database."""
        self.database = self._store.database = self.database.copy(member)

    def close(self) -> None:
        """Remove the database."""
        self.database.remove()
