"""Incremental export: rows after a watermark, which moves on the outlet asset once the file is published."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.amigocloud.export.keyset import literal
from airflow_provider.amigocloud.pagination import NUMBER_TYPES, Page, quoted_name
from airflow_provider.core.input.values import shown
from airflow_provider.core.state.chunks import read_chunks, write_chunks
from airflow_provider.core.state.identity import without_expiry
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import InputError, one_line

if TYPE_CHECKING:
    from airflow.sdk import Asset
    from airflow.sdk.types import Logger


Lag = timedelta | int | float | None

_STORE_KEY = "amigocloud_export"

_MAX_MARKS = 50_000
"""Number of marks in memory above which those older than the lag are dropped."""

_CHUNK = 3_000
"""Maximum marks per value of the store, which holds 64 KiB."""

_MARGIN = timedelta(minutes=1)
"""Distance of a watermark to the service's time, when no row has a value to be the watermark."""

_CLOCK_ERROR = timedelta(days=1)
"""Maximum time by which the clocks of worker and service may differ."""

_UNORDERED_TYPES = frozenset({"string", "boolean", "time", "geometry", "uuid", "json", "jsonb"})
"""Types of columns, as the service names them, that are no dates or numbers."""

_ROUNDING = 2.0**-23
"""Relative distance below a number with a fraction from which rows are read again: replies round it."""

_MOMENTS = frozenset({f"unknown({oid})" for oid in (1082, 1114, 1184)})
"""Types of dates and times by PostgreSQL's numbers."""

_BEFORE_TIME, _AFTER_TIME = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))
_BEYOND = re.compile(r"(?P<late>infinity|[0-9]{5,}-.*)|-infinity|.* BC", re.DOTALL)
"""Moments of PostgreSQL outside the years 1 to 9999."""


class Increment:
    """Rows that are new since the last export, by a watermark.

    Rows at and within the lag before the watermark are read again, because others with the same values may
    have become visible meanwhile. Rows that were exported before are dropped by their key and value
    (deduplication).

    The watermark never passes the service's time: rows with a later value are exported once, and read again
    until that time is over. A time without a zone counts as UTC.

    :param column: column of dates, timestamps or numbers that only grow, such as ``updated_at``. Rows without
        a value are in the first export only.
    :param key: column that identifies a row.
    :param lag: distance before the watermark from which rows are read again, for rows that become visible
        late: a ``timedelta``, or a number for a column of numbers.
    :param watermark: the greatest value so far; None exports everything.
    :param seen: marks of the rows exported before that are within the lag.
    """

    def __init__(
        self, column: str, key: str, lag: Lag, watermark: Any = None, seen: frozenset[str] = frozenset()
    ) -> None:
        self.column = column
        self._key = key
        self._lag = lag
        self.watermark = watermark
        self._seen = seen
        self._marks: dict[str, Any] = {}
        self._now: datetime | None = None
        self._is_number = self._is_date = False
        self._future: tuple[int, Any] = (0, None)

    def condition(self) -> str | None:
        """Return the SQL condition of the rows that may be new; None for all."""
        if self.watermark is None:
            return None
        return f"{quoted_name(self.column)} >= {literal(self._since())}"

    def new_rows(self, page: Page) -> Page:
        """Return the page without the rows that were exported before, and move the watermark.

        :param page: the next page of the export.
        :raises InputError: when the rows lack the column or the key, or the column holds other values.
        """
        if self._now is None:
            self._check_type(page)
            self._now = page.served_at or datetime.now(UTC)
        new = []
        for raw, row in zip(page.rows, page.decoded(), strict=True):
            if missing := {self.column, self._key} - row.keys():
                raise InputError(
                    f"the rows have no column {', '.join(sorted(missing))}", "incremental_column"
                )
            value = self._value(row[self.column])
            mark = _mark(row[self._key], value)
            if value is not None:
                self._add(mark, value)
            if mark not in self._seen:
                new.append(raw)
        return page.with_rows(new)

    def finish(self, log: Logger) -> None:
        """Log the rows after the service's time; without any other row, the watermark is that time.

        :param log: gets a warning.
        """
        count, latest = self._future
        if not count or self._now is None:
            return
        if self.watermark is None:
            moment = self._now - _MARGIN
            self.watermark = moment.date().isoformat() if self._is_date else _in_form_of(latest, moment)
            self._since()
        log.warning(
            "%d rows have a value of '%s' after the service's time %s, up to %s: the watermark stays at %s."
            " They are exported, and read again until that time is over",
            *(count, self.column, self._now.isoformat(sep=" "), one_line(latest), self.watermark),
        )

    def marks(self) -> list[str]:
        """Return the marks of all rows that the next export will read again."""
        self._drop_old_marks()
        return sorted(self._marks)

    def _check_type(self, page: Page) -> None:
        """Refuse a column whose order in SQL is not the order of its values here."""
        declared = next((column.type for column in page.columns or () if column.name == self.column), None)
        self._is_number, self._is_date = declared in NUMBER_TYPES, declared in ("date", "unknown(1082)")
        is_unknown = declared is not None and declared.startswith("unknown(")
        if declared in _UNORDERED_TYPES or (is_unknown and declared not in NUMBER_TYPES | _MOMENTS):
            raise InputError(
                f"column '{self.column}' is of type {declared}; it must hold dates, timestamps or numbers, as"
                " the service orders other values by other rules; select a cast, such as"
                f" {self.column}::timestamptz AS {self.column}, with 'sql'",
                "incremental_column",
            )

    def _value(self, value: Any) -> Any:
        """Return a number that came as a text as a number; other values as they are."""
        if not self._is_number or not isinstance(value, str):
            return value
        try:
            exact = Decimal(value.strip())
        except ArithmeticError:
            return value
        if not exact.is_finite():
            return value
        return int(exact) if exact == exact.to_integral_value() else float(exact)

    def _add(self, mark: str, value: Any) -> None:
        moment = _comparable(value, self.column)
        self._marks[mark] = moment
        if isinstance(moment, datetime) and self._now is not None and moment > self._now:
            count, latest = self._future
            later = latest is None or moment > _comparable(latest, self.column)
            self._future = (count + 1, value if later else latest)
        elif self.watermark is None:
            self.watermark = value
            self._since()  # an invalid lag is an error before anything is published
        elif moment > _comparable(self.watermark, self.column):
            self.watermark = value
        if len(self._marks) > _MAX_MARKS:
            self._drop_old_marks()

    def _drop_old_marks(self) -> None:
        """Drop the marks of rows that are older than the lag."""
        if self.watermark is not None:
            since = _comparable(self._since(), self.column)
            self._marks = {mark: moment for mark, moment in self._marks.items() if moment >= since}

    def _since(self) -> Any:
        """Return the smallest value of the rows to read: the watermark minus the lag."""
        moment = _comparable(self.watermark, self.column)
        if isinstance(moment, float):
            moment -= abs(moment) * _ROUNDING
        if not self._lag:
            return moment if isinstance(moment, float) else self.watermark
        if moment == _BEFORE_TIME:
            return "-infinity"
        try:
            since = moment - self._lag
        except TypeError:
            raise InputError(
                f"{self._lag!r} cannot be subtracted from column '{self.column}', which holds"
                f" {self.watermark!r}; use a timedelta for dates, a number for numbers",
                "lag",
            ) from None
        except OverflowError:
            since = datetime.min.replace(tzinfo=UTC)
        return _in_form_of(self.watermark, since) if isinstance(since, datetime) else since


def _comparable(value: Any, column: str) -> Any:
    """Return a value in comparable form: a timestamp with time zone, or a number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        if beyond := _BEYOND.fullmatch(value):
            return _AFTER_TIME if beyond["late"] else _BEFORE_TIME
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(
            f"column '{column}' holds {shown(value)}; it must hold dates, timestamps or numbers",
            "incremental_column",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_form_of(value: str, moment: datetime) -> str:
    """Return a moment in the form of a column's values: as a date, or with a time zone if they have one."""
    if len(value) == len("2025-01-31"):
        return moment.date().isoformat()
    has_zone = bool(_BEYOND.fullmatch(value)) or datetime.fromisoformat(value).tzinfo is not None
    return (moment if has_zone else moment.astimezone(UTC).replace(tzinfo=None)).isoformat(sep=" ")


def is_ahead(watermark: Any, column: str) -> bool:
    """Return whether a stored watermark is so far ahead of the time that it was never one.

    :param watermark: the stored value.
    :param column: the column, for errors.
    """
    moment = _comparable(watermark, column)
    return isinstance(moment, datetime) and moment > datetime.now(UTC) + _CLOCK_ERROR


def _mark(key: Any, value: Any) -> str:
    text = msgspec.json.encode([key, value])
    return hashlib.blake2b(text, digest_size=8).hexdigest()


class WatermarkStore:
    """Store of an outlet asset's watermark, with the marks of the rows near it.

    A run that has succeeded and is cleared starts from its own start again, whatever runs have followed; when
    others have, it moves nothing.

    :param context: context of the task.
    :param outlets: outlets of the task; there must be exactly one.
    :param source: what is exported, as JSON, with its ``column``; another source starts over.
    :param log: gets a line when this Airflow has no state store for assets.
    :raises InputError: when the task has not exactly one outlet asset.
    """

    def __init__(
        self, context: Mapping[str, Any], outlets: list[Asset], source: Mapping[str, Any], log: Logger
    ) -> None:
        self._log = log
        self._column = str(source["column"])
        self._watermark = Watermark(
            context, outlets, source, log, name=_STORE_KEY, argument="incremental_column"
        )
        self._own: Any = context.get("task_state_store")
        self._exported = self._watermark.done() if self._watermark.store is not None else {}
        self._start: tuple[Any, frozenset[str]] = (None, frozenset())

    def load(self) -> tuple[Any, frozenset[str]]:
        """Return the watermark and the marks; None and no marks when none is stored."""
        with self._watermark.readable():
            self._start = self._load()
        if self._is_followed:
            self._log.info(
                "This run exported the rows from %s on before; they come again, with those of later runs",
                self._start[0],
            )
        return self._start

    @property
    def _is_followed(self) -> bool:
        """True if this run has succeeded before, and others have moved the watermark since."""
        return bool(self._exported) and not self._watermark.is_last_run

    def _load(self) -> tuple[Any, frozenset[str]]:
        start, store = self._watermark.start(), self._watermark.store
        if self._is_followed:
            start, store = self._exported, self._own
        watermark = start.get("watermark")
        if watermark is not None and is_ahead(watermark, self._column):
            self._log.warning(
                "The stored watermark %s of '%s' is in the future, so rows written since may be missing:"
                " all rows are exported",
                *(watermark, self._column),
            )
            return None, frozenset()
        marks: list[str] = []
        for chunk in read_chunks(
            store, start.get("name", _STORE_KEY), start.get("turn"), start.get("chunks", 0)
        ):
            marks += chunk
        return watermark, frozenset(marks)

    def save(self, increment: Increment) -> None:
        """Store the watermark and the marks; those that this run started from are kept, too.

        :param increment: the finished increment.
        """
        store = self._watermark.store
        if store is None or increment.watermark is None or self._is_followed:
            return
        with self._watermark.readable():
            turn = 1 - int(self._watermark.start().get("turn", 1))
        key = self._watermark.key
        stored = write_chunks(store, key, turn, _chunks(increment.marks()))
        self._watermark.move({"watermark": increment.watermark, "name": key, **stored})
        self._note()

    def _note(self) -> None:
        """Store where this run has started, for when it is cleared after later runs."""
        if self._own is not None:
            (watermark, marks), key = self._start, self._watermark.key
            stored = write_chunks(self._own, key, 0, _chunks(sorted(marks)), **without_expiry())
            self._watermark.note({"watermark": watermark, "name": key, **stored})


def _chunks(marks: list[str]) -> list[list[str]]:
    return [marks[at : at + _CHUNK] for at in range(0, len(marks), _CHUNK)]
