from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import open_compressed
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter
from airflow_provider.errors import InputError


def test_json_lines_and_csv_hold_every_row_once(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 'x,"y"\nz'}, {"a": None, "b": "ø"}, {"a": True, "b": {"k": [1]}}]
    with AtomicFile(str(tmp_path / "x.jsonl")) as out:
        lines = JsonLinesWriter(out)
        lines.write_rows(rows[:1])
        lines.write_rows([])
        lines.write_rows(rows[1:])
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_bytes().splitlines()] == rows
    with (
        AtomicFile(str(tmp_path / "x.csv.gz")) as file,
        open_compressed(file, compressed=True) as compressed,
    ):
        table = CsvWriter(compressed)
        table.write_rows(rows)
        table.close()
    with gzip.open(tmp_path / "x.csv.gz", "rt", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", 'x,"y"\nz'], ["", "ø"], ["true", '{"k":[1]}']]
    assert table.rows == 3


def test_an_empty_csv_still_has_its_header(tmp_path: Path) -> None:
    with AtomicFile(str(tmp_path / "x.csv")) as out:
        CsvWriter(out, ["a", "b"]).close()
    assert (tmp_path / "x.csv").read_text() == "a,b\n"


def test_a_csv_row_with_a_column_of_its_own_is_refused_not_cut(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="columns that the header lacks"),
        AtomicFile(str(tmp_path / "x")) as out,
    ):
        CsvWriter(out).write_rows([{"a": 1}, {"a": 1, "b": 2}])
