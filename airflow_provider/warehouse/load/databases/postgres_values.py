"""Dates and times that PostgreSQL's input would change without a word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider.warehouse.load.columns.exact import DROPS_TIME, has_time
from airflow_provider.warehouse.load.columns.text import BadValueError

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.target import TargetColumn

_NAIVE_ARRAY = re.compile(r"timestamp(?:\(\d\))? without time zone(?:\[\])+")

_PRESENT = r"(?i)\b(?:now|today|tomorrow|yesterday)\b"
"""Words that PostgreSQL replaces by the present."""


def is_naive_array(target: TargetColumn) -> bool:
    """Return whether a column holds lists of timestamps without a zone."""
    return _NAIVE_ARRAY.fullmatch(target.type) is not None


def check_dates(array: Any, target: TargetColumn) -> None:
    """Refuse words for the present in dates and times, and times of the day in a column of lists of dates.

    :param array: the values, as they are written.
    :param target: the column.
    :raises BadValueError: for the first such value.
    """
    is_date = target.family == "date" or target.type.startswith("date[")
    if not (is_date or target.seconds is not None):
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(array.type):
        return
    index = pc.index(pc.match_substring_regex(array, _PRESENT), pa.scalar(True)).as_py()
    if index >= 0:
        raise BadValueError(index, "is a word for the time of the load, which the file does not have")
    if target.family != "array" or not is_date:
        return
    for index, text in enumerate(array.to_pylist()):
        if text is not None and has_time(text):
            raise BadValueError(index, DROPS_TIME)
