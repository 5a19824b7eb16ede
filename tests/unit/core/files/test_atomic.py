from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.manifest import log_manifest, manifest
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter
from airflow_provider.errors import InputError


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.bin"
    with AtomicFile(str(target)) as out:
        out.write(b"half")
        assert not target.exists()
        out.write(b" whole")
    assert target.read_bytes() == b"half whole"
    assert out.bytes == 10
    assert out.sha256 == hashlib.sha256(b"half whole").hexdigest()


def test_a_failure_leaves_nothing_behind_and_what_was_there_before(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"yesterday")
    with pytest.raises(RuntimeError), AtomicFile(f"file://{target}") as out:
        out.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"yesterday"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".out.bin.0123456789ab.part"
    left.write_bytes(b"half")
    with AtomicFile(str(tmp_path / "out.bin")) as first, AtomicFile(str(tmp_path / "out.bin")) as second:
        assert not left.exists()
        second.write(b"two")
        first.write(b"one")
    assert (tmp_path / "out.bin").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_what_others_left_under_such_a_name_neither_blocks_nor_is_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".out.bin.0123456789ab.part")
    (tmp_path / ".out.bin.0123456789ac.part").mkdir()
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    link = tmp_path / ".out.bin.0123456789ad.part"
    link.symlink_to(theirs)
    with AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"ours")
    assert (tmp_path / "out.bin").read_bytes() == b"ours"
    assert theirs.read_bytes() == b"theirs"
    assert link.is_symlink()


def test_what_waits_for_its_upload_is_for_its_owner_only(tmp_path: Path, monkeypatch) -> None:
    waits = tmp_path / "waits"
    waits.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(waits))
    monkeypatch.setattr(AtomicFile, "_is_local", staticmethod(lambda _: False))  # as object storage
    with AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"rows")
        (part,) = waits.iterdir()
        assert part.stat().st_mode & 0o777 == 0o600
    assert list(waits.iterdir()) == []
    assert (tmp_path / "out.bin").read_bytes() == b"rows"


@pytest.mark.parametrize("path", ["", " ", "some/folder/"])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="names no file"), AtomicFile(path):
        pass


def test_json_lines_and_csv_hold_every_row_once(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 'x,"y"\nz'}, {"a": None, "b": "ø"}, {"a": True, "b": {"k": [1]}}]
    with AtomicFile(str(tmp_path / "x.jsonl")) as out:
        lines = JsonLinesWriter(out)
        lines.write_rows(rows[:1])
        lines.write_rows([])
        lines.write_rows(rows[1:])
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_bytes().splitlines()] == rows
    with AtomicFile(str(tmp_path / "x.csv.gz")) as out, gzip.GzipFile(fileobj=out, mode="wb") as packed:  # type: ignore[call-overload]
        table = CsvWriter(packed)
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
        pytest.raises(InputError, match="columns that the first row had not"),
        AtomicFile(str(tmp_path / "x")) as out,
    ):
        CsvWriter(out).write_rows([{"a": 1}, {"a": 1, "b": 2}])


def test_the_manifest_describes_the_file_and_nothing_of_its_rows(tmp_path: Path) -> None:
    with AtomicFile(str(tmp_path / "x")) as out:
        out.write(b"123")
    described = manifest(out, file_format="jsonl", rows=1, columns=["a"], requests=2, seconds=0.1)
    assert described == {
        "uri": str(tmp_path / "x"),
        "format": "jsonl",
        "rows": 1,
        "bytes": 3,
        "files": [{"uri": str(tmp_path / "x"), "rows": 1, "bytes": 3}],
        "columns": ["a"],
        "requests": 2,
        "seconds": 0.1,
    }


def test_one_log_line_says_what_an_export_has_made() -> None:
    said: list[str] = []
    log = SimpleNamespace(info=lambda text, *values: said.append(text % values))
    made = {"uri": "s3://aws@twin/a.csv", "rows": 3, "bytes": 40, "requests": 2, "seconds": 1.25}
    assert log_manifest(made, log) is made  # type: ignore[arg-type]
    assert said == ["Exported 3 rows, 40 bytes, with 2 requests in 1.2 s: s3://aws@twin/a.csv"]
