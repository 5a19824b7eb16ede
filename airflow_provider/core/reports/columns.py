"""Column observer: kinds, nulls, ranges and frequent values of a column, in one pass and bounded memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from types import NoneType
from typing import Any

from msgspec import UNSET, UnsetType

from airflow_provider.core.reports.profile import Column
from airflow_provider.core.reports.texts import LONGEST, clean, key_text, plain_number

MOST_VALUES = 1_000
"""Maximum different values of a column that are counted."""

MOST_SAVED = 50
"""Maximum values of a column that a report keeps with their rows."""

_MOST_KINDS = 20

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)

_TEXTS = frozenset({str, NoneType})

_NAMES = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object"}


class ColumnObserver:
    """Observer of the values of a column.

    :param name: name of the column.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nulls = 0
        self._kinds: Counter[str] = Counter()
        self._numbers: tuple[int | float, int | float] | None = None
        self._times: tuple[str, str] | None = None
        self._lengths: tuple[int, int] | None = None
        self._may_be_times = True
        self._is_text = False
        self._counts: Counter[Any] | None = Counter()
        self._is_counted = True
        self._adders: dict[type, Callable[[Sequence[Any]], None]] = {
            bool: self._add_booleans,
            int: self._add_numbers,
            float: self._add_floats,
            str: self._add_texts,
            list: self._add_containers,
            dict: self._add_containers,
        }

    def add(self, values: Sequence[Any]) -> None:
        """Take the values of some rows.

        :param values: the values; None is null, and msgspec's UNSET a field that is not there.
        """
        if self._is_text and self._counts is not None and self._add_few_texts(values):
            return
        # In their order: that of a set of types differs between processes, and with it that of equal counts.
        kinds = dict.fromkeys(map(type, values))
        if UnsetType in kinds:
            del kinds[UnsetType]
            values = [value for value in values if value is not UNSET]
        if NoneType in kinds:
            del kinds[NoneType]
            known = [value for value in values if value is not None]
            self._nulls += len(values) - len(known)
            values = known
        self._is_text = kinds.keys() == {str}
        for kind in kinds:
            own = values if len(kinds) == 1 else [value for value in values if type(value) is kind]
            self._adders.get(kind, self._add_others)(own)

    def _add_few_texts(self, values: Sequence[Any]) -> bool:
        """Take texts and nulls, each different one once; return False when there are other values."""
        try:
            found = Counter(values)
        except TypeError:
            return False
        # No text equals a value of another type, so the types of the keys are those of all values.
        if not _TEXTS.issuperset(map(type, found)):
            return False
        self._nulls += found.pop(None, 0)
        if found:
            self._note(str, found.total())
            longest = self._measure_texts(list(found))
            if longest > LONGEST:
                found = Counter({_key(text): rows for text, rows in found.items()})
            self._count(found)
        return True

    def profile(self) -> Column:
        """Return what was found."""
        kinds = dict(self._kinds)
        if self._times is not None and "text" in kinds:
            kinds["time"] = kinds.pop("text")
        column = Column(clean(self.name, 200), kinds, self._nulls, self._numbers, self._times, self._lengths)
        if self._counts is not None:
            column.distinct = len(self._counts)
            common = self._counts.most_common(MOST_SAVED)
            column.values = [(key_text(value), rows) for value, rows in common]
        elif self._is_counted:
            column.distinct, column.is_more = MOST_VALUES, True
        return column

    def _note(self, kind: type, rows: int) -> None:
        name = _NAMES.get(kind) or clean(kind.__name__, 40)
        if name not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            name = "other"
        self._kinds[name] += rows

    def _count(self, keys: Sequence[Any] | Mapping[Any, int]) -> None:
        if self._counts is not None:
            self._counts.update(keys)
            if len(self._counts) > MOST_VALUES:
                self._counts = None

    def _stop_counting(self) -> None:
        self._counts, self._is_counted = None, False

    def _add_booleans(self, values: Sequence[Any]) -> None:
        self._note(bool, len(values))
        # As texts: True and 1 are one key.
        true = values.count(True)
        self._count({name: rows for name, rows in (("true", true), ("false", len(values) - true)) if rows})

    def _add_floats(self, values: Sequence[Any]) -> None:
        finite = values if all(map(isfinite, values)) else [value for value in values if isfinite(value)]
        if len(finite) < len(values):
            self._kinds["NaN or infinite"] += len(values) - len(finite)
        if finite:
            self._add_numbers(finite)

    def _add_numbers(self, values: Sequence[Any]) -> None:
        self._note(type(values[0]), len(values))
        self._numbers = _wider(self._numbers, plain_number(min(values)), plain_number(max(values)))
        self._count(values)

    def _add_texts(self, values: Sequence[Any]) -> None:
        self._note(str, len(values))
        longest = self._measure_texts(values)
        if self._counts is not None:
            self._count([_key(value) for value in values] if longest > LONGEST else values)

    def _measure_texts(self, texts: Sequence[str]) -> int:
        """Take the lengths of texts, and their range when they are times; return the greatest length."""
        lengths = set(map(len, texts))
        longest = max(lengths)
        self._lengths = _wider(self._lengths, min(lengths), longest)
        if self._may_be_times:
            self._add_times(texts)
        return longest

    def _add_times(self, values: Sequence[str]) -> None:
        """Take texts that may be times; where the least and the greatest are, the others are, too."""
        least, greatest = min(values), max(values)
        if _TIME.fullmatch(least) and _TIME.fullmatch(greatest):
            self._times = _wider(self._times, least, greatest)
        else:
            self._may_be_times, self._times = False, None

    def _add_containers(self, values: Sequence[Any]) -> None:
        self._note(type(values[0]), len(values))
        lengths = set(map(len, values))
        self._lengths = _wider(self._lengths, min(lengths), max(lengths))
        self._stop_counting()

    def _add_others(self, values: Sequence[Any]) -> None:
        self._note(type(values[0]), len(values))
        self._stop_counting()


def _wider(known: tuple[Any, Any] | None, least: Any, greatest: Any) -> tuple[Any, Any]:
    """Return a range that has the values of another one, too."""
    return (least, greatest) if known is None else (min(known[0], least), max(known[1], greatest))


def _key(text: str) -> str:
    """Return the key of a text; of a long one its beginning, and a hash that is beyond the shown part."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}{hash(text):x}"
