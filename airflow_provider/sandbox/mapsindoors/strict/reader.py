"""Reader: a JSON body as a list of models, with the errors of ASP.NET Core's two JSON readers."""

from __future__ import annotations

import json
import math
from typing import Any

from airflow_provider.sandbox.mapsindoors.responses import RequestError
from airflow_provider.sandbox.mapsindoors.strict.models import (
    BOOLEAN,
    COORDINATE,
    INT32,
    INTEGER,
    NUMBER,
    SCALARS,
    TEXT,
    Coordinates,
    ListOf,
    MapOf,
    Model,
    Scalar,
)
from airflow_provider.sandbox.mapsindoors.switches import Switches

SPECIAL = frozenset(". '/\"[]()\t\n\r\f\b\\\u0085\u2028\u2029")
"""Characters for which a path quotes a key."""


class _TypeError(Exception):
    """The end of the reading: the reader reports the first error only."""


def parse(body: bytes, *, unique_keys: bool) -> Any:
    """Return a body's JSON.

    :param unique_keys: refuse an object with the same key twice, of which the last value counts otherwise.
    :raises RequestError: when the body is not JSON.
    """

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if unique_keys and len(found) < len(members):
            names = [name for name, _ in members]
            twice = next(name for name in names if names.count(name) > 1)
            raise RequestError(400, errors={"$": [f"Duplicate property '{twice}' encountered."]})
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(body.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError):
        raise RequestError(400, errors={"$": ["The body is not JSON."]}) from None


def read_models(items: list[Any], kind: Any, switches: Switches) -> list[Any]:
    """Return items of a body as their type has them.

    :param kind: the type of each item.
    :raises RequestError: with the path of the first value of another type, or of each of them.
    """
    reader = _Reader(switches)
    try:
        read = [reader.read(kind, item, [index]) for index, item in enumerate(items)]
    except _TypeError:
        read = []
    if reader.errors:
        raise RequestError(400, errors=reader.errors)
    return read


class _Reader:
    """Reader of values as their types; ``errors`` has messages by path."""

    def __init__(self, switches: Switches) -> None:
        self.errors: dict[str, list[str]] = {}
        self._newtonsoft = switches.json_reader == "newtonsoft"
        self._quoted_numbers = switches.numbers_in_text or self._newtonsoft

    def read(self, kind: Any, value: Any, path: list[str | int]) -> Any:
        """Return a value as its type; add an error when it has another one."""
        if isinstance(kind, Scalar):
            return self._scalar(kind, value, path)
        if isinstance(kind, Coordinates):
            if isinstance(value, list):
                return [self.read(kind, item, [*path, index]) for index, item in enumerate(value)]
            return None if len(path) == 3 and value is None else self._scalar(COORDINATE, value, path)
        if value is None and len(path) > 1:
            return None
        if isinstance(kind, ListOf):
            if not isinstance(value, list):
                return self._refuse(kind.name, value, path)
            return [self._item(kind, item, [*path, index]) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return self._refuse(kind.name, value, path)
        if isinstance(kind, MapOf):
            return {name: self.read(kind.inner, item, [*path, name]) for name, item in value.items()}
        return self._model(kind, value, path)

    def _item(self, kind: ListOf, value: Any, path: list[str | int]) -> Any:
        if value is None:
            return self._refuse(getattr(kind.inner, "name", "item"), value, path)
        return self.read(kind.inner, value, path)

    def _model(self, kind: Model, value: dict[str, Any], path: list[str | int]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, item in value.items():
            field = kind.field_of(name)
            out[field or name] = self.read(kind.fields[field], item, [*path, field]) if field else item
        return out

    def _scalar(self, kind: Scalar, value: Any, path: list[str | int]) -> Any:
        if value is None and kind.nullable:
            return None
        found = self._converted(kind, value)
        fits = isinstance(found, SCALARS[kind]) and isinstance(found, bool) == (kind is BOOLEAN)
        if not fits or (kind is INTEGER and found not in INT32):
            return self._refuse(kind.name, value, path)
        return found

    def _converted(self, kind: Scalar, value: Any) -> Any:
        """Return a value of another type in the form in which the reader accepts it."""
        if kind in {INTEGER, NUMBER, COORDINATE} and isinstance(value, str) and self._quoted_numbers:
            return _number(value, whole=kind is INTEGER)
        if not self._newtonsoft:
            return value
        if kind is TEXT and isinstance(value, (bool, int, float)):
            return json.dumps(value)
        if kind is BOOLEAN and isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        return bool(value) if kind is BOOLEAN and isinstance(value, int) else value

    def _refuse(self, name: str, value: Any, path: list[str | int]) -> Any:
        where = _path(path)
        if self._newtonsoft:
            shown = json.dumps(value)[:80]
            text = f"Error converting value {shown} to type '{name}'. Path '{where}', line 1."
            self.errors.setdefault(where, []).append(text)
            return value
        text = f"The JSON value could not be converted to {name}. Path: ${where} | LineNumber: 0."
        self.errors[f"${where}"] = [text]
        raise _TypeError


def _number(text: str, *, whole: bool) -> Any:
    try:
        found = int(text) if whole else float(text)
    except ValueError:
        return text
    return found if text.isascii() and "_" not in text and math.isfinite(found) else text


def _path(steps: list[str | int]) -> str:
    """Return a path of a body: ``[0].aliases[1]``, and a key with blanks as ``['a key']``."""
    out = ""
    for step in steps:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += f"['{step}']" if SPECIAL & set(step) else f".{step}"
    return out
