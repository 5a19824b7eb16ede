"""Kinds: what display types and categories differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider.mapsindoors.geodata.values import plain_key

if TYPE_CHECKING:
    from airflow_provider.core.json_types import Json
    from airflow_provider.mapsindoors.hooks import MapsIndoorsHook


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two lists of a solution.

    :param noun: the word for an entry.
    :param plural: the word for several.
    :param key: the field that names an entry, by which rows are matched.
    :param name_field: the field that has an entry's names.
    :param name_prefix: beginning of a name's member there, before the language.
    :param fields: the fields that a row may have.
    :param read: reads all entries.
    :param create: creates entries, and returns their ids.
    :param update: updates entries.
    """

    noun: str
    plural: str
    key: str
    name_field: str
    name_prefix: str
    fields: tuple[str, ...]
    read: Callable[[MapsIndoorsHook], list[Json]]
    create: Callable[[MapsIndoorsHook, Sequence[Json]], list[str]]
    update: Callable[[MapsIndoorsHook, Sequence[Json]], None]

    def key_of(self, entry: Mapping[str, Any]) -> str:
        """Return the name or key of an entry; empty when it has none."""
        found = entry.get(self.key)
        return found if isinstance(found, str) else ""

    def names_of(self, entry: Mapping[str, Any]) -> dict[str, str]:
        """Return an entry's names by language, in lower case."""
        members = entry.get(self.name_field) or {}
        return {
            plain_key(key)[len(self.name_prefix) :]: text
            for key, text in members.items()
            if isinstance(text, str) and text.strip() and plain_key(key).startswith(self.name_prefix)
        }


DISPLAY_TYPES = Kind(
    "display type",
    "display types",
    key="name",
    name_field="properties",
    name_prefix="name@",
    fields=("id", "name", "aliases", "displayRules", "propertyTemplates", "properties"),
    read=lambda hook: hook.list_display_types(),
    create=lambda hook, items: hook.create_display_types(items),
    update=lambda hook, items: hook.update_display_types(items),
)

CATEGORIES = Kind(
    "category",
    "categories",
    key="key",
    name_field="name",
    name_prefix="",
    fields=("id", "key", "name", "properties"),
    read=lambda hook: hook.list_categories(),
    create=lambda hook, items: hook.create_categories(items),
    update=lambda hook, items: hook.update_categories(items),
)

KINDS: Mapping[str, Kind] = {kind.plural: kind for kind in (DISPLAY_TYPES, CATEGORIES)}
