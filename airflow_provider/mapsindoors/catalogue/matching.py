"""Matching: rows with the display types or categories of a solution, and the changes that they need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider.core.input.values import normal_key, shown
from airflow_provider.core.json_types import Json
from airflow_provider.errors import shorten
from airflow_provider.mapsindoors.catalogue.compare import complete, differences, rules_by_name
from airflow_provider.mapsindoors.catalogue.document import Change, Plan, entry_hash
from airflow_provider.mapsindoors.catalogue.entries import Catalogue, folded
from airflow_provider.mapsindoors.catalogue.kinds import Kind
from airflow_provider.mapsindoors.catalogue.renames import renamed_ids, rivals, stages
from airflow_provider.mapsindoors.catalogue.rows import DesiredEntry, name_problems, rule_problems
from airflow_provider.mapsindoors.geodata import diff

_SWAPPED = (
    ", which itself waits for a name that another row is to free; names are swapped in two runs:"
    " first give one a third name"
)


class Matching:
    """Rows matched with the entries of a catalogue.

    :param rows: the rows; problems that only the catalogue shows are added to them.
    :param catalogue: the display types or categories.
    """

    def __init__(self, rows: Sequence[DesiredEntry], catalogue: Catalogue) -> None:
        self._kind = catalogue.kind
        self._by_id = catalogue.by_id
        self._catalogue = catalogue
        self._folded_ids = set(map(folded, catalogue.by_id))
        self._first: dict[str, DesiredEntry] = {}
        self._renamed = {row.object_id for row in rows if self._is_renamed(row)}
        for row in rows:
            row.problems += self._match(row)
        self._report_twins(rows)

    def _is_renamed(self, row: DesiredEntry) -> bool:
        """Return whether a row has the id of an entry whose name another row may then have."""
        found = self._by_id.get(row.object_id) if row.key and not row.problems else None
        return found is not None and folded(self._kind.key_of(found)) != folded(row.key)

    def _match(self, row: DesiredEntry) -> Iterator[str]:
        noun, name = self._kind.noun, self._kind.key
        with_key = [one for one in self._catalogue.ids_with(row.key) if one not in self._renamed]
        if row.object_id and row.object_id not in self._by_id:
            yield f"there is no {noun} with id {row.object_id[:60]}"
        elif not row.object_id and len(with_key) > 1:
            ids = ", ".join(shorten(with_key, 5))
            yield f"{name} {shown(row.key)} is that of {len(with_key)} {self._kind.plural}: {ids}"
        elif not row.object_id and with_key:
            row.object_id = with_key[0]
        for value in filter(None, (row.object_id, f"{name} {row.key}" if row.key else "")):
            first = self._first.setdefault(value, row)
            if first is not row:
                yield f"is about the same {noun} as row {first.number} ({first.key or value})"
                return

    def _report_twins(self, rows: Sequence[DesiredEntry]) -> None:
        """Report new names that are those of other entries, or differ from them in case only.

        A row of geodata names display types and categories without case.
        """
        owners: dict[str, list[tuple[str, str, DesiredEntry | None]]] = {}
        rows_by_id = {row.object_id: row for row in reversed(rows) if row.object_id}
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
            row.problems += self._unusable(row)
            for key, where, other in owners[folded(row.key)]:
                if other is not row:
                    row.problems.append(self._twin_problem(row, key, where))
                    break

    def _unusable(self, row: DesiredEntry) -> Iterator[str]:
        """Yield why rows of geodata could not name an entry by its new name or key."""
        name, noun = self._kind.key, self._kind.noun
        if self._kind.key == "key" and ";" in row.key:
            yield f"{name} {shown(row.key)} has a semicolon, which separates keys in rows of geodata"
        for other in {folded(row.key)} & self._folded_ids:
            yield f"{name} {shown(row.key)} is the id of {noun} {other}, which rows of geodata name by it"

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
    plan: Plan, rows: Sequence[DesiredEntry], catalogue: Catalogue, languages: Sequence[str]
) -> None:
    """Add to a plan what brings a catalogue in step with rows.

    :param plan: the plan.
    :param rows: the matched rows; problems that only the result shows are added to them.
    :param catalogue: the display types or categories.
    :param languages: the languages in which each needs a name.
    """
    plan.compared = len(catalogue.by_id)
    pairs: list[tuple[DesiredEntry, Change]] = []
    for row in rows:
        found = catalogue.by_id.get(row.object_id, {})
        change = _change(row, found, catalogue.kind)
        if not row.problems:
            row.problems += _problems_after(catalogue.kind, row, found, languages, bool(change.fields))
        if row.problems:
            continue
        if change.fields or not found:
            pairs.append((row, change))
        else:
            plan.unchanged += 1
    changes = _without_rivals(pairs, catalogue)
    plan.changes += [one for stage in stages(changes, catalogue)[0] for one in stage]
    plan.changes.sort(key=lambda change: change.operation, reverse=True)
    for row in rows:
        if row.problems:
            key = row.key or catalogue.kind.key_of(catalogue.by_id.get(row.object_id, {})) or row.object_id
            plan.failed.append({"row": row.number, "key": key, "reasons": list(map(str, row.problems))})


def _change(row: DesiredEntry, found: Json, kind: Kind) -> Change:
    different = differences(row.fields, found)
    if not found:
        return Change("create", row.key, "", row.number, different, row.fields)
    key = row.key or kind.key_of(found)
    return Change("update", key, row.object_id, row.number, different, row.fields, entry_hash(found))


def _without_rivals(pairs: list[tuple[DesiredEntry, Change]], catalogue: Catalogue) -> list[Change]:
    """Return the changes whose names are free; the rows of the others get the problem."""
    name, noun = catalogue.kind.key, catalogue.kind.noun
    while True:
        changes = [change for _, change in pairs]
        renamed = renamed_ids(changes, catalogue)
        waiting = set(map(id, stages(changes, catalogue)[1]))
        for row, change in pairs:
            what = f"{name} {shown(change.key)} is that of {noun}"
            if others := rivals(change, catalogue, renamed):
                row.problems.append(f"{what} {others[0]}, whose row is left out")
            elif id(change) in waiting:
                owner = catalogue.ids_like(change.key)[0]
                row.problems.append(f"{what} {owner}{_SWAPPED}")
        if not any(row.problems for row, _ in pairs):
            return changes
        pairs = [(row, change) for row, change in pairs if not row.problems]


def _problems_after(
    kind: Kind, row: DesiredEntry, found: Json, languages: Sequence[str], is_different: bool
) -> Iterator[str]:
    """Yield what would be wrong with an entry after its write."""
    if row.fields.get("displayRules") == {} and found.get("displayRules"):
        yield (
            f"displayRules is empty, but a row changes only the rules that it names, and the {kind.noun} has"
            " some; leave displayRules out, or remove the rules in the CMS"
        )
    if found and not is_different:
        return
    after = complete(row.fields, found)
    if found:
        yield from diff.doubled_keys(row.fields.get("properties") or {}, found.get("properties") or {})
        own = row.fields.get("displayRules") or {}
        yield from rule_problems({name: rule for name, rule in rules_by_name(after).items() if name in own})
    yield from name_problems(kind, after, languages)
