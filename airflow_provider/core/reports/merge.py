"""Merge of profiles: the parts of one export as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from airflow_provider.core.reports.columns import MOST_SAVED
from airflow_provider.core.reports.profile import Column, Table
from airflow_provider.core.reports.shapes import MOST_SHAPES
from airflow_provider.core.reports.texts import LONGEST


def merge_tables(tables: Sequence[Table]) -> Table:
    """Return one table with the rows of all parts.

    :param tables: the tables, in the order of the parts.
    """
    days: Counter[str] = Counter()
    size = min((len(day) for table in tables for day in table.days), default=10)
    for table in tables:
        for day, rows in table.days.items():
            days[day[:size]] += rows
    outlines = [outline for table in tables for outline in table.outlines]
    step = max(1, -(-len(outlines) // MOST_SHAPES))
    rows = sum(table.rows for table in tables)
    return Table(
        name=tables[0].name,
        rows=rows,
        columns=_merge_columns(tables),
        more_columns=max(table.more_columns for table in tables),
        day_column=next((table.day_column for table in tables if table.day_column), ""),
        days=dict(sorted(days.items())),
        # A part without any such time does not know the column.
        not_days=rows - days.total() if days else 0,
        type_columns=next((table.type_columns for table in tables if table.type_columns), []),
        geometry=next((table.geometry for table in tables if table.geometry), ""),
        off_map=sum(table.off_map for table in tables),
        outlines=outlines[::step],
    )


def _merge_columns(tables: Sequence[Table]) -> list[Column]:
    found: dict[str, list[Column]] = {}
    for table in tables:
        for column in table.columns:
            found.setdefault(column.name, []).append(column)
    return [_merge(columns) for columns in found.values()]


def _merge(columns: Sequence[Column]) -> Column:
    kinds: Counter[str] = Counter()
    for column in columns:
        kinds.update(column.kinds)
    is_mixed = "time" in kinds and "text" in kinds
    if is_mixed:
        kinds["text"] += kinds.pop("time")
    merged = Column(
        columns[0].name,
        dict(kinds),
        sum(column.nulls for column in columns),
        _range([column.numbers for column in columns]),
        None if is_mixed else _range([column.times for column in columns]),
        _range([column.lengths for column in columns]),
    )
    _merge_values(columns, merged)
    return merged


def _range(ranges: Sequence[tuple[Any, Any] | None]) -> tuple[Any, Any] | None:
    known = [one for one in ranges if one is not None]
    if not known:
        return None
    return min(least for least, _ in known), max(greatest for _, greatest in known)


def _merge_values(columns: Sequence[Column], merged: Column) -> None:
    """Set the values and their number; where a part does not have all of them, it is a lower bound."""
    if any(column.distinct is None for column in columns):
        return
    if all(column.has_all_values and _are_told_apart(column) for column in columns):
        counts: Counter[str] = Counter()
        for column in columns:
            counts.update(column.as_values())
        merged.distinct = len(counts)
        merged.values = counts.most_common(MOST_SAVED)
    else:
        merged.distinct = max(column.distinct or 0 for column in columns)
        merged.is_more = True


def _are_told_apart(column: Column) -> bool:
    """Return whether each value has a text of its own, so that the values of parts can be compared."""
    texts = column.as_values()
    return len(texts) == len(column.values) and not any(
        len(text) >= LONGEST and text.endswith("…") for text in texts
    )
