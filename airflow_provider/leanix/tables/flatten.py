"""Flattening: the items of a type as rows, with one column for each path to a value."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from airflow_provider.core.files.parquet import json_text
from airflow_provider.errors import IncompleteExportError

MAX_COLUMNS = 1600
"""Maximum columns of a type; objects whose keys are data, such as ids, would make one for each key."""

_OWN = ("id", "type")
"""Columns that every table has, first of all."""

_NULL, _BOOLEAN, _SMALL, _INTEGER, _NUMBER, _TEXT, _OTHER = (1 << n for n in range(7))

_BITS: Mapping[type, int] = {type(None): _NULL, bool: _BOOLEAN, float: _NUMBER, str: _TEXT}

_EXACT_IN_FLOAT = 2**53
"""Greatest integer up to which a float holds all integers."""

_INT64_END = 2**63


class Column(NamedTuple):
    """A column of a table.

    :param key: its name in spooled rows.
    :param name: its name in the table.
    :param kind: ``boolean``, ``integer``, ``number``, ``text`` or ``json``, the JSON text of any value.
    """

    key: str
    name: str
    kind: str


class _Node:
    """A key of an object, below those that lead to it."""

    __slots__ = ("bits", "children", "key")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.bits = 0
        self.key = ""


class Shape:
    """Columns of one type, found while its items are flattened.

    :param type_name: the type, for errors.
    """

    def __init__(self, type_name: str) -> None:
        self._type = type_name
        self._root = _Node()
        self._count = 0

    def row(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of an item's data by the keys of their columns; nulls are left out.

        :raises IncompleteExportError: when there are too many columns.
        """
        found: dict[str, Any] = {}
        self._walk(self._root, data, found)
        return found

    def _walk(self, above: _Node, data: Mapping[str, Any], found: dict[str, Any]) -> None:
        children = above.children
        for name, value in data.items():
            node = children.get(name)
            if node is None:
                node = children[name] = self._new_node(above)
            kind = type(value)
            if kind is dict and value:
                self._walk(node, value, found)
                continue
            if not node.key:
                self._count += 1
                node.key = f"{self._count}"
            if value is None or kind is dict:
                node.bits |= _NULL
                continue
            node.bits |= _bit_of_integer(value) if kind is int else _BITS.get(kind, _OTHER)
            found[node.key] = value

    def _new_node(self, above: _Node) -> _Node:
        if self._count >= MAX_COLUMNS or len(above.children) >= MAX_COLUMNS:
            path, keys = self._widest()
            raise IncompleteExportError(
                f"items of type '{self._type[:100]}' have more than {MAX_COLUMNS} columns when they are"
                f" flattened: the object '{path[:200]}' has {keys} different keys; write LDIF or JSON Lines,"
                " with the path of a file instead of a folder"
            )
        return _Node()

    def _widest(self) -> tuple[str, int]:
        """Return the path of the object with the most keys, and their number."""
        objects = [((), self._root), *_nodes(self._root)]
        path, node = max(objects, key=lambda found: len(found[1].children))
        return ".".join(("data", *path)), len(node.children)

    def columns(self) -> list[Column]:
        """Return the columns in the order in which the items have them first.

        A path that is only ever null is no column when it is an object in other items.
        """
        paths = [
            (path, node)
            for path, node in _nodes(self._root)
            if node.key and not (node.bits == _NULL and node.children)
        ]
        names = column_names([path for path, _ in paths])
        return [
            Column(node.key, name, _kind(node.bits)) for name, (_, node) in zip(names, paths, strict=True)
        ]


def _nodes(above: _Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Node]]:
    for name, node in above.children.items():
        yield (*path, name), node
        yield from _nodes(node, (*path, name))


def _bit_of_integer(value: int) -> int:
    if -_EXACT_IN_FLOAT <= value <= _EXACT_IN_FLOAT:
        return _SMALL
    return _INTEGER if -_INT64_END <= value < _INT64_END else _OTHER


def _kind(bits: int) -> str:
    """Return the kind of a column whose values have these bits; mixed values are ``json``."""
    bits &= ~_NULL
    if not bits or bits == _TEXT:
        return "text"
    if bits == _BOOLEAN:
        return "boolean"
    if not bits & ~(_SMALL | _INTEGER):
        return "integer"
    # A float would round integers beyond 2^53.
    return "number" if not bits & ~(_SMALL | _NUMBER) else "json"


def column_names(paths: list[tuple[str, ...]]) -> list[str]:
    """Return the names of columns: the keys of the path, joined by dots.

    A name that is empty, or ``id`` or ``type`` in any case, gets ``data.`` before it. Names that are equal
    apart from their case each get ``~`` and a hash of their path, so that none of them stands for another.

    :param paths: the keys that lead to each value.
    """
    bases = [_base_name(path) for path in paths]
    counts = Counter(base.casefold() for base in bases)
    names = bases
    # A key may end in such a hash itself, then more of its digits tell the names apart.
    for digits in range(6, 66, 6):
        if len({name.casefold() for name in names}) == len(names):
            break
        names = [
            base if counts[base.casefold()] == 1 else f"{base}~{_digest(path)[:digits]}"
            for path, base in zip(paths, bases, strict=True)
        ]
    return names


def _base_name(path: tuple[str, ...]) -> str:
    name = ".".join(path)
    return f"data.{name}" if name.casefold() in _OWN or not name.strip() else name


def _digest(path: tuple[str, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(path)).hexdigest()


def cell(value: Any, kind: str) -> Any:
    """Return a value as a column of a kind holds it in CSV and JSON Lines."""
    return json_text(value) if kind == "json" and value is not None else value
