"""Lists whose items PostgreSQL's input would cut without a word: times, or zones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider.warehouse.load.columns.exact import DROPS_TIME, has_time
from airflow_provider.warehouse.load.columns.text import BadValueError

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.target import TargetColumn

_NAIVE_ARRAY = re.compile(r"timestamp(?:\(\d\))? without time zone(?:\[\])+")


def is_naive_array(target: TargetColumn) -> bool:
    """Return whether a column holds lists of timestamps without a zone."""
    return _NAIVE_ARRAY.fullmatch(target.type) is not None


def check_lists_of_dates(array: Any, target: TargetColumn) -> None:
    """Refuse times of the day in a column of lists of dates.

    :param array: the values, as they are written.
    :param target: the column.
    :raises BadValueError: for the first value with a time.
    """
    if not target.type.startswith("date["):
        return
    for index, text in enumerate(array.to_pylist()):
        if text is not None and has_time(text):
            raise BadValueError(index, DROPS_TIME)
