"""The author of a row, or of a file of rows: texts and sizes that are to harm the task that reads them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.amigocloud.sync import geometry as stored
from airflow_provider.core.files import csv_reader, reader
from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.core.sync.failures import report_failed
from airflow_provider.mapsindoors.geodata import wkt_wkb
from airflow_provider.warehouse.load.columns import exact

EVIL = "A-1\n2026-01-01 INFO all rows were written\r\x1b[2J\u202e::group::rest ::endgroup:: :::group::x"

ERRORS: dict[str, Callable[[str], errors.ProviderError]] = {
    "one problem": errors.InputError,
    "problems": lambda text: errors.InputError([text, text], text),
    "failures": lambda text: errors.PartialWriteError([text, text]),
    "differences": lambda text: errors.VerificationError([text, text]),
    "one difference": errors.VerificationError,
    "run": lambda text: errors.RunFailedError(text, text),
    "timeout": lambda text: errors.RunTimeoutError(text, text),
    "refusal": lambda text: errors.RequestRejectedError(400, text, text, request=text),
    "any": errors.ProviderError,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_a_text_of_a_row_adds_no_line_to_an_error_and_hides_none(kind: str) -> None:
    lines = str(ERRORS[kind](EVIL)).split("\n")
    assert len(lines) == 1 + 2 * (kind in ("problems", "failures", "differences"))
    for line in lines:
        assert line.isprintable()
        assert "::group::" not in line
        assert "::endgroup::" not in line


def test_a_harmless_message_stays_as_it_is() -> None:
    text = "row 3: 'Café ☕': unknown type ns::Room; see https://example.com"
    assert str(errors.InputError(text)) == text


def test_a_row_that_is_left_out_is_one_line_of_the_log() -> None:
    class Log:
        lines: list[str] = []  # noqa: RUF012

        def warning(self, text: str, *arguments: Any) -> None:
            self.lines.append(text % arguments)

    report_failed([{"row": 1, "key": EVIL, "reasons": [EVIL, EVIL]}], 1, None, Log())  # type: ignore[arg-type]
    (line,) = Log.lines
    assert line.isprintable()
    assert "::group::" not in line


@pytest.mark.parametrize("name", ["rows.json.gz", "rows.jsonl.gz", "rows.csv.gz"])
def test_few_bytes_do_not_become_a_large_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(csv_reader, "_MAX_LINE", 1 << 20)
    path = tmp_path / name
    start = b"a,b\n1," if "csv" in name else b'[{"a": "'
    path.write_bytes(gzip.compress(start + b" " * 20_000_000))
    with pytest.raises(errors.InputError, match=r"expands more than 200-fold|a line of more than 1 MiB"):
        list(read_rows(str(path)))


@pytest.mark.parametrize("name", ["rows.json.gz", "rows.jsonl.gz", "rows.csv.gz"])
def test_a_file_that_compresses_well_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "_MAX_LINE", 1 << 20)
    rows = {
        "rows.json.gz": b"[" + b",\n".join([b'{"a": 1}'] * 200_000) + b"]",
        "rows.jsonl.gz": b'{"a": 1}\n' * 200_000,
        "rows.csv.gz": b"a\n" + b"1\n" * 200_000,
    }
    path = tmp_path / name
    path.write_bytes(gzip.compress(rows[name]))
    assert sum(1 for _ in read_rows(str(path))) == 200_000


# Quadratic reading would take hours here, and the test its time limit.
BLANKS = " " * 3_000_000


@pytest.mark.parametrize("text", [f"POINT{BLANKS}x", f"POINT{BLANKS}Z{BLANKS}x", f"SRID=1;{BLANKS}1"])
def test_a_geometry_of_blanks_is_refused_in_linear_time(text: str) -> None:
    for read in (wkt_wkb.parse_geometry, stored.read_geometry):
        with pytest.raises(UnreadableValueError):
            read(text)


def test_a_type_of_blanks_is_read_in_linear_time() -> None:
    point = stored.Geometry("Point", [1.0, 2.0])
    assert stored.fitted(point, f"POINT{BLANKS}X") is point


@pytest.mark.parametrize("text", ["1" * 3_000_000 + "x", BLANKS + "x", "row 1 (" * 300_000])
def test_a_long_text_is_no_number_and_no_problem_for_long(text: str) -> None:
    assert exact._NUMBER.fullmatch(text) is None
    assert len(str(errors.InputError([text] * 30))) <= errors.MAX_BYTES
