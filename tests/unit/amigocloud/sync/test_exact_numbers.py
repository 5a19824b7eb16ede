"""Exact numbers of a sync: compared and written in all their digits, from each kind of source."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.amigocloud.sync.fields import Field
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.errors import VerificationError
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import COLUMNS
from tests.support.sql_sources import DuckDBHook, connect_file, register_hook
from tests.support.task_runner import TaskRunner

EXACT = 4005
LONG = "0.12345678901234567891"
"""A number of twenty digits."""

NEAR = "0.12345678901234567892"
"""Another one with the same float."""


@pytest.mark.parametrize("kind", ["number", "numeric", "unknown(1700)"])
def test_exact_numbers_are_compared_in_all_their_digits(kind):
    field = Field("price", kind)
    for found in (LONG, f"{LONG}00"):
        assert field.is_equal(found, field.read(LONG))
        assert field.is_equal(found, field.read(Decimal(LONG)))
        assert not field.is_equal(found, field.read(Decimal(NEAR)))
        assert not field.is_equal(found, field.read(float(LONG)))
    for short in ("1.5", "1.50", "15e-1", Decimal("1.500"), 1.5):
        assert field.read(short) == 1.5
        assert type(field.read(short)) is float
    assert field.read("9" * 30) == field.read(int("9" * 30)) == "9" * 30
    assert field.read("1e30") == 1e30
    assert field.read(str(2**64 - 1)) == 2**64 - 1
    for wrong in ("1e999", "1" * 401, "-1e-999"):
        with pytest.raises(UnreadableValueError, match="digits|characters"):
            field.read(wrong)


def test_a_number_that_a_reply_has_in_another_form_is_the_same_number():
    field = Field("price", "number")
    assert field.is_equal(1.5, field.read(Decimal("1.50")))
    assert field.is_equal("1.50", field.read(1.5))
    assert field.is_equal(5.0, field.read("5"))


@pytest.fixture
def exact(service: Any, sync: Any) -> Any:
    """Return a function that syncs rows with a numeric field, and returns counts and the field's values."""
    columns = [dict(one) for one in COLUMNS if one["name"] in ("amigo_id", "code")]
    columns += [{"name": "price", "type": "number"}, {"name": "about", "type": "json"}]
    service.store.add(Dataset(EXACT, 1234, "exact", columns), [])

    def run(source: Any = None, **arguments: Any) -> tuple[list[int], list[Any]]:
        result = sync(source, dataset=EXACT, **arguments)
        rows = service.store.select(f"SELECT price FROM dataset_{EXACT} ORDER BY code", -1, 0).rows
        return [result[name] for name in ("create", "update", "unchanged")], [row["price"] for row in rows]

    return run


@pytest.fixture(params=["rows", "csv", "jsonl", "json", "parquet", "sql"])
def as_source(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that returns the argument of a source with one number."""

    def make(number: str) -> dict[str, Any]:
        kind, path = request.param, tmp_path / f"rows.{request.param}"
        if kind == "csv":
            path.write_text(f"code,price\nD-1,{number}\n")
        elif kind in ("json", "jsonl"):
            path.write_text(("[%s]" if kind == "json" else "%s\n") % f'{{"code": "D-1", "price": {number}}}')
        elif kind == "parquet":
            rows = {"code": ["D-1"], "price": pa.array([Decimal(number)], pa.decimal128(38, 22))}
            pq.write_table(pa.table(rows), path)
        elif kind == "sql":
            connect_file(monkeypatch, "duckdb", tmp_path / "rows.db")
            register_hook(monkeypatch, DuckDBHook)
            sql = f"SELECT 'D-1' AS code, {number}::DECIMAL(38, 22) AS price"
            return {"sql": sql, "sql_conn_id": "warehouse"}
        else:
            return {"source": [{"code": "D-1", "price": Decimal(number)}]}
        return {"source": str(path)}

    return make


@pytest.mark.both_engines
@pytest.mark.one_engine("postgresql", "the embedded one has numbers of 64 bits")
@pytest.mark.parametrize("form", ["number", "text"])
def test_the_twentieth_digit_is_compared_and_written(exact, as_source, service, form):
    service.number_form = form
    assert exact(**as_source(LONG)) == ([1, 0, 0], [Decimal(LONG)])
    assert exact(**as_source(LONG)) == ([0, 0, 1], [Decimal(LONG)])
    assert exact(**as_source(NEAR)) == ([0, 1, 0], [Decimal(NEAR)])
    assert exact(**as_source("0.5"))[0] == [0, 1, 0]
    assert exact(**as_source("0.5"))[0] == [0, 0, 1]


@pytest.mark.both_engines
@pytest.mark.one_engine("postgresql", "the embedded one has numbers of 64 bits")
def test_a_float_of_the_source_leaves_the_digits_that_it_cannot_have(exact, tmp_path):
    exact([{"code": "D-1", "price": LONG}, {"code": "D-2", "price": LONG}])
    floats = [{"code": "D-1", "price": float(LONG)}, {"code": "D-2", "price": 0.25}]
    counts, found = exact(floats)
    assert (counts, found[0], float(found[1])) == ([0, 1, 1], Decimal(LONG), 0.25)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(floats), path)
    assert exact(str(path))[0] == [0, 0, 2]


@pytest.mark.both_engines
@pytest.mark.one_engine("postgresql", "the embedded one has numbers of 64 bits")
def test_an_export_is_synced_back_without_a_difference_and_a_plan_keeps_the_digits(exact, tmp_path):
    exact([{"code": "D-1", "price": LONG, "about": {"x": 0.1234567890123456}}])
    path, plan = tmp_path / "rows.jsonl", str(tmp_path / "plan.json")
    task = AmigoCloudExportOperator(task_id="x", dataset=EXACT, output_path=str(path))
    TaskRunner().run(task)
    assert LONG in path.read_text()
    assert exact(str(path))[0] == [0, 0, 1]
    exact([{"code": "D-1", "price": NEAR}], mode="plan", plan_output=plan)
    assert NEAR in Path(plan).read_text()
    assert exact(None, plan=plan) == ([0, 1, 0], [Decimal(NEAR)])


def test_a_service_that_rounds_an_exact_number_is_named(exact):
    with pytest.raises(VerificationError, match=r"price"):
        exact([{"code": "D-1", "price": LONG}])
