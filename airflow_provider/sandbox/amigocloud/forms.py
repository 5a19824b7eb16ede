"""Forms: the JSON of values in rows, which the vendor's docs leave open."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider.sandbox.amigocloud.switches import Switches

Form = Callable[[Any], Any]

_JSON = ("unknown(114)", "unknown(3802)")
"""Types json and jsonb, as the API reports them: by PostgreSQL's number."""


def shown_rows(
    switches: Switches, columns: Sequence[Mapping[str, Any]], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of a page with their values in the forms that the switches choose."""
    forms = {column["name"]: form for column in columns if (form := _form_of(switches, column["type"]))}
    if switches.array_form == "text":
        forms |= {column["name"]: _array for column in columns if column["name"] not in forms}
    if not forms:
        return rows
    return [
        {name: forms[name](value) if name in forms else value for name, value in row.items()} for row in rows
    ]


def _form_of(switches: Switches, kind: str) -> Form | None:
    if kind == "number" and switches.number_form == "text":
        return _unless_null(str)
    if kind == "boolean" and switches.boolean_form == "text":
        return _unless_null(lambda value: "t" if value else "f")
    if kind == "datetime" and switches.time_form == "T":
        return _unless_null(lambda value: str(value).replace(" ", "T", 1))
    if kind in _JSON and switches.json_form == "text":
        return _unless_null(json.dumps)
    if kind == "geometry" and switches.empty_geometry == "text":
        return lambda value: "" if value is None else value
    return None


def _unless_null(form: Form) -> Form:
    return lambda value: None if value is None else form(value)


def _array(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return "{" + ",".join("NULL" if item is None else str(item) for item in value) + "}"
