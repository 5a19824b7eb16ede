"""Uploads of rows: their sources, their arguments, and attempts that follow a failure."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider.amigocloud import api, uploads
from airflow_provider.amigocloud.operators import AmigoCloudUploadOperator
from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    PermissionDeniedError,
    RunFailedError,
)
from tests.support.airflow_names import AirflowFailException
from tests.support.desks import DESKS
from tests.support.task_runner import TaskRunner

QUERY = {"sql": "SELECT n, name FROM a ORDER BY n", "sql_conn_id": "warehouse"}
RECURSIVE = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 199)"
MANY = f"CREATE TABLE a (n, name); INSERT INTO a {RECURSIVE} SELECT n, 'name ' || n FROM r;"
CHANGE = "UPDATE a SET name = 'eman' || substr(name, 5) WHERE n = 3"
"""A change that leaves the size of the CSV as it is."""


@pytest.fixture
def in_chunks(monkeypatch):
    monkeypatch.setattr(api, "SIMPLE_UPLOAD", 500)
    monkeypatch.setattr(uploads, "CHUNK", 700)


def named(sandbox, name="assets"):
    return [found.id for found in sandbox.amigocloud.store.datasets.values() if found.name == name]


def parquet(path, **columns):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return str(path)


# -- sources


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_the_rows_of_a_query_become_a_dataset(sandbox, upload, warehouse, read, deferrable):
    warehouse("CREATE TABLE a (n, name); INSERT INTO a VALUES (1, 'one'), (2, NULL)")
    result = upload(**QUERY, deferrable=deferrable)
    assert result == {"job": result["job"], "dataset_ids": named(sandbox), "rows": 2}
    assert read(named(sandbox)[0], "n, name") == [{"n": 1, "name": "one"}, {"n": 2, "name": None}]


def test_a_deferred_task_that_forgets_its_arguments_returns_the_rows(sandbox, upload, warehouse):
    warehouse(MANY)
    assert upload(TaskRunner(forgets_arguments=True), **QUERY, deferrable=True)["rows"] == 200
    assert upload(TaskRunner(remembers=False), **QUERY, deferrable=True)["rows"] == 200


@pytest.mark.parametrize("source", ["parts/", "parts/part-*.parquet", "parts/assets.manifest"])
def test_many_files_become_one_dataset_named_after_their_folder(sandbox, upload, read, tmp_path, source):
    for n in (1, 2):
        parquet(tmp_path / "parts" / f"part-{n}.parquet", n=[n], name=[f"name {n}"])
    if source.endswith("manifest"):
        entries = [{"url": str(tmp_path / "parts" / f"part-{n}.parquet"), "mandatory": True} for n in (1, 2)]
        (tmp_path / source).write_text(json.dumps({"entries": entries}))
    result = upload(source=f"{tmp_path}/{source}")
    assert result["rows"] == 2
    assert result["dataset_ids"] == named(sandbox, "assets" if source.endswith("manifest") else "parts")
    assert [row["name"] for row in read(result["dataset_ids"][0], "n, name")] == ["name 1", "name 2"]


def test_columns_of_json_rows_may_come_up_late(sandbox, upload, read, tmp_path):
    for n, row in enumerate(({"n": 1}, {"n": 2, "late": "x"})):
        (tmp_path / f"{n}.jsonl").write_text(json.dumps(row))
    (dataset,) = upload(source=f"{tmp_path}/*.jsonl")["dataset_ids"]
    assert read(dataset, "n, late") == [{"n": 1, "late": None}, {"n": 2, "late": "x"}]


def test_columns_are_renamed_and_left_out(sandbox, upload, read, tmp_path):
    path = parquet(tmp_path / "a.parquet", Nr=["D-1"], Sitze=[3], x=[None])
    upload(source=path, dataset=DESKS, columns={"Nr": "code", "Sitze": "seats"}, ignore=["x"])
    assert read(DESKS, "code, seats") == [{"code": "D-1", "seats": 3}]


def test_columns_of_a_query_find_fields_in_another_case(sandbox, upload, warehouse, read):
    warehouse("CREATE TABLE a (CODE, Seats); INSERT INTO a VALUES ('D-1', 3)")
    upload(sql="SELECT * FROM a", sql_conn_id="warehouse", dataset=DESKS)
    assert read(DESKS, "code, seats") == [{"code": "D-1", "seats": 3}]


@pytest.mark.parametrize("name", ["a.csv", "a.zip", "a.json", "a[1].csv", "a.bin"])
def test_any_other_file_is_sent_byte_for_byte(sandbox, upload, tmp_path, monkeypatch, name):
    content = b"\xef\xbb\xbfa;b\r\n1,5;''\n\n"
    (tmp_path / name).write_bytes(content)
    sent = []
    monkeypatch.setattr(api, "upload", lambda *given: sent.append(given) or api_upload(*given))
    result = upload(source=str(tmp_path / name), options={"csv_props.delimiter": ";"})
    assert sent == [(name, content, {"csv_props.delimiter": ";"})]
    assert "rows" not in result


api_upload = api.upload


# -- arguments


def test_exactly_one_of_source_and_sql_is_required(sandbox, upload, tmp_path):
    with pytest.raises(InputError, match="'source' is empty"):
        upload()
    with pytest.raises(InputError, match="give either 'source' or 'sql', not both"):
        upload(source=str(tmp_path / "a.parquet"), **QUERY)
    assert sandbox.counters.total() == 0


def test_options_of_rows_are_refused_with_a_file_that_is_sent_as_it_is(sandbox, upload, tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="'columns', 'min_rows': only for rows, but .* is sent as it is"):
        upload(source=str(tmp_path / "a.csv"), columns={"a": "b"}, min_rows="1")
    assert sandbox.counters.total() == 0


def test_form_fields_of_the_csv_are_refused_with_rows(sandbox, upload, warehouse):
    warehouse(MANY)
    with pytest.raises(InputError, match="'csv_props.delimiter': the CSV of rows is written by the task"):
        upload(**QUERY, options={"csv_props.delimiter": ";"})
    assert sandbox.counters.total() == 0


def test_a_source_without_rows_is_refused_unless_min_rows_is_0(sandbox, upload, warehouse, read):
    warehouse("CREATE TABLE a (code, seats)")
    query = {"sql": "SELECT * FROM a", "sql_conn_id": "warehouse", "dataset": DESKS}
    with pytest.raises(InputError, match="has no rows; min_rows=0"):
        upload(**query)
    with pytest.raises(InputError, match="has 0 rows, fewer than min_rows 5"):
        upload(**query, min_rows=5)
    assert sandbox.counters.total("POST") == 0
    assert upload(**query, min_rows="0")["rows"] == 0
    assert read(DESKS, "code") == []


def test_a_file_that_is_missing_is_refused_before_any_request(sandbox, upload, tmp_path):
    for source in ("a.parquet", "none/", "*.parquet"):
        with pytest.raises(InputError):
            upload(source=f"{tmp_path}/{source}", dataset=DESKS)
    assert sandbox.counters.total() == 0


def test_every_argument_of_rows_is_templated():
    names = {*AmigoCloudUploadOperator.ROW_FIELDS, *AmigoCloudUploadOperator.SQL_FIELDS}
    assert names <= {*AmigoCloudUploadOperator.template_fields}


# -- attempts


def test_an_interrupted_upload_of_rows_is_resumed_with_the_same_bytes(sandbox, upload, warehouse, in_chunks):
    warehouse(MANY)
    task = TaskRunner()
    sandbox.faults.add("status", path="chunked_upload$", after=2, status=403)
    with pytest.raises(PermissionDeniedError):
        upload(task, **QUERY)
    sandbox.counters.clear()
    assert upload(task, **QUERY)["dataset_ids"] == named(sandbox)
    # Of five chunks, the first one is sent again to learn the place.
    assert (len(named(sandbox)), sandbox.counters.total("POST")) == (1, 1 + 3 + 1 - 1)


def test_rows_that_have_changed_are_never_mixed_with_earlier_chunks(
    sandbox, upload, warehouse, read, in_chunks
):
    warehouse(MANY)
    task = TaskRunner()
    sandbox.amigocloud.check_md5 = False
    sandbox.faults.add("status", path="chunked_upload$", after=2, status=403)
    with pytest.raises(PermissionDeniedError):
        upload(task, **QUERY)
    warehouse(CHANGE)
    assert upload(task, **QUERY)["dataset_ids"] == named(sandbox)
    assert len(named(sandbox)) == 1
    assert read(named(sandbox)[0], "n, name")[3] == {"n": 3, "name": "eman 3"}


def test_changed_rows_that_are_refused_are_not_mixed_later(sandbox, upload, warehouse, read, in_chunks):
    warehouse(MANY)
    task = TaskRunner()
    sandbox.amigocloud.check_md5 = False
    for after, change in ((2, CHANGE), (0, "")):
        sandbox.faults.add("status", path="chunked_upload$", after=after, status=403)
        with pytest.raises(PermissionDeniedError):
            upload(task, **QUERY)
        warehouse(change)
    assert upload(task, **QUERY)["dataset_ids"] == named(sandbox)
    assert read(named(sandbox)[0], "n, name")[3] == {"n": 3, "name": "eman 3"}


def test_a_file_that_has_changed_is_never_mixed_with_earlier_chunks(sandbox, upload, in_chunks, tmp_path):
    task, path = TaskRunner(), tmp_path / "assets.csv"
    path.write_text("a\n" + "x\n" * 1000)
    sandbox.amigocloud.check_md5 = False
    sandbox.faults.add("status", path="chunked_upload$", after=2, status=403)
    with pytest.raises(PermissionDeniedError):
        upload(task, source=str(path))
    path.write_text("a\n" + "y\n" * 1000)
    (dataset,) = upload(task, source=str(path))["dataset_ids"]
    table = f'SELECT DISTINCT a FROM "dataset_{dataset}"'
    assert sandbox.amigocloud.store.select(table, 10, 0).rows == [{"a": "y"}]


@pytest.mark.parametrize("fewer", [False, True], ids=["as many", "fewer"])
def test_changed_rows_whose_upload_may_be_complete_are_not_uploaded_twice(
    sandbox, upload, warehouse, in_chunks, fewer
):
    warehouse(MANY)
    task = TaskRunner()
    sandbox.faults.add("reset_after", path="complete")
    with pytest.raises(AmbiguousWriteError):
        upload(task, **QUERY)
    warehouse("DELETE FROM a WHERE n > 3" if fewer else CHANGE)
    for _ in range(2):
        with pytest.raises(AmbiguousWriteError, match="the content has changed since") as caught:
            upload(task, **QUERY)
        assert isinstance(caught.value, AirflowFailException)
    assert sandbox.counters.total("complete") == 1
    assert sandbox.counters.total("/upload") == 0


def test_changed_rows_of_a_dataset_that_exists_are_uploaded_again(
    sandbox, upload, warehouse, read, in_chunks
):
    warehouse(f"{MANY} CREATE TABLE b AS SELECT 'D-' || n AS code, n AS seats FROM a")
    query = {"sql": "SELECT * FROM b", "sql_conn_id": "warehouse", "dataset": DESKS}
    task = TaskRunner()
    sandbox.faults.add("reset_after", path="complete")
    with pytest.raises(AmbiguousWriteError):
        upload(task, **query)
    warehouse("UPDATE b SET seats = 7")
    assert upload(task, **query)["dataset_ids"] == [DESKS]
    assert {row["seats"] for row in read(DESKS, "seats")} == {7}


def test_fewer_rows_after_an_interrupted_upload_are_one_dataset(sandbox, upload, warehouse, in_chunks):
    warehouse(MANY)
    task = TaskRunner()
    sandbox.faults.add("status", path="chunked_upload$", after=2, status=403)
    with pytest.raises(PermissionDeniedError):
        upload(task, **QUERY)
    warehouse("DELETE FROM a WHERE n > 3")
    sandbox.faults.add("reset_after", method="POST", path="/upload")
    for _ in range(2):
        with pytest.raises(AmbiguousWriteError):
            upload(task, **QUERY)
    assert sandbox.counters.total("/datasets/upload") == 1
    assert sandbox.counters.total("complete") == 0


def test_a_retry_whose_job_is_known_does_not_run_the_query(sandbox, upload, warehouse):
    warehouse(MANY)
    task = TaskRunner()
    sandbox.amigocloud.job_latency = 1e6
    with pytest.raises(TimeoutError):
        upload(task, **QUERY, timeout=0.1)
    sandbox.clock.advance(2e6)
    warehouse("DROP TABLE a")
    result = upload(task, **QUERY)
    assert (result["dataset_ids"], result["rows"]) == (named(sandbox), 200)
    # The task died before Airflow recorded its success.
    assert upload(task, **QUERY) == result
    assert sandbox.counters.total("POST") == 1


def test_a_failed_import_of_rows_is_uploaded_again(sandbox, upload, warehouse):
    warehouse(MANY)
    sandbox.amigocloud.job_failures = ["row 3 is odd"]
    task = TaskRunner()
    with pytest.raises(RunFailedError, match="row 3 is odd"):
        upload(task, **QUERY)
    assert upload(task, **QUERY)["rows"] == 200


def test_another_query_is_another_upload(sandbox, upload, warehouse):
    warehouse(MANY)
    task = TaskRunner()
    upload(task, **QUERY)
    upload(task, **QUERY | {"sql": "SELECT n FROM a WHERE n < ?", "parameters": [5]})
    assert upload(task, **QUERY | {"sql": "SELECT n FROM a WHERE n < ?", "parameters": [6]})["rows"] == 6
    assert len(named(sandbox)) == 3


def test_the_csv_has_no_name_on_disk(sandbox, upload, warehouse, tmp_path, monkeypatch):
    warehouse(MANY)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    found = []
    monkeypatch.setattr(
        api, "upload", lambda *given: found.extend(os.listdir(tempfile.tempdir)) or api_upload(*given)
    )
    upload(**QUERY)
    assert found == [] == list(Path(tempfile.tempdir).iterdir())
