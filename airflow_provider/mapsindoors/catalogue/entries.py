"""Entries: the display types or categories of a solution, by id and name."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider.core.input.values import normal_key
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.catalogue.kinds import Kind


def folded(key: str) -> str:
    """Return a name or key in the form in which rows of geodata name it."""
    return normal_key(key).lower()


class Catalogue:
    """The display types or categories of a solution, by id and key.

    :param kind: what they are.
    :param entries: all of them.
    """

    def __init__(self, kind: Kind, entries: Iterable[Json]) -> None:
        self.kind = kind
        self.by_id = {entry["id"]: entry for entry in entries}
        self._alike: dict[str, list[str]] = {}
        for one, entry in self.by_id.items():
            self._alike.setdefault(folded(kind.key_of(entry)), []).append(one)

    def ids_like(self, key: str) -> list[str]:
        """Return the ids of the entries with a name or key, whatever its case."""
        return self._alike.get(folded(key), []) if key else []

    def ids_with(self, key: str) -> list[str]:
        """Return the ids of the entries with a name or key."""
        wanted = normal_key(key)
        return [one for one in self.ids_like(key) if normal_key(self.kind.key_of(self.by_id[one])) == wanted]
