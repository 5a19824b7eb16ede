"""Comparison: the fields that a row owns with a display type or category, and what is then sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.input.values import normal_key
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import diff
from airflow_provider.mapsindoors.geodata.diff import is_empty

Differences = dict[str, list[Any]]


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Differences:
    """Return the differences between the fields that a row owns and an entry: path to ``[found, wanted]``.

    Absent, null, an empty text and an empty list are equal; property keys and languages have no case, aliases
    no order. Of a display rule, its members are compared that the row has.

    :param wanted: the fields that the row owns.
    :param found: the display type or category.
    """
    plain = {
        name: value
        for name, value in wanted.items()
        if name != "displayRules" and not isinstance(_own_spelling(name, value, found), str)
    }
    names = plain.pop("name") if isinstance(plain.get("name"), dict) else {}
    out = {path: list(pair) for path, pair in diff.differences(plain, found).items()}
    out |= _named(names, found.get("name"))
    there = rules_by_name(found)
    for rule, members in (wanted.get("displayRules") or {}).items():
        out |= _inner(f"displayRules.{rule}", members, there.get(rule, {}))
        if rule not in there and not members:
            out[f"displayRules.{rule}"] = [None, {}]
    return out


def _own_spelling(name: str, value: Any, found: Mapping[str, Any]) -> str | None:
    """Return the name or key of an entry in its own spelling, when it is that of the row."""
    there = found.get(name)
    if name not in ("name", "key") or not isinstance(value, str) or not isinstance(there, str):
        return None
    return there if normal_key(there) == value else None


def _named(wanted: Mapping[str, Any], found: Any) -> Differences:
    """Return the differences of names by language."""
    names = found if isinstance(found, dict) else {}
    there = {str(language).lower(): text for language, text in names.items()}
    return {
        f"name.{language}": [there.get(language.lower()), text]
        for language, text in wanted.items()
        if not _same(text, there.get(language.lower()))
    }


def _inner(path: str, wanted: Mapping[str, Any], found: Any) -> Differences:
    out: Differences = {}
    there = found if isinstance(found, dict) else {}
    for name, value in wanted.items():
        if isinstance(value, dict):
            out |= _inner(f"{path}.{name}", value, there.get(name))
        elif value is not None and not _same(value, there.get(name)):
            out[f"{path}.{name}"] = [there.get(name), value]
    return out


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, bool) != isinstance(found, bool):
        return is_empty(wanted) and is_empty(found)
    return bool(wanted == found) or (is_empty(wanted) and is_empty(found))


def rules_by_name(entry: Mapping[str, Any]) -> dict[str, Json]:
    """Return the display rules of an entry by their names."""
    return {str(rule.get("name")): rule for rule in entry.get("displayRules") or ()}


def complete(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Json:
    """Return an entry as it is sent: with everything that the row does not own, unchanged.

    The vendor's docs do not say whether an update keeps the fields and members that it does not name.

    :param wanted: the fields that the row owns.
    :param found: the display type or category as the service returned it; empty for a new one.
    """
    out: Json = {**found}
    for name, value in wanted.items():
        if name == "displayRules":
            out[name] = _complete_rules(value, found)
        elif name == "name" and isinstance(value, dict):
            there = found.get(name) or {}
            spellings = {str(language).lower(): language for language in there}
            out[name] = {
                **there,
                **{spellings.get(language.lower(), language): text for language, text in value.items()},
            }
        elif value is not None and _own_spelling(name, value, found) is None:
            out[name] = diff.complete_value(name, value, found.get(name))
    return out


def _complete_rules(wanted: Mapping[str, Json], found: Mapping[str, Any]) -> list[Json]:
    rules = [_merged(rule, wanted.get(str(rule.get("name")), {})) for rule in found.get("displayRules") or ()]
    there = rules_by_name(found)
    return rules + [_merged({"name": name}, one) for name, one in wanted.items() if name not in there]


def _merged(found: Any, wanted: Mapping[str, Any]) -> Json:
    out: Json = dict(found) if isinstance(found, dict) else {}
    for name, value in wanted.items():
        if isinstance(value, dict):
            out[name] = _merged(out.get(name), value)
        elif value is not None:
            out[name] = value
    return out
