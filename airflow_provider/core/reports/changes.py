"""Changes since the last export: two profiles compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider.core.reports.profile import Column, Profile, Table
from airflow_provider.core.reports.texts import clean, count_text, key_text, share_text

MOST_CHANGES = 60
"""Maximum changes that a page lists."""

_SHIFT = 0.05
"""Least change of a share of nulls that is reported, of all rows."""

_NAMED = 5
"""Maximum values or days that one change names."""


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two exports.

    :param what: the thing that differs: the rows, a column, days.
    :param before: its state in the last export.
    :param now: its state in this one.
    """

    what: str
    before: str
    now: str


def changes(before: Profile, now: Profile) -> list[Change]:
    """Return what differs between two exports, the most telling first.

    :param before: profile of the last export.
    :param now: profile of this one.
    """
    found: list[Change] = []
    if before.rows != now.rows:
        found.append(Change("rows", f"{before.rows:,}", f"{now.rows:,}{_relative(before.rows, now.rows)}"))
    for table in now.tables:
        earlier = before.table(table.name)
        label = f"{table.name}: " if table.name else ""
        if earlier is None:
            found.append(Change(f"{label}table", "not there", count_text(table.rows, "row")))
        else:
            found += _table_changes(earlier, table, label, is_slice=now.is_slice)
    found += [
        Change(f"{table.name}: table", count_text(table.rows, "row"), "not there")
        for table in before.tables
        if now.table(table.name) is None
    ]
    return found


def _relative(before: int, now: int) -> str:
    sign = "+" if now > before else "−"
    share = (
        f", {sign}{share_text(abs(now - before), before)}" if before and abs(now - before) < before else ""
    )
    return f" ({sign}{abs(now - before):,}{share})"


def _table_changes(before: Table, now: Table, label: str, *, is_slice: bool) -> Iterator[Change]:
    if label and before.rows != now.rows:
        yield Change(f"{label}rows", f"{before.rows:,}", f"{now.rows:,}{_relative(before.rows, now.rows)}")
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in now.columns}
    if not before.more_columns and before.rows:
        for name in [name for name in new if name not in old]:
            yield Change(f"{label}column {name}", "not there", _kinds(new[name]))
    if not now.more_columns and now.rows:
        for name in [name for name in old if name not in new]:
            yield Change(f"{label}column {name}", _kinds(old[name]), "not there")
    for name, column in new.items():
        if name in old and now.rows and before.rows:
            yield from _column_changes(old[name], before.rows, column, now.rows, f"{label}{name}")
    if not is_slice:
        yield from _day_changes(before, now, label)


def _kinds(column: Column) -> str:
    return ", ".join(sorted(column.kinds)) or "no values"


def _column_changes(before: Column, rows_before: int, now: Column, rows: int, name: str) -> Iterator[Change]:
    if before.kinds.keys() != now.kinds.keys() and before.kinds and now.kinds:
        yield Change(f"{name}: types", _kinds(before), _kinds(now))
    without, without_now = rows_before - before.filled, rows - now.filled
    shift = abs(without_now / rows - without / rows_before)
    if shift >= _SHIFT or (without == 0) != (without_now == 0):
        yield Change(f"{name}: without a value", _share(without, rows_before), _share(without_now, rows))
    if before.numbers and now.numbers and before.numbers != now.numbers:
        yield Change(f"{name}: range", _range(before.numbers), _range(now.numbers))
    if before.has_all_values and now.has_all_values:
        old, new = before.as_values(), now.as_values()
        if came := [value for value in new if value not in old]:
            yield Change(f"{name}: new values", "not there", _listed(came))
        if gone := [value for value in old if value not in new]:
            yield Change(f"{name}: values that are gone", _listed(gone), "not there")


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({share_text(part, whole)})"


def _range(numbers: tuple[int | float, int | float]) -> str:
    return f"{key_text(numbers[0])} to {key_text(numbers[1])}"


def _listed(values: list[str]) -> str:
    named = ", ".join(clean(value, 40) or "the empty text" for value in values[:_NAMED])
    return f"{named} and {len(values) - _NAMED:,} more" if len(values) > _NAMED else named


def _day_changes(before: Table, now: Table, label: str) -> Iterator[Change]:
    if not before.days or not now.days or before.day_column != now.day_column:
        return
    size = min(*map(len, before.days), *map(len, now.days))
    old, new = ({day[:size] for day in table.days} for table in (before, now))
    period = {10: "days", 7: "months"}.get(size, "years")
    if came := sorted(new - old):
        yield Change(f"{label}{now.day_column}: new {period}", "not there", _listed(came))
    if gone := sorted(old - new):
        yield Change(f"{label}{now.day_column}: {period} that are gone", _listed(gone), "not there")
