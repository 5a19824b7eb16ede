"""Values of drivers become values of JSON, or are unreadable with the reason."""

from __future__ import annotations

import errno
import logging
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql.failures import database_error, spool_error
from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.rows import SqlRows, read_query
from airflow_provider.core.sql.values import DatabaseValueReader, ExactDecimal
from airflow_provider.errors import DatabaseError, InputError, ProviderError
from tests.support.sql_sources import connect_file

NAIVE = "is a time without a time zone; state its zone (for a query: sql_timezone, or AT TIME ZONE)"
NO_DATE = "is infinity, or a date outside the years 1 to 9999"


class Text(str):
    __slots__ = ()


class Money(Decimal):
    pass


class DateRange:
    """A range of a driver."""


def read(value: Any, **options: Any) -> Any:
    (found,) = DatabaseValueReader(**options).read_row([value])
    return ("unreadable", found.problem) if isinstance(found, Unreadable) else found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        (True, True),
        ("ä", "ä"),
        (Text("x"), "x"),
        (5, 5),
        (2**63 - 1, 2**63 - 1),
        (2**63, 2**63),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, ("unreadable", "is a whole number of more than 64 bits")),
        (2**64, ("unreadable", "is a whole number of more than 64 bits")),
        (1.5, 1.5),
        (float("inf"), ("unreadable", "is inf, which is no JSON number")),
        (float("nan"), ("unreadable", "is NaN; select NULL for a value that is not there")),
        ("a\0", ("unreadable", "has a NUL character, which no text may have")),
        (Text("a\0"), ("unreadable", "has a NUL character, which no text may have")),
        ("\ud800", ("unreadable", "is no valid Unicode text")),
        (Decimal("1.50"), 1.5),
        (Decimal("1e19"), 10**19),
        (Money("1.50"), 1.5),
        (Decimal("1e20"), ("unreadable", "is a number of more than 64 bits; select it as text")),
        (Decimal("Infinity"), ("unreadable", "is Infinity, which is no JSON number")),
        (date(2026, 1, 31), "2026-01-31"),
        (time(1, 2), "01:02:00"),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00Z"),
        (datetime(2026, 1, 31), ("unreadable", NAIVE)),
        (pd.Timestamp("2026-01-31"), ("unreadable", NAIVE)),
        (datetime.max, ("unreadable", NO_DATE)),
        (datetime.min.replace(tzinfo=UTC), ("unreadable", NO_DATE)),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (memoryview(b"x"), b"x"),
        (bytearray(b"x"), b"x"),
        (
            timedelta(1),
            ("unreadable", "is an interval; select a number, as EXTRACT(EPOCH FROM …) returns it"),
        ),
        (
            DateRange(),
            ("unreadable", "is a range; select its bounds, as lower(…) and upper(…) return them"),
        ),
        (Unreadable("is broken"), ("unreadable", "is broken")),
        (np.int64(3), 3),
        ([1, Decimal("2.5")], [1, 2.5]),
        ({"a": None}, {"a": None}),
    ],
)
def test_a_value_is_read_as_json_has_it_or_is_unreadable(value: Any, found: Any) -> None:
    assert read(value) == found
    assert type(read(value)) is type(found)


def test_times_without_a_zone_are_in_the_zone_that_is_stated() -> None:
    assert read(datetime(2026, 1, 31), timezone=UTC) == "2026-01-31T00:00:00Z"


def test_a_time_that_a_zone_skipped_is_refused_and_one_that_came_twice_is_the_first() -> None:
    zone = ZoneInfo("Europe/Berlin")
    said = "is a time that Europe/Berlin does not have, as its clocks went forward then; check 'sql_timezone'"
    for moment, utc in (
        (datetime(2026, 3, 29, 1, 59, 59), "2026-03-29T00:59:59Z"),
        (datetime(2026, 3, 29, 2), ("unreadable", said)),
        (pd.Timestamp(2026, 3, 29, 2, 30), ("unreadable", said)),
        (datetime(2026, 3, 29, 3), "2026-03-29T01:00:00Z"),
        (datetime(2026, 3, 29, 2, 30, fold=1), ("unreadable", said)),
        (datetime(2026, 10, 25, 2, 30), "2026-10-25T00:30:00Z"),
        (datetime(2026, 10, 25, 2, 30, fold=1), "2026-10-25T01:30:00Z"),
        (datetime(2026, 10, 25, 3), "2026-10-25T02:00:00Z"),
        (datetime(2026, 3, 29, 2, 30, tzinfo=UTC), "2026-03-29T02:30:00Z"),
    ):
        assert read(moment, timezone=zone) == utc
    assert read(date(2026, 9, 6), timezone=ZoneInfo("America/Santiago")) == "2026-09-06"  # has no midnight
    assert read(datetime(2026, 3, 29, 2, 30), timezone=UTC) == "2026-03-29T02:30:00Z"


def test_long_decimals_are_rounded_refused_or_kept() -> None:
    long, short = Decimal("0.12345678901234567890"), Decimal("999999999999999999")
    assert read(long) == float(long)
    assert read(long, long_decimals="refuse")[1].startswith("has more digits than a number of 64 bits")
    assert read(Decimal("0.5"), long_decimals="refuse") == 0.5
    kept = read(long, long_decimals="keep")
    assert isinstance(kept, ExactDecimal)
    assert kept.number == long
    assert read(short, long_decimals="keep") == 999999999999999999
    assert isinstance(read(short + 1, long_decimals="keep"), ExactDecimal)
    assert isinstance(read(Decimal("1e30"), long_decimals="keep"), ExactDecimal)
    assert read(Decimal("NaN"), long_decimals="keep")[0] == "unreadable"


# -- failures --------------------------------------------------------------------------------------

QUERY = Query(
    "SELECT name, 123456 FROM rooms", "no_such_connection", ["parameter-text", 7, True, None, ("abc", "de")]
)


class ProgrammingError(Exception):
    """PEP 249's error of a driver without SQLSTATE."""


class NotSupportedError(Exception):
    """Another one of PEP 249's."""


def failure(message: Any = "", *, kind: type[Exception] = Exception, **fields: Any) -> Exception:
    error = kind(*(message if isinstance(message, tuple) else (message,)))
    vars(error).update(fields)
    return error


@pytest.mark.parametrize(
    ("error", "wrong", "said"),
    [
        (failure("no column", sqlstate="42703"), True, "no column (SQLSTATE 42703)"),
        (failure("no column", pgcode="0A000"), True, "no column (SQLSTATE 0A000)"),
        (failure("x", sqlstate="25006"), True, "x (SQLSTATE 25006); a query must only read"),
        (failure("gone", sqlstate="57P01"), False, "gone (SQLSTATE 57P01)"),
        (
            failure("secret text", sqlstate="P0001"),
            False,
            "a function of the database raised an error (SQLSTATE P0001)",
        ),
        (failure("bad", kind=ProgrammingError), True, "bad"),
        (failure("bad", kind=NotSupportedError), True, "bad"),
        (failure("bad", sqlite_errorname="SQLITE_READONLY"), True, "bad"),
        (failure("bad", sqlite_errorname="SQLITE_ERROR"), True, "bad"),
        (failure("bad", sqlite_errorname="SQLITE_BUSY"), False, "bad"),
        (failure((1054, "Unknown column 'secret'")), False, "Unknown column 'secret' (error 1054)"),
        (failure((1146, "Table 'secret'")), False, "Table 'secret' (error 1146)"),
        (failure((1062, "Duplicate 'secret'")), False, "Duplicate '…' (error …)"),
        (failure("\n first \n second"), False, "first"),
        (failure("first DETAIL: secret"), False, "first"),
        (failure("first CONTEXT: secret"), False, "first"),
        (failure(""), False, "Exception"),
        (failure("number 99999 and 123456 at 12"), False, "number … and 123456 at 12"),
        (failure("bad value 'secret' of 'x"), False, "bad value '…"),
        (failure("bad value 'it's a secret\nof 'two' lines'"), False, "bad value '…"),
        (failure('doesn\'t like "secret" it'), False, 'doesn\'t like "…" it'),
        (failure("has parameter-text in it"), False, "has … in it"),
        (
            failure("column 'name' of 'secret'", sqlstate="42703"),
            True,
            "column 'name' of '…' (SQLSTATE 42703)",
        ),
        (failure("column 'nam' is", sqlstate="42703"), True, "column '…' is (SQLSTATE 42703)"),
        (failure("column 'name' is", sqlstate="22000"), False, "column '…' is (SQLSTATE 22000)"),
        (failure("column 'name", sqlstate="42703"), True, "column '… (SQLSTATE 42703)"),
        (
            failure("column 'name' is bad\nLINE 1: a 'b", sqlstate="42703"),
            True,
            "column 'name' is bad (SQLSTATE 42703)",
        ),
        (failure("doesn't fit 'name", sqlstate="42703"), True, "doesn't fit '… (SQLSTATE 42703)"),
        (failure("'name' and 'name' fit", sqlstate="42703"), True, "'name' and 'name' fit (SQLSTATE 42703)"),
        (failure("'' and 'name' fit", sqlstate="42703"), True, "'' and 'name' fit (SQLSTATE 42703)"),
        (failure("'secret' at 12"), False, "'…' at 12"),
        (failure("abcd, de, None, True or 7"), False, "…d, de, None, True or 7"),
        (failure(7), False, "7"),
        (failure((1054,)), False, "1054"),
        (failure(("secret", 7)), False, "('…', 7)"),
        (failure("value '' at 12"), False, "value '…' at 12"),
        (failure("value ' at 12"), False, "value '…"),
        (failure("it doesn't fit 'x' at 12"), False, "it doesn't fit '…' at 12"),
        (failure("value 'x' of 'y' at 12"), False, "value '…' at 12"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_failure_says_what_is_wrong_without_values(error: Exception, wrong: bool, said: str) -> None:
    found = database_error(error, QUERY)
    assert type(found) is (InputError if wrong else DatabaseError)
    beginning = (
        "sql: cannot be run on the connection 'no_such_connection': "
        if wrong
        else "the database of the connection 'no_such_connection' failed while its rows were read: "
    )
    assert str(found) == f"{beginning}{said}{'' if wrong else '; nothing was sent'}"


def test_parameters_that_do_not_fit_are_a_problem_of_their_own() -> None:
    for kind in (IndexError, KeyError, TypeError):
        found = database_error(failure("x", kind=kind), QUERY)
        assert str(found) == "parameters: do not fit the placeholders of the query"
        assert isinstance(database_error(failure("x", kind=kind), Query("SELECT 1", "w")), DatabaseError)
    assert isinstance(database_error(failure("x", kind=ValueError), QUERY), DatabaseError)


def test_a_connection_that_cannot_be_opened_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = (
        '{"conn_type": "x", "password": "pass-word", "extra": {"key": "12345678", "short": "1234567"}}'
    )
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection)
    error = failure("no 'pass-word' 12345678 1234567", sqlstate="42000")
    found = database_error(error, Query("SELECT 1", "warehouse", ["x"]), connecting=True)
    assert str(found) == (
        "the database of the connection 'warehouse' cannot be reached: no '***' *** 1234567 (SQLSTATE 42000);"
        " nothing was sent"
    )
    long = database_error(failure("x" * 400), Query("SELECT 1", "warehouse"), connecting=True)
    assert "x" * 299 + "…" in str(long)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_the_rows_that_fitted(number: int) -> None:
    assert str(spool_error(OSError(number, "x"), 7)) == (
        f"the local disk is full, in {tempfile.gettempdir()}, after 7 rows of the query; nothing was sent."
        " Free space there, or set TMPDIR to a larger disk"
    )


def test_another_failure_of_the_disk_has_its_reason() -> None:
    error: Any = SimpleNamespace(errno=errno.EIO, strerror="input/output error")
    assert "the local disk cannot be written (input/output error), in" in str(spool_error(error, 0))


def test_a_folder_for_rows_that_is_gone_is_no_failure_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error said that the database had failed: `No such file or directory`."""
    connect_file(monkeypatch, "sqlite", tmp_path / "x.db")
    monkeypatch.setattr("tempfile.tempdir", f"{tmp_path}/gone")
    said = (
        rf"the local disk cannot be written \(No such file or directory\), in {tmp_path}/gone, .*Check TMPDIR"
    )
    with (
        pytest.raises(ProviderError, match=said) as caught,
        read_query(Query("SELECT 1", "warehouse"), logging.getLogger(__name__)),
    ):
        pass
    assert not isinstance(caught.value, DatabaseError)


def test_no_folder_for_temporary_files_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [f"{tmp_path}/gone"])
    with pytest.raises(
        ProviderError, match="No usable temporary directory.*; nothing was sent. Check TMPDIR"
    ):
        SqlRows(["a"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is one of Linux")
def test_rows_beyond_the_end_of_the_disk_are_counted() -> None:
    rows = SqlRows(["a"])
    rows.close()
    rows._file = open("/dev/full", "wb")  # noqa: SIM115 - close() closes it
    with pytest.raises(ProviderError, match="the local disk is full, in .*, after 2 rows of the query"):
        rows.add([[1], [2]])
    rows.close()


def test_rows_know_the_zone_that_was_stated() -> None:
    for zone in (None, UTC):
        rows = SqlRows(["a"], zone)
        assert (rows.names, rows.timezone, rows.count) == (["a"], zone, 0)
        rows.close()


def test_a_value_that_no_reader_returns_is_no_part_of_a_row() -> None:
    rows = SqlRows(["a"])
    with pytest.raises(TypeError, match="^DateRange$"):
        rows.add([[DateRange()]])
    rows.add([[Unreadable("is broken")], [ExactDecimal(Decimal("0.10"))]])
    (broken,), (number,) = rows
    assert (broken.problem, str(number)) == ("is broken", "0.10")
    rows.close()
