"""What is refused before a table is touched: arguments, names, columns, keys, and too few rows."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider.errors import InputError, TransportError
from airflow_provider.warehouse.operators import SqlLoadOperator
from tests.support.postgres import PASSWORD
from tests.support.task_runner import TaskRunner

pytestmark = pytest.mark.slow  # checks do not depend on versions


@pytest.fixture
def table(database):
    database.query("CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'x')")
    database.query(
        "INSERT INTO t SELECT n, 'old' FROM generate_series(1, 10) n; ALTER TABLE t OWNER TO loader"
    )
    return database


@pytest.fixture
def write(tmp_path):
    def run(rows, name="a.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            parquet.write_table(pa.Table.from_pylist(rows), path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return run


def problems(load, *arguments, **more):
    with pytest.raises(InputError) as caught:
        load(*arguments, **more)
    return caught.value.problems


def numbers(count):
    return [{"id": number, "name": "new"} for number in range(1, count + 1)]


def test_all_problems_of_the_arguments_are_reported_at_once_before_the_database_is_touched(load, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    found = problems(
        load,
        "None",
        table="t; DROP TABLE t",
        mode="upsert",
        key=["a", "a"],
        max_shrink=2,
        create="maybe",
        allow_empty="",
        sql_conn_id=" ",
        columns="{'a': 'b'}",
        ignore="['a']",
        csv_delimiter="ab",
        complete="  ",
    )
    starts = ["'create'", "'allow_empty'", "'max_shrink'", "'mode'", "'source'", "'sql_conn_id'"]
    starts += ["'table'", "'key'", "columns", "ignore", "csv_delimiter", "complete"]
    assert [problem.split(" ")[0] for problem in found] == starts


def test_merge_needs_a_key_and_append_takes_no_max_shrink(load):
    assert "'key' is needed for mode 'merge'" in problems(load, "a.csv", mode="merge")[0]
    assert "'max_shrink' does not apply" in problems(load, "a.csv", mode="append", max_shrink=0.5)[0]


def test_all_arguments_are_templated():
    operator = SqlLoadOperator(task_id="l", source="a.csv", sql_conn_id="w", table="t")
    arguments = {name for name in vars(operator) if name in SqlLoadOperator.template_fields}
    assert arguments == set(SqlLoadOperator.template_fields)
    given = set(SqlLoadOperator.__init__.__wrapped__.__kwdefaults__) | {"source", "sql_conn_id", "table"}
    assert given == set(SqlLoadOperator.template_fields)


@pytest.mark.parametrize(
    "name",
    ["a b", "a;b", "a.b.c.d", "a..b", ".a", "'a'", '"a', "a--", "1a", "", None, 7, "a\0b", "[a]", "a)"],
)
def test_a_text_that_is_no_name_is_refused(load, name):
    assert "'table' must be" in problems(load, "a.csv", name)[0]


NAMES = ['"we""ird; DROP TABLE t --"', '"T"', '"my schema"."100% %s $1 ?"', '"Ä"."ö.x"']


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["replace", "merge", "append"])
def test_any_name_of_tables_and_columns_is_quoted(table, load, write, name, mode, driver):
    for part in ["my schema", "Ä"]:
        table.query(f'CREATE SCHEMA "{part}" AUTHORIZATION loader')
    columns = ['we"ird', "100% %s", "select", "a,b", "_twin_row"]
    rows = [dict.fromkeys(columns, number) for number in (1, 2)]
    result = load(write(rows), name, mode=mode, create=True, key=columns[:2])
    assert result["inserted"] == 2
    load(write([dict.fromkeys(columns, number) for number in (1, 3)]), name, mode="merge", key=columns[:2])
    names = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
    assert table.query(f"SELECT {names} FROM {name} ORDER BY 1")[2] == (3,) * 5
    assert table.query("SELECT count(*) FROM t") == [(10,)]


def test_names_without_quotes_are_found_in_small_letters(table, load, write):
    assert load(write([{"ID": 1, "Name": "new"}]), "Public.T", mode="merge", key="Id")["updated"] == 1


def test_a_missing_table_a_view_and_a_missing_schema_are_named(table, load, write):
    table.query("CREATE VIEW v AS SELECT * FROM t; GRANT ALL ON v TO loader")
    path = write(numbers(1))
    assert problems(load, path, "public.u") == ["there is no table 'public.u'; create it, or set create=True"]
    assert "'v' is no table but a view" in problems(load, path, "v")[0]
    assert 'schema "nowhere" does not exist' in problems(load, path, "nowhere.u", create=True)[0]


def test_a_table_without_the_privilege_is_named(table, load, write):
    table.query("ALTER TABLE t OWNER TO airflow; GRANT SELECT ON t TO loader")
    assert "permission denied for table t" in problems(load, write(numbers(1)))[0]


def test_new_columns_fail_before_any_write_with_the_statement_that_adds_them(table, load, write):
    path = write([{"id": 1, "namme": 1.5}, {"id": 2, "Ort": {"a": 1}}])
    first, second = problems(load, path)
    assert first.startswith(
        "the table has no column 'namme'; did you mean 'name'?; put 'namme' into 'ignore'"
    )
    assert first.endswith('or run: ALTER TABLE "t" ADD COLUMN "namme" double precision;')
    assert second.endswith('or run: ALTER TABLE "t" ADD COLUMN "Ort" jsonb;')
    assert load(path, ignore=["Ort", "namme"])["rows"] == 2


def test_columns_that_are_generated_doubled_or_unknown_are_refused(table, load, write):
    table.query(
        "ALTER TABLE t ADD g int GENERATED ALWAYS AS (id * 2) STORED, ADD i int GENERATED ALWAYS AS IDENTITY"
    )
    path = write([{"id": 1, "g": 2, "i": 3, "a": "x", "name": "y"}])
    found = problems(load, path, columns={"a": "name", "b": "c"}, ignore=["zz"], key=["nokey"])
    assert [problem.split(";")[0].split(":")[0] for problem in found] == [
        "'b' of columns or ignore is not in the source",
        "'zz' of columns or ignore is not in the source",
        "the column 'name' is filled by 2 columns of the source",
        "the column 'g' is made by the database",
        "the column 'i' is made by the database",
        "the key column 'nokey' is not in the source",
    ]
    assert load(path, ignore=["g", "i", "a"])["inserted"] == 1


def test_keys_that_are_empty_or_there_twice_are_named_up_to_twenty(table, load, write):
    table.query("ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP NOT NULL")
    rows = [{"id": number} for number in range(30)] * 2 + [{"name": "secret-value"}]
    found = problems(load, write(rows), key=["id"])
    assert found[0] == "the key (id) is empty in 1 rows: row 61"
    assert found[1] == "the key (id) = (0) is there 2 times"
    assert found[21] == "10 further keys are there more than once"
    assert len(found) == 22
    assert table.query("SELECT count(*) FROM t WHERE name = 'old'") == [(10,)]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_keys_that_an_index_refuses_are_named(table, load, write, mode, driver):
    table.query("DELETE FROM t WHERE id > 2")
    rows = [{"id": number, "name": "s3cret-Value"} for number in (1, 2, 5, 5, 7)]
    expected = ["the key (id) = (5) is there 2 times"]
    if mode == "append":
        expected += [f"the key (id) = ({number}) is in the table already" for number in (1, 2)]
    assert problems(load, write(rows), mode=mode, key=["id"]) == expected
    assert table.query("SELECT id, name FROM t ORDER BY 1") == [(1, "old"), (2, "old")]


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_fewer_rows_than_max_shrink_allows_are_refused(table, load, write, mode):
    (found,) = problems(load, write(numbers(4)), mode=mode, key=["id"], max_shrink=0.5)
    assert found.startswith("has 4 rows, and t has 10; a decrease of more than 50% is rejected")
    assert table.query("SELECT count(*) FROM t WHERE name = 'old'") == [(10,)]
    assert load(write(numbers(5)), mode=mode, key=["id"], max_shrink="0.5")["rows"] == 5


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_an_empty_source_empties_no_table_unless_that_is_allowed(table, load, tmp_path, name):
    path = tmp_path / name
    if name == "a.parquet":
        parquet.write_table(pa.table({"id": pa.array([], pa.int64())}), path)
    else:
        path.write_text("id,name\n" if name == "a.csv" else "")
    assert "would empty t; set allow_empty=True" in problems(load, path)[0]
    assert table.query("SELECT count(*) FROM t") == [(10,)]
    assert load(path, mode="merge", key=["id"])["rows"] == 0
    assert load(path, mode="append")["rows"] == 0
    assert load(path, allow_empty=True, task_id="other") == {
        "table": "t",
        "rows": 0,
        "inserted": 0,
        "updated": 0,
        "deleted": 10,
        "load_id": "dag/manual__1/other/-1",
    }


def test_the_numbers_of_an_exports_result_are_checked(table, load, write):
    path = write(numbers(3))
    result = {"uri": str(path), "rows": 3, "bytes": path.stat().st_size}
    task = {"task_id": "l", "sql_conn_id": "warehouse", "table": "t"}
    assert SqlLoadOperator(source=result, **task).execute({})["rows"] == 3
    for wrong, text in [
        ({"rows": 4}, "has 3 rows, and its export wrote 4"),
        ({"bytes": 1}, "bytes, and its export wrote 1"),
        ({"sha256": "0" * 64}, "has other bytes than its export wrote"),
    ]:
        with pytest.raises(InputError, match=text):
            SqlLoadOperator(source={**result, **wrong}, **task).execute({})


def test_the_files_of_a_manifest_are_checked_and_loaded_together(table, load, write, tmp_path):
    paths = [write([{"id": number}], f"part-{number}.jsonl") for number in (1, 2)]
    files = [{"uri": str(path), "rows": 1, "bytes": path.stat().st_size} for path in paths]
    manifest = tmp_path / "_manifest.json"
    manifest.write_text(json.dumps({"format": "jsonl", "rows": 2, "files": files, "columns": ["id"]}))
    assert load(manifest)["rows"] == 2
    manifest.write_text(
        json.dumps({"format": "jsonl", "rows": 3, "files": [{**files[0], "rows": 2}, files[1]]})
    )
    assert "has 1 rows, and its manifest says 2" in problems(load, manifest)[0]


def test_rows_of_several_files_are_named_by_file_and_row(table, load, write, tmp_path):
    for number in (1, 2, 10):
        write([{"id": number}, {"id": "x" if number == 10 else number + 50}], f"in/part-{number}.jsonl")
    assert problems(load, f"{tmp_path}/in/")[0].startswith("row part-10.jsonl:2: the column 'id'")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_part_without_bytes_has_no_rows(table, load, write, tmp_path, suffix):
    path = write([{"id": 1}], "in/part-1.parquet")
    if suffix == "csv":
        path.unlink()
        (tmp_path / "in" / "part-1.csv").write_text("id\n1\n")
    (tmp_path / "in" / f"part-0.{suffix}").write_bytes(b"")
    assert load(f"{tmp_path}/in/")["rows"] == 1


def test_parts_with_other_columns_are_named(table, load, write, tmp_path):
    write([{"id": 1}], "in/part-1.parquet")
    write([{"id": 2, "name": "x"}], "in/part-2.parquet")
    assert problems(load, f"{tmp_path}/in/") == ["'part-2.parquet' has the column 'name', which others lack"]


def test_tasks_that_create_one_table_at_the_same_time_wait_for_each_other(table, load, write):
    paths = [write([{"id": number}], f"{number}.jsonl") for number in range(4)]

    def one(number):
        runner = TaskRunner(task_id=f"load-{number}")
        return load(paths[number], "made", mode="append", create=True, runner=runner)

    with ThreadPoolExecutor(4) as pool:
        assert [result["inserted"] for result in pool.map(one, range(4))] == [1] * 4
    assert table.query("SELECT id FROM made ORDER BY 1") == [(0,), (1,), (2,), (3,)]


def test_folders_with_names_of_columns_fill_columns(table, load, write, tmp_path):
    for site in ("a", "b"):
        write([{"id": ord(site)}], f"in/name={site}/p.parquet")
        write([{"id": ord(site) + 100}], f"in/name={site}/q.parquet")
    load(f"{tmp_path}/in/", hive=True)
    assert table.query("SELECT id, name FROM t ORDER BY 1") == [(97, "a"), (98, "b"), (197, "a"), (198, "b")]


def test_a_file_on_object_storage_is_loaded(table, load, s3):
    s3.put_object(Bucket="twin", Key="a.jsonl", Body=b'{"id": 1}')
    assert load("s3://aws_s3@twin/a.jsonl")["rows"] == 1


def test_a_connection_that_is_no_database_is_named(load, write, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "aws", "password": PASSWORD}))
    assert "is of type 'aws' (AwsGenericHook), which is no SQL database" in problems(load, write([{}]))[0]
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    assert problems(load, write([{}])) == ["does not exist ('sql_conn_id')"]


def test_a_wrong_password_and_a_closed_port_are_told_without_the_password(
    database, load, write, monkeypatch, driver
):
    path = write(numbers(1))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(password="wrong-Pa%ss"))
    with pytest.raises(TransportError, match="password authentication failed") as caught:
        load(path)
    assert "wrong-Pa" not in str(caught.value)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(port=1))
    with pytest.raises(TransportError, match="no connection to the database"):
        load(path)


def test_the_log_says_how_many_rows_did_what(table, load, write, caplog, capsys):
    load(write(numbers(11)), mode="merge", key=["id"])
    text = capsys.readouterr().out + caplog.text
    assert "Loaded 11 rows into t (merge): 1 inserted, 10 updated, 0 deleted, 0 unchanged, in " in text
    with pytest.raises(InputError):
        load(write([{"id": "x"}]))
    assert "Nothing was loaded: t is as it was" in capsys.readouterr().out + caplog.text


def test_no_value_and_no_password_is_in_any_log_line(table, load, write, caplog, capsys, driver):
    caplog.set_level(logging.DEBUG)
    rows = [{"id": number, "name": "s3cret-Value"} for number in range(20)]
    load(write(rows))
    for bad in ([*rows, {"id": "s3cret-Value"}], rows * 2):
        with pytest.raises(InputError):
            load(write(bad))
    out = capsys.readouterr()
    text = caplog.text + out.out + out.err
    assert "s3cret" not in text
    assert PASSWORD not in text


def test_lineage_has_the_table_without_the_login(table, load, write, monkeypatch):
    from airflow.lineage.hook import HookLineageCollector
    from airflow.providers.common.compat.lineage import hook

    collector = HookLineageCollector()
    monkeypatch.setattr(hook, "get_hook_lineage_collector", lambda: collector)
    table.query('CREATE TABLE "a/b%c" (id int); ALTER TABLE "a/b%c" OWNER TO loader')
    load(write([{"id": 1}]), table='"a/b%c"')
    (output,) = collector.collected_assets.outputs
    assert output.asset.uri == f"postgres://127.0.0.1:{table.server.port}/{table.name}/public/a%2Fb%25c"
    assert PASSWORD not in repr(collector.collected_assets)
