"""Each invalid input and each failure by its name: the export is complete, or it fails and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import (
    IncompleteExportError,
    InputError,
    PermissionDeniedError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
)
from airflow_provider.sandbox.amigocloud import seed
from tests.unit.amigocloud.export.test_export import ASSETS, NUMBERS, SOURCES, export, lines, ordered, truth

pytestmark = pytest.mark.both_engines

every_source = pytest.mark.parametrize("source", SOURCES, ids=["dataset", "sql", "url"])


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "a.jsonl"


def whole(path: Path, source: dict[str, Any]) -> bool:
    return export(path, **source)["rows"] == len(lines(path)) == (25 if "url" in source else 3000)


def nothing_at(path: Path) -> bool:
    return list(path.parent.iterdir()) == []


# -- bad input


def test_two_sources(path):
    with pytest.raises(
        InputError, match="exactly one of 'sql', 'dataset', 'url' and 'saved_query'; not sql and url"
    ):
        export(path, sql="SELECT 1", url="/me/projects")


def test_no_source(path):
    with pytest.raises(InputError, match="none is given"):
        export(path)


def test_an_unknown_format(path):
    with pytest.raises(InputError, match="'xlsx' is unknown; there are jsonl, csv"):
        export(path, dataset=1, format="xlsx")


def test_an_unknown_suffix(tmp_path):
    with pytest.raises(InputError, match="must end in one of"):
        export(tmp_path / "a.txt", dataset=1)


def test_a_key_that_is_no_column(path):
    with pytest.raises(InputError, match="no column 'colour'; they have number, name|no such column"):
        export(path, sql=f"SELECT number, name FROM dataset_{seed.ASSETS}", key="colour")
    assert nothing_at(path)


def test_a_key_that_is_not_unique_within_a_page(path):
    with pytest.raises(InputError, match="column 'category' is not unique"):
        export(path, sql=ASSETS, key="category")
    assert nothing_at(path)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_key_that_is_not_unique_across_pages(sandbox, path, concurrency):
    sandbox.amigocloud.store.write("INSERT INTO dataset_1 (name) SELECT name FROM dataset_1")
    with pytest.raises((InputError, IncompleteExportError)):
        export(path, sql="SELECT name FROM dataset_1", key="name", page_size=1, concurrency=concurrency)
    assert nothing_at(path)


def test_a_token_of_the_wrong_kind(connect, path):
    other = connect(password=seed.READ_PROJECT_TOKEN)
    with pytest.raises(PermissionDeniedError, match="belongs to another project"):
        export(path, url="/me/projects", amigocloud_conn_id=other)
    assert nothing_at(path)


# -- bad days


@every_source
@pytest.mark.one_engine("embedded", "about faults of the transport")
def test_429_with_retry_after(sandbox, path, source):
    fault = sandbox.faults.add("status", status=429, headers={"Retry-After": "0.05"}, after=1, times=2)
    assert whole(path, source)
    assert fault.hits == 2


@every_source
@pytest.mark.one_engine("embedded", "about faults of the transport")
def test_429_without_retry_after(sandbox, path, source):
    fault = sandbox.faults.add("status", status=429, after=1, times=2)
    assert whole(path, source)
    assert fault.hits == 2


def test_429_for_longer_than_a_worker_should_wait(sandbox, path):
    sandbox.faults.add("status", status=429, headers={"Retry-After": "3600"}, after=2, times=None)
    with pytest.raises(RateLimitedError) as caught:
        export(path, dataset=seed.ASSETS, concurrency=1)
    assert caught.value.retry_after == 3600
    assert nothing_at(path)


@every_source
@pytest.mark.parametrize("status", [502, 504])
def test_502_and_504_pages_in_html(sandbox, path, source, status):
    sandbox.faults.add("html", status=status, after=1, times=2)
    assert whole(path, source)


def test_502_pages_in_html_for_ever(sandbox, path):
    sandbox.faults.add("html", after=2, times=None)
    with pytest.raises(ServerError):
        export(path, dataset=seed.ASSETS)
    assert nothing_at(path)


@every_source
def test_a_reset_before_the_answer(sandbox, path, source):
    sandbox.faults.add("reset_before", after=1, times=2)
    assert whole(path, source)


@every_source
def test_a_reset_in_the_middle_of_a_body(sandbox, path, source):
    fault = sandbox.faults.add("truncate", after=1, times=2)
    assert whole(path, source)
    assert fault.hits == 2


@every_source
def test_truncated_json_with_a_good_status(sandbox, path, source):
    body = '{"count": 25, "next": null, "data": [{"number": 1'
    sandbox.faults.add("status", status=200, body=body, after=1, times=2)
    assert whole(path, source)


@every_source
def test_an_error_body_with_status_200(sandbox, path, source):
    body = '{"error_code": "broken", "detail": "no data today"}'
    sandbox.faults.add("status", status=200, body=body, after=1, times=None)
    with pytest.raises(RequestRejectedError, match="broken: no data today"):
        export(path, **source)
    assert nothing_at(path)


@every_source
def test_an_empty_page_with_a_next(sandbox, path, source):
    sandbox.amigocloud.empty_pages = 2
    assert whole(path, source)


@every_source
def test_a_next_to_another_host(sandbox, path, source):
    sandbox.amigocloud.next_origin, sandbox.amigocloud.empty_pages = sandbox.around.storage_origin, 2
    with pytest.raises(InputError, match="own host only"):
        export(path, **source)
    assert sandbox.counters.total("storage") == 0
    assert nothing_at(path)


@every_source
def test_a_redirect_to_another_host(sandbox, path, source):
    sandbox.faults.add("redirect", location=f"{sandbox.around.storage_origin}/x", after=1, times=None)
    with pytest.raises(RequestRejectedError, match="a redirect, which is not followed"):
        export(path, **source)
    assert sandbox.counters.total("storage") == 0
    assert nothing_at(path)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "geojson", "geoparquet"])
def test_a_schema_that_changes_between_pages(sandbox, tmp_path, ending):
    colour = {"name": "colour", "type": "string"}
    service = sandbox.amigocloud
    service.before_page = lambda n: n == 5 and service.store.add_column(seed.ASSETS, colour)
    with pytest.raises(IncompleteExportError, match=r"the columns changed after \d+ rows"):
        export(tmp_path / f"a.{ending}", dataset=seed.ASSETS, concurrency=2)
    assert nothing_at(tmp_path / "a")


@pytest.mark.parametrize("source", SOURCES[:2], ids=["dataset", "sql"])
def test_rows_inserted_and_deleted_during_the_export_of_one_dataset(sandbox, path, source):
    store = sandbox.amigocloud.store

    def disturb(page: int) -> None:
        store.write(f"DELETE FROM dataset_{seed.ASSETS} WHERE number = {page}")
        store.write(f"INSERT INTO dataset_{seed.ASSETS} (amigo_id, number) VALUES ('{page}f', {9000 + page})")

    sandbox.amigocloud.before_page = disturb
    manifest = export(path, **source)
    assert ordered(lines(path), "number") == ordered(
        truth(sandbox, source.get("sql", ASSETS), manifest["state"]), "number"
    )


def test_rows_inserted_and_deleted_during_the_export_of_a_joined_query(sandbox, path):
    store = sandbox.amigocloud.store
    sandbox.amigocloud.before_page = lambda page: store.write(
        "UPDATE dataset_1 SET value = value" if page % 2 else "DELETE FROM dataset_1 WHERE value = 0"
    )
    sql = NUMBERS.replace("ORDER", "WHERE name IN (SELECT name FROM dataset_1) OR 1 = 1 ORDER")
    with pytest.raises(IncompleteExportError, match="changed"):
        export(path, sql=sql)
    assert nothing_at(path)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"count": 5, "results": [{"id": 3}, {"id": 4}]}, "counted 4 rows, then 5"),
        ({"count": 4, "results": [{"id": 2}, {"id": 3}]}, "item 2 came twice"),
        ({"count": 4, "results": [{"id": 3}]}, "counted 4 rows and returned 3"),
    ],
    ids=["inserted", "inserted and deleted", "deleted"],
)
def test_items_inserted_and_deleted_during_the_export_of_a_list(sandbox, path, second, said):
    link = f"{sandbox.amigocloud.api_root}/me/projects?offset=2"
    first = {"count": 4, "next": link, "results": [{"id": 1}, {"id": 2}]}
    for body in (first, {"next": None, **second}):
        sandbox.faults.add("status", status=200, body=json.dumps(body), content_type="application/json")
    with pytest.raises(IncompleteExportError, match=said):
        export(path, url="/me/projects")
    assert nothing_at(path)
