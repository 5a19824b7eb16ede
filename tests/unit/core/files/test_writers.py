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


class Out:
    """An open file that keeps its bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(data)
        return len(data)


def test_lines_that_are_encoded_already_are_written_as_they_are() -> None:
    out = Out()
    writer = JsonLinesWriter(out)  # type: ignore[arg-type]
    writer.write_lines(b'{"a": 1}\n{"a": 2}', 2)
    writer.write_lines(b"", 0)
    writer.write_rows([])
    assert (b"".join(out.parts), writer.rows, writer.columns) == (b'{"a": 1}\n{"a": 2}\n', 2, [])
    out.parts.clear()
    writer.write_rows([{"b": 3, "a": 4}, {"c": 5}])
    assert (b"".join(out.parts), writer.rows) == (b'{"b":3,"a":4}\n{"c":5}\n', 4)
    assert writer.columns == ["b", "a"]
    assert JsonLinesWriter(out, ["x"]).columns == ["x"]  # type: ignore[arg-type]


def test_csv_has_its_header_once_and_the_columns_of_the_first_row() -> None:
    out = Out()
    writer = CsvWriter(out)  # type: ignore[arg-type]
    writer.write_rows([])
    assert b"".join(out.parts) == b""
    writer.write_lines(b'{"a": 1, "b": null}\n{"b": true, "a": [1, "x"]}', 2)
    writer.write_rows([{"a": False, "b": 'x,"y"\n'}])
    writer.close()
    assert b"".join(out.parts).decode() == 'a,b\n1,\n"[1,""x""]",true\nfalse,"x,""y""\n"\n'
    assert writer.rows == 3
    with pytest.raises(InputError, match=r"^row 4 has columns that the header lacks: \['c', 'd'\]$"):
        writer.write_rows([{"d": 1, "c": 2}])
    empty = Out()
    CsvWriter(empty).close()  # type: ignore[arg-type]
    assert empty.parts == []


def test_a_text_of_csv_keeps_each_kind_of_line_end(tmp_path: Path) -> None:
    texts = ["a\rb", "\r", "a\r\nb", "\n", "a\x0bb\u2028c", '"\r"']
    with AtomicFile(str(tmp_path / "x.csv")) as out:
        CsvWriter(out, ["text\r", "n"]).write_rows({"text\r": text, "n": 1} for text in texts)
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file, strict=True)) == [["text\r", "n"], *([text, "1"] for text in texts)]
    assert (tmp_path / "x.csv").read_bytes().endswith(b",1\n")
