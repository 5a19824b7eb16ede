from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format, choose_format, import_pyarrow, open_compressed
from airflow_provider.errors import InputError

FORMATS = ("jsonl", "csv", "parquet")


def choose(output_path: str, **more: Any) -> Format:
    return choose_format(output_path, FORMATS, compressible=("jsonl", "csv"), **more)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b.jsonl", Format("jsonl")),
        ("s3://aws@twin/B.CSV", Format("csv")),
        ("b.csv.gz", Format("csv", True)),
        ("b.parquet", Format("parquet")),
    ],
)
def test_the_suffix_names_the_format(path: str, expected: Format) -> None:
    assert choose(path) == expected


def test_a_given_format_needs_no_suffix() -> None:
    assert choose("out.txt", given="csv") == Format("csv")
    assert choose("out.gz", given="csv") == Format("csv", True)


@pytest.mark.parametrize("path", ["", "out", "csv", "out.txt", "out.csv/", "out.parquet.gz", "out.gz"])
def test_an_unknown_suffix_is_refused_with_those_that_are_known(path: str) -> None:
    known = r"must end in one of \.jsonl, \.csv, \.parquet \(\.jsonl and \.csv also with \.gz\)"
    with pytest.raises(InputError, match=rf"{known}$"):
        choose(path)
    with pytest.raises(InputError, match=rf"{known}, or set 'format'$"):
        choose(path, argument="format")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="format: 'xlsx' is unknown; there are jsonl, csv, parquet"):
        choose("out.csv", given="xlsx", argument="format")


def test_a_missing_pyarrow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match="^x: Parquet needs pyarrow: install the extra 'parquet'$"):
        import_pyarrow("x")


def test_equal_content_makes_equal_compressed_bytes(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with AtomicFile(str(tmp_path / name)) as file, open_compressed(file, compressed=True) as out:
            out.write(b"rows")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"rows"


@pytest.mark.parametrize("path", [None, 5, b"a.csv", Path("a.csv"), float("nan")])
def test_a_path_that_is_no_text_is_refused(path: Any) -> None:
    with pytest.raises(InputError, match="output_path: must be the path of a file, not"):
        choose(path)


@pytest.mark.parametrize(
    ("path", "given", "message"),
    [
        (
            "a.txt",
            None,
            "output_path: 'a.txt' must end in one of .csv, .jsonl, .parquet (.csv and .jsonl also with .gz),"
            " or set 'file_format'",
        ),
        (
            "a.parquet.gz",
            None,
            "output_path: 'a.parquet.gz' must end in one of .csv, .jsonl, .parquet (.csv and .jsonl also with"
            " .gz), or set 'file_format'",
        ),
        (
            "a.gz",
            "parquet",
            "output_path: 'a.gz' must end in one of .csv, .jsonl, .parquet (.csv and .jsonl also with .gz)",
        ),
        ("a.csv", "xml", "file_format: 'xml' is unknown; there are csv, jsonl, parquet"),
    ],
)
def test_a_format_that_cannot_be_written_is_refused_with_those_that_can(
    path: str, given: str | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        choose_format(
            path,
            ("csv", "jsonl", "parquet"),
            compressible=("csv", "jsonl"),
            given=given,
            argument="file_format",
        )
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("path", "given", "found"),
    [
        ("/a.b/C.CSV", None, ("csv", False)),
        ("a.tar.csv.gz", None, ("csv", True)),
        ("noname", "csv", ("csv", False)),
        ("a.txt.gz", "csv", ("csv", True)),
        ("csv/a.jsonl", None, ("jsonl", False)),
    ],
)
def test_name_and_compression_are_chosen_apart(path: str, given: str | None, found: tuple[str, bool]) -> None:
    chosen = choose_format(path, ("csv", "jsonl"), compressible=("csv", "jsonl"), given=given)
    assert (chosen.name, chosen.compressed) == found
    with pytest.raises(InputError, match=r"must end in one of .csv \( also with .gz\)$"):
        choose_format("csv", ("csv",), compressible=())


def test_the_header_of_a_compressed_file_has_neither_time_nor_name(tmp_path: Path) -> None:
    with AtomicFile(f"{tmp_path}/a.gz") as file, open_compressed(file, compressed=True) as out:
        out.write(b"rows")
    assert (tmp_path / "a.gz").read_bytes()[:8] == b"\x1f\x8b\x08\0\0\0\0\0"
    with AtomicFile(f"{tmp_path}/a") as file, open_compressed(file, compressed=False) as out:
        assert out is file
