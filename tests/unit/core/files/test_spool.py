"""Rows on disk, and their columns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files import spool
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.parquet import TypedParquetWriter
from airflow_provider.core.files.spool import Spool, write_parquet
from airflow_provider.errors import InputError


def test_rows_come_back_in_order_and_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BATCH", 2)
    rows = [{"n": number} for number in range(5)]
    with Spool() as spool_:
        spool_.add(rows[:3])
        spool_.add(rows[3:])
        assert list(spool_.batches()) == [rows[:2], rows[2:4], rows[4:]]
        assert spool_.rows == 5


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None], "boolean"),
        ([1, None], "integer"),
        ([1, 2.5], "number"),
        (["a"], "text"),
        ([None], "text"),
        ([1, "a"], "json"),
        ([True, 1], "json"),
        ([{"a": 1}], "json"),
        ([2**70], "json"),
    ],
)
def test_a_column_has_the_kind_that_all_its_values_share(values: list[Any], kind: str) -> None:
    with Spool() as spool_:
        spool_.add({"x": value} for value in values)
        assert spool_.kinds() == {"x": kind}


def test_parquet_holds_late_columns_mixed_values_and_nulls(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    with Spool() as spool_, AtomicFile(str(path)) as file:
        spool_.add([{"a": 1, "m": "x"}, {"a": 2.5, "late": True, "m": [1]}])
        write_parquet(file, spool_, ["a", "late", "m", "never"])
    assert pq.read_table(path).to_pylist() == [
        {"a": 1.0, "late": None, "m": '"x"', "never": None},
        {"a": 2.5, "late": True, "m": "[1]", "never": None},
    ]


def test_a_spool_holds_rows_within_its_block_only() -> None:
    with pytest.raises(ValueError, match="^the spool is not open$"):
        Spool().add([{}])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (False, "boolean"),
        (2**63 - 1, "integer"),
        (-(2**63), "integer"),
        (2**63, "json"),
        (-(2**63) - 1, "json"),
        (0.5, "number"),
        ("", "text"),
        ([], "json"),
    ],
)
def test_whole_numbers_of_64_bits_are_integers(value: Any, kind: str) -> None:
    assert spool.kind_of(value) == kind


def test_a_null_of_mixed_values_stays_null(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    with Spool() as spool_, AtomicFile(f"{tmp_path}/x.parquet") as file:
        spool_.add([{"m": None, "n": None}, {"m": 1, "n": 2}, {"m": "a"}])
        write_parquet(file, spool_, ["n", "m"])
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["n", "m"]
    assert table.to_pydict() == {"n": [None, 2, None], "m": [None, "1", '"a"']}


def test_the_file_of_a_spool_is_closed_with_its_block() -> None:
    with Spool() as spool_:
        spool_.add([{"a": 1}])
        file = spool_._open_file()
    assert file.closed


def test_parquet_without_pyarrow_is_a_problem_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with Spool() as spool_, AtomicFile(f"{tmp_path}/x.parquet") as file:
        for write in (lambda: write_parquet(file, spool_, []), lambda: TypedParquetWriter(file, {})):
            with pytest.raises(InputError, match="^output_path: Parquet needs pyarrow: install the extra"):
                write()
