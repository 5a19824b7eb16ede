"""Comparison: rows with the display types or categories of a solution, planned as writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.core.input.values import normal_key, shown
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.catalogue.document import Change, Plan, entry_hash
from airflow_provider.mapsindoors.catalogue.kinds import Kind
from airflow_provider.mapsindoors.catalogue.rows import DesiredEntry, name_problems, rule_problems
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
    there = _rules_by_name(found)
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


def _rules_by_name(entry: Mapping[str, Any]) -> dict[str, Json]:
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
    there = _rules_by_name(found)
    return rules + [_merged({"name": name}, one) for name, one in wanted.items() if name not in there]


def _merged(found: Any, wanted: Mapping[str, Any]) -> Json:
    out: Json = dict(found) if isinstance(found, dict) else {}
    for name, value in wanted.items():
        if isinstance(value, dict):
            out[name] = _merged(out.get(name), value)
        elif value is not None:
            out[name] = value
    return out


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

    def ids_with(self, key: str) -> list[str]:
        """Return the ids of the entries with a name or key."""
        wanted = normal_key(key)
        return [one for one, entry in self.by_id.items() if normal_key(self.kind.key_of(entry)) == wanted]


class Matching:
    """Rows matched with the entries of a catalogue.

    :param rows: the rows; problems that only the catalogue shows are added to them.
    :param catalogue: the display types or categories.
    """

    def __init__(self, rows: Sequence[DesiredEntry], catalogue: Catalogue) -> None:
        self._kind = catalogue.kind
        self._by_id = catalogue.by_id
        self._ids: dict[str, list[str]] = {}
        for object_id, entry in catalogue.by_id.items():
            if key := normal_key(self._kind.key_of(entry)):
                self._ids.setdefault(key, []).append(object_id)
        self._first: dict[str, DesiredEntry] = {}
        for row in rows:
            row.problems += self._match(row)
        self._report_twins(rows)

    def _match(self, row: DesiredEntry) -> Iterator[str]:
        noun, name = self._kind.noun, self._kind.key
        with_key = self._ids.get(row.key, []) if row.key else []
        if row.object_id and row.object_id not in self._by_id:
            yield f"there is no {noun} with id {row.object_id[:60]}"
        elif not row.object_id and len(with_key) > 1:
            ids = ", ".join(with_key[:5])
            yield f"{name} {shown(row.key)} is that of {len(with_key)} {self._kind.plural}: {ids}"
        elif not row.object_id and with_key:
            row.object_id = with_key[0]
        for value in filter(None, (row.object_id, f"{name} {row.key}" if row.key else "")):
            first = self._first.setdefault(value, row)
            if first is not row:
                yield f"is about the same {noun} as row {first.number} ({row.key or value})"
                return

    def _report_twins(self, rows: Sequence[DesiredEntry]) -> None:
        """Report new names that are those of other entries, or differ from them in case only.

        A row of geodata names display types and categories without case.
        """
        owners: dict[str, list[tuple[str, str, DesiredEntry | None]]] = {}
        rows_by_id = {row.object_id: row for row in rows if row.object_id}
        for object_id, entry in self._by_id.items():
            row = rows_by_id.get(object_id)
            key = row.key if row is not None and row.key else self._kind.key_of(entry)
            owners.setdefault(folded(key), []).append((key, f"{self._kind.noun} {object_id}", row))
        for row in rows:
            if not row.object_id and row.key:
                owners.setdefault(folded(row.key), []).append((row.key, f"row {row.number}", row))
        for row in rows:
            if row.problems or not row.key or not self._is_new_name(row):
                continue
            for key, where, other in owners[folded(row.key)]:
                if other is not row:
                    row.problems.append(self._twin_problem(row, key, where))
                    break

    def _is_new_name(self, row: DesiredEntry) -> bool:
        found = self._by_id.get(row.object_id, {})
        return normal_key(self._kind.key_of(found)) != row.key

    def _twin_problem(self, row: DesiredEntry, key: str, where: str) -> str:
        name = self._kind.key
        if key == row.key:
            return f"{name} {shown(row.key)} is that of {where}, too"
        hint = "write it alike, or give the row the id to rename it"
        return f"{name} {shown(row.key)} differs from {shown(key)} of {where} in case only; {hint}"


def add_changes(
    plan: Plan, rows: Iterable[DesiredEntry], catalogue: Catalogue, languages: Sequence[str]
) -> None:
    """Add to a plan what brings a catalogue in step with rows.

    :param plan: the plan.
    :param rows: the matched rows; problems that only the result shows are added to them.
    :param catalogue: the display types or categories.
    :param languages: the languages in which each needs a name.
    """
    kind = catalogue.kind
    plan.compared = len(catalogue.by_id)
    for row in rows:
        found = catalogue.by_id.get(row.object_id, {})
        different = differences(row.fields, found)
        if not row.problems and (different or not found):
            row.problems += _problems_after(kind, row, found, languages)
        if row.problems:
            plan.failed.append({"row": row.number, "key": row.key, "reasons": list(map(str, row.problems))})
        elif not found:
            plan.changes.append(Change("create", row.key, "", row.number, different, row.fields))
        elif different:
            key = row.key or kind.key_of(found)
            plan.changes.append(
                Change("update", key, row.object_id, row.number, different, row.fields, entry_hash(found))
            )
        else:
            plan.unchanged += 1
    plan.changes.sort(key=lambda change: change.operation)


def _problems_after(kind: Kind, row: DesiredEntry, found: Json, languages: Sequence[str]) -> Iterator[str]:
    """Yield what would be wrong with an entry after its write."""
    after = complete(row.fields, found)
    if found:
        yield from diff.doubled_keys(row.fields.get("properties") or {}, found.get("properties") or {})
        own = row.fields.get("displayRules") or {}
        yield from rule_problems({name: rule for name, rule in _rules_by_name(after).items() if name in own})
    yield from name_problems(kind, after, languages)
