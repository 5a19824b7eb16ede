"""Values that PostgreSQL's input would cut without a word: a time, or a zone, in a column of days."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider.warehouse.load.columns.text import BadValueError

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.columns.target import TargetColumn

_MIDNIGHT = re.compile(
    r"(?<=\d)(?:[Tt]|\s+)00?(?::?00(?::?00(?:\.0+)?)?)?\s*(?:[Zz]|UTC|[+-]00(?::?00)?)?(?=$|[\",}\s])"
)
_TIME = re.compile(r":|\d[Tt]\d")

_NAIVE_ARRAY = re.compile(r"timestamp(?:\(\d\))? without time zone(?:\[\])+")


def is_naive_array(target: TargetColumn) -> bool:
    """Return whether a column holds lists of timestamps without a zone."""
    return _NAIVE_ARRAY.fullmatch(target.type) is not None


def check_days(array: Any, target: TargetColumn) -> None:
    """Refuse times of the day in a column of days, but midnight of UTC.

    :param array: the values, as they are written.
    :param target: the column.
    :raises BadValueError: for the first value with a time.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if target.family != "date" and not target.type.startswith("date["):
        return
    if pa.types.is_timestamp(array.type):
        found = pc.index(pc.equal(pc.floor_temporal(array, unit="day"), array), False).as_py()
    elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        suspects = pc.match_substring_regex(array, "[:Tt]").to_pylist()
        texts = array.to_pylist() if True in suspects else []
        found = next((n for n, text in enumerate(texts) if suspects[n] and _has_time(text)), -1)
    else:
        return
    if found >= 0:
        raise BadValueError(found, "does not fit its type: it has a time of day or a zone")


def _has_time(text: str) -> bool:
    return _TIME.search(_MIDNIGHT.sub("", text)) is not None
