"""Desired state: read the rows of a source, and match them with a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, is_query, read_source
from airflow_provider.core.input.conditions import refuse_rendered_list
from airflow_provider.core.input.values import shown
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError, shorten
from airflow_provider.mapsindoors.geodata import details, validation
from airflow_provider.mapsindoors.geodata.diff import NESTED
from airflow_provider.mapsindoors.geodata.rows import (
    KNOWN_COLUMNS,
    OF_SERVICE,
    ColumnProblem,
    PropertyLanguages,
    RowReader,
    collect_problems,
    flatten_with,
)
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, key_of, read_undecoded
from airflow_provider.mapsindoors.geodata.values import with_members
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

_TWO_FORMS = ColumnProblem(
    "has columns of details, and the defaults have the list additionalDetails; give both as columns, as in"
    " defaults={'detail.website': ...}"
)


@dataclass(slots=True)
class DesiredRow:
    """One row of a source.

    :param number: row number, from 1.
    :param item: the fields that the row owns, as they are sent.
    :param references: the columns that name the parent, beside ``parentId``, with their values.
    :param problems: the problems of the row; a row with problems is not written.
    :param key: the row's value of the match key.
    :param object_id: id of the matched object; empty for a new object.
    :param base_type: base type of the row, or of its object.
    :param parent: the row of the parent, when the parent is a new object.
    :param columns: number of the row's columns, with those that have no value.
    :param defaulted: keys of the properties that are from defaults.
    """

    number: int
    item: Json
    references: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    key: str = ""
    object_id: str = ""
    parent: DesiredRow | None = None
    base_type: str = field(init=False)
    columns: int = 0
    defaulted: Set[str] = frozenset()

    def __post_init__(self) -> None:
        self.base_type = str(self.item.get("baseType") or "")

    def set_object(self, object_id: str, snapshot: SolutionSnapshot) -> None:
        """Set the matched object."""
        self.object_id = object_id
        self.base_type = self.base_type or str(snapshot.base_types[object_id] or "")


@dataclass(frozen=True, slots=True)
class Defaults:
    """Fields for rows that do not have them.

    :param item: the fields.
    :param references: the columns that name a parent.
    """

    item: Json = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def under(self, item: Json, references: Mapping[str, str]) -> Json:
        """Return an object with the defaults of the fields and members that it does not have.

        :param item: the object.
        :param references: its own references; an object that has any names its parent by itself.
        """
        if not self.item:
            return item
        out = {**self.item, **item}
        if references and "parentId" not in item:
            out.pop("parentId", None)
        for name in NESTED:
            if name in self.item and isinstance(item.get(name), dict):
                out[name] = with_members(self.item[name], item[name])
        if own := item.get("additionalDetails"):
            out["additionalDetails"] = details.with_defaults(self.item.get("additionalDetails"), own)
        return out

    def clashes(self, item: Json) -> list[str]:
        """Return a problem when the defaults have a list of details, which an object's columns would hide."""
        given = self.item.get("additionalDetails")
        is_list = bool(given) and not isinstance(given, details.PartialDetails)
        return (
            [_TWO_FORMS]
            if is_list and isinstance(item.get("additionalDetails"), details.PartialDetails)
            else []
        )

    def added_keys(self, item: Json) -> Set[str]:
        """Return the keys of the properties that an object has from the defaults only."""
        own, given = item.get("properties"), self.item.get("properties")
        return given.keys() - (own if isinstance(own, dict) else {}).keys() if given else frozenset()

    def references_under(self, item: Json, references: dict[str, str]) -> dict[str, str]:
        """Return references with the default ones, unless the row names its parent in another way."""
        if not self.references or any(
            key in item or key in references for key in ("parentId", *self.references)
        ):
            return references
        return {**self.references, **references}


def read_defaults(given: object, match_on: str = "externalId") -> Defaults:
    """Read the fields for rows that do not have them.

    :param given: the fields by column, as in a row; None for none.
    :param match_on: the match key.
    :raises InputError: when they are no valid fields.
    """
    if given is None:
        return Defaults()
    if isinstance(given, str):
        refuse_rendered_list(given, "defaults")
    if not isinstance(given, Mapping):
        raise InputError(f"must be an object, not {type(given).__name__}", "defaults")
    item, references, wrong = RowReader(match_on).read(given)
    if wrong:
        raise InputError([str(problem) for problem in wrong], "defaults")
    return Defaults(item, references)


def read_desired_rows(
    source: object,
    subject: str = "source",
    *,
    match_on: str = "externalId",
    options: RowOptions = NO_OPTIONS,
    defaults: Defaults | None = None,
    exact: bool = False,
) -> list[DesiredRow]:
    """Read and validate the rows of a source, before anything is known of the map.

    :param source: a list of objects, the path of a JSON, JSON Lines, GeoJSON, CSV or (Geo)Parquet file, or
        the rows of a query; see :class:`airflow_provider.mapsindoors.geodata.rows.RowReader` for the columns.
    :param subject: the argument that the rows come from.
    :param match_on: the match key.
    :param options: how the rows are read.
    :param defaults: fields for rows that do not have them.
    :param exact: whether the rows are objects of the service, whose values stay as they are.
    :return: all rows; the problems of each are in ``problems``.
    :raises InputError: when the source cannot be read.
    """
    zone = source.timezone if is_query(source) else None
    reader, base = RowReader(match_on, exact=exact, zone=zone), defaults or Defaults()
    out = []
    rows, wrong = source, dict[int, str]()
    if isinstance(source, list):
        wrong = _not_objects(source)
        rows = [dict(row) if isinstance(row, Mapping) else {} for row in source]
    flatten = flatten_with(options)
    for number, row in read_source(rows, subject, options, geo=True, flatten=flatten, fields=KNOWN_COLUMNS):
        if number in wrong:
            out.append(DesiredRow(number, {}, problems=[wrong[number]]))
            continue
        item, references, problems = reader.read(row)
        merged = base.under(item, references)
        references = base.references_under(item, references)
        problems += validation.problems(merged)
        given = merged.get("additionalDetails")
        if isinstance(given, list) and not exact and not row.keys() >= OF_SERVICE:
            problems += details.problems(given)
        problems += base.clashes(item)
        defaulted = base.added_keys(item)
        out.append(DesiredRow(number, merged, references, problems, columns=len(row), defaulted=defaulted))
    return out


def _not_objects(rows: Sequence[Any]) -> dict[int, str]:
    """Return the problems of a list's rows that are no objects, by their numbers."""
    return {
        number: f"is not an object, but {type(row).__name__}"
        for number, row in enumerate(rows, 1)
        if not isinstance(row, Mapping)
    }


def set_languages(rows: Sequence[DesiredRow], base: str, known: Sequence[str] = ()) -> None:
    """Set the languages of the properties of rows.

    :param rows: the rows of :func:`read_desired_rows`; they are changed.
    :param base: the base language, for ``name`` and ``description`` without one; empty when they need one.
    :param known: all languages; empty when they are not known.
    """
    languages = PropertyLanguages(base, known)
    for row in rows:
        row.problems += languages.apply(row.item, row.defaulted)
        given = row.item.get("additionalDetails")
        if known and isinstance(given, list):
            row.item["additionalDetails"] = details.with_languages(given, known)


def raise_for_rows(rows: Sequence[DesiredRow], subject: str, match_on: str, more: Sequence[str] = ()) -> None:
    """Raise the problems of all rows.

    :param rows: the rows.
    :param subject: the argument that the rows come from.
    :param match_on: the match key.
    :param more: problems of no row.
    :raises InputError: when there is a problem.
    """
    found = collect_problems(
        ((row.number, row.key or key_of(row.item, match_on), row.problems) for row in rows if row.problems),
        subject,
    )
    for problem in more:
        found.add(problem)
    found.raise_if_any()


def read_snapshot(
    hook: MapsIndoorsHook,
    dataset: Json,
    rows: Sequence[DesiredRow],
    match_on: str,
    scope: Mapping[str, Any] | None = None,
) -> SolutionSnapshot:
    """Read a solution, with display types and categories as far as rows use them.

    :param hook: the connection to the solution.
    :param dataset: the solution.
    :param rows: the rows.
    :param match_on: the match key.
    :param scope: the scope of the comparison.
    """
    uses = {name for row in rows for name in ("displayTypeId", "categories") if row.item.get(name)}
    return SolutionSnapshot(
        dataset,
        read_undecoded(hook),
        display_types=hook.list_display_types() if "displayTypeId" in uses else (),
        categories=hook.list_categories() if "categories" in uses else (),
        match_on=match_on,
        scope=scope,
    )


def match_rows(rows: list[DesiredRow], snapshot: SolutionSnapshot) -> None:
    """Match each row with an object of the snapshot, and set the row's ``object_id``.

    :param rows: the rows of :func:`read_desired_rows`; they are changed.
    :param snapshot: the solution.
    """
    by_key: dict[str, DesiredRow] = {}
    by_id: dict[str, DesiredRow] = {}
    for row in rows:
        row.problems += _match_row(row, snapshot)
        row.problems += _duplicate_problem(row, by_key, by_id)


def tree_level(row: DesiredRow) -> int:
    """Return the depth of a row in the tree, by which parents sort before their children."""
    return validation.BASE_TYPES.index(row.base_type) if row.base_type in validation.BASE_TYPES else -1


def topmost(row: DesiredRow) -> DesiredRow:
    """Return the uppermost of the new objects that a row is below; the row itself when there is none.

    Rows may name each other as parents, for which they are left out. No tree has more levels than base types.
    """
    top = row
    for _ in validation.BASE_TYPES:
        if top.parent is None:
            break
        top = top.parent
    return top


def _match_row(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Match a row with an object by its id or by the match key, and yield the problems."""
    row.key = key_of(row.item, snapshot.match_on)
    given = row.item.get("id")
    matching = snapshot.ids_with_key(row.key) if row.key else []
    # An object outside of the scope is not compared, so it matters only where it is the only one.
    matching = [object_id for object_id in matching if snapshot.in_scope(object_id)] or matching
    if given is not None:
        if isinstance(given, str) and given in snapshot.by_id:
            row.set_object(given, snapshot)
        else:
            yield f"there is no object with id {str(given)[:60]}"
        others = [object_id for object_id in matching if object_id != given]
        if others:
            yield f"{snapshot.match_on} {shown(row.key)} belongs to object {others[0]}, but id names {given}"
    elif not row.key and not any(one.startswith(("id ", f"{snapshot.match_on} ")) for one in row.problems):
        yield f"has no {snapshot.match_on}, by which it could be matched, and no id"
    elif len(matching) > 1:
        some = ", ".join(shorten(matching, 5))
        yield f"{snapshot.match_on} {shown(row.key)} is that of {len(matching)} objects: {some}"
    elif matching:
        row.set_object(matching[0], snapshot)
    yield from _external_id_conflict(row, snapshot)
    if row.object_id and not snapshot.in_scope(row.object_id):
        yield f"is about object {row.object_id}, which is outside of the scope"


def _external_id_conflict(row: DesiredRow, snapshot: SolutionSnapshot) -> Iterator[str]:
    """Yield a problem when a row gives its object the external id of another object.

    An external id that both objects have already is accepted.
    """
    if not row.object_id or snapshot.match_on == "externalId":
        return
    wanted = key_of(row.item, "externalId")
    owners = snapshot.ids_by("externalId", wanted)
    if owners and row.object_id not in owners:
        owner = f"belongs to object {owners[0]}"
        yield f"externalId {shown(wanted)} {owner}, but the row is about {row.object_id}"


def _duplicate_problem(
    row: DesiredRow, by_key: dict[str, DesiredRow], by_id: dict[str, DesiredRow]
) -> Iterator[str]:
    for value, seen in ((row.key, by_key), (row.object_id, by_id)):
        if value and (other := seen.setdefault(value, row)) is not row:
            yield f"is about the same object as row {other.number} ({value[:60]})"
            return
