"""Keys of every type that PostgreSQL has: each row once, in the order of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from airflow_provider.sandbox.server import Sandbox
from tests.unit.amigocloud.export.test_export import export, lines

pytestmark = [
    pytest.mark.both_engines,
    pytest.mark.one_engine("postgresql", "the embedded engine has few types"),
]

ROWS = 130

KEYS = {
    "uuid": "md5(n::text)::uuid",
    "smallint": "(n - 50)::smallint",
    "bigint": "n * 100000000000",
    "numeric": "n / 7.0",
    "large numeric": "12345678901234567890.5::numeric + n",
    "text": "chr(65 + n % 26) || n || chr(97 + n % 26)",
    "text of both cases": "CASE WHEN n % 2 = 0 THEN upper(md5(n::text)) ELSE md5(n::text) END",
    "text with signs": "'it''s \"' || chr(92) || '%_ ' || n || ' ä;--'",
    "hex": "md5(n::text)",
    "varchar": "n::varchar(5)",
    "char": "n::char(7)",
    "name": "('n' || n)::name",
    "date": "'2025-01-01'::date + n",
    "time": "'00:00'::time + n * interval '61.000001 seconds'",
    "timestamp": "'2025-01-01'::timestamp + n * interval '0.000001 second'",
    "timestamptz": "'2025-01-01'::timestamptz + n * interval '1.000001 hour'",
    "interval": "n * interval '1 hour'",
    "bytea": "decode(md5(n::text), 'hex')",
    "inet": "'10.0.0.0'::inet + n",
}


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_any_type_is_read_once_and_in_order(
    sandbox: Sandbox, tmp_path: Path, kind: str, concurrency: int
) -> None:
    sql = f'SELECT {KEYS[kind]} AS "Key", n FROM generate_series(1, {ROWS}) AS n'
    path = tmp_path / "a.jsonl"
    export(path, sql=sql, key="Key", page_size=40, concurrency=concurrency)
    truth = sandbox.amigocloud.store.select(f'SELECT n FROM ({sql}) AS q ORDER BY "Key"', -1, 0).rows
    assert [row["n"] for row in lines(path)] == [row["n"] for row in truth]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("ARRAY[n]", "lists or objects"),
        ("jsonb_build_object('n', n)", "unknown\\(3802\\), which is no key"),
        ("n / 3.0::float8", "is of type float, which is no key"),
        ("nullif(n, 77)", "is null in 1 rows"),
        ("n % 100", "repeats values in 60 rows|is not unique"),
    ],
)
def test_a_key_that_has_no_order_is_refused(tmp_path: Path, key: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(InputError, match=said):
        export(path, sql=f"SELECT {key} AS k, n FROM generate_series(1, {ROWS}) AS n", key="k", page_size=40)
    assert not path.exists()


@pytest.mark.parametrize(("key", "columns"), [("Number", "number, name"), ("NUMBER", "number, name")])
def test_a_name_in_other_cases_is_another_column(tmp_path: Path, key: str, columns: str) -> None:
    with pytest.raises(InputError, match=f"no column '{key}'; they have {columns}"):
        export(tmp_path / "a.jsonl", sql=f"SELECT Number, NAME FROM dataset_{seed.ASSETS}", key=key)


def test_a_limit_inside_of_the_query_stays(tmp_path: Path) -> None:
    sql = f"SELECT number FROM dataset_{seed.ASSETS} ORDER BY number DESC LIMIT 250 OFFSET 10;"
    for options in ({}, {"key": "number"}):
        path = tmp_path / f"{len(options)}.jsonl"
        export(path, sql=sql, page_size=100, **options)
        assert sorted(row["number"] for row in lines(path)) == list(range(2740, 2990))


def test_a_dataset_with_uuids_is_exported_in_ranges(sandbox: Sandbox, tmp_path: Path) -> None:
    columns = [{"name": "amigo_id", "type": "uuid"}, {"name": "n", "type": "integer"}]
    sandbox.amigocloud.store.add(Dataset(4001, seed.PROJECT, "uuids", columns))
    sandbox.amigocloud.store.write(
        "INSERT INTO dataset_4001 SELECT md5(n::text)::uuid, n FROM generate_series(1, 2000) n"
    )
    manifest: Any = export(tmp_path / "a.jsonl", dataset=4001, page_size=100, concurrency=4)
    assert manifest["rows"] == 2000
    assert sorted(row["n"] for row in lines(tmp_path / "a.jsonl")) == list(range(1, 2001))
    with AmigoCloudHook() as hook:
        key = lines(tmp_path / "a.jsonl")[0]["amigo_id"]
        assert hook.get_first(f"SELECT count(*) AS c FROM dataset_4001 WHERE amigo_id = '{key}'") == {"c": 1}
