"""AmigoCloud's galleries, and switches of what the vendor leaves open, in the sandbox and the hook."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudUploadOperator
from airflow_provider.errors import RequestRejectedError
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.task_runner import TaskRunner

pytestmark = pytest.mark.both_engines

PHOTO = b"\xff\xd8\xff a photo"


def call(sandbox: Sandbox, method: str, path: str, token: str = seed.USER_TOKEN, **options: Any) -> Any:
    url = path if path.startswith("http") else sandbox.amigocloud.api_root + path
    params = {**options.pop("params", {}), "token": token}
    return requests.request(method, url, params=params, allow_redirects=False, timeout=30, **options)


def new_gallery(sandbox: Sandbox) -> int:
    path = f"/projects/{seed.PROJECT}/datasets/{seed.ASSETS}/related_tables"
    reply = call(sandbox, "POST", path, json={"name": "photos", "type": "gallery"})
    assert reply.status_code == 200, reply.text
    return int(reply.json()["id"])


def upload(sandbox: Sandbox, gallery: int, source: str, token: str = seed.USER_TOKEN) -> Any:
    form = {"source_amigo_id": source, "filename": "door é.jpg"}
    path = f"/related_tables/{gallery}/upload"
    return call(sandbox, "POST", path, token, data=form, files={"datafile": ("x", PHOTO)})


def url_of(entry: dict[str, Any], gallery: int) -> str:
    return (
        f"/related_tables/{gallery}/files/{entry['source_amigo_id']}/{entry['amigo_id']}/{entry['filename']}"
    )


def test_photos_are_uploaded_listed_and_read_by_sql(sandbox: Sandbox) -> None:
    gallery = new_gallery(sandbox)
    entry = upload(sandbox, gallery, "a").json()
    upload(sandbox, gallery, "b")
    listed = call(
        sandbox, "GET", f"/related_tables/{gallery}/entries", params={"source_amigo_id": "a"}
    ).json()
    assert listed == {"data": [entry]}
    assert entry["filename"] == "door é.jpg"
    with AmigoCloudHook() as hook:
        rows = hook.get_records(f"SELECT source_amigo_id, filename FROM gallery_{gallery} ORDER BY 1")
        assert rows == [{"source_amigo_id": source, "filename": "door é.jpg"} for source in "ab"]
        datasets = [item["id"] for item in hook.get_cursor("datasets")]
    assert datasets == [seed.FIRST, seed.ASSETS, seed.ZONES]
    assert sandbox.amigocloud.next_dataset_id() == seed.ZONES + 1
    sandbox.reset()
    assert call(sandbox, "GET", f"/related_tables/{gallery}/entries").status_code == 404


def test_a_photo_arrives_in_chunks(sandbox: Sandbox) -> None:
    path = f"/projects/{seed.PROJECT}/related_tables/{new_gallery(sandbox)}/chunked_upload"
    upload_id = ""
    for start in range(0, len(PHOTO), 5):
        chunk = PHOTO[start : start + 5]
        headers = {"Content-Range": f"bytes {start}-{start + len(chunk) - 1}/{len(PHOTO)}"}
        form = {"upload_id": upload_id} if upload_id else {}
        reply = call(sandbox, "POST", path, data=form, files={"datafile": ("x.jpg", chunk)}, headers=headers)
        upload_id = reply.json()["upload_id"]
    done = {"upload_id": upload_id, "md5": hashlib.md5(PHOTO).hexdigest(), "source_amigo_id": "a"}
    entry = call(sandbox, "POST", f"{path}/complete", json=done).json()
    assert (entry["filename"], sandbox.amigocloud.photos[entry["amigo_id"]]) == ("x.jpg", PHOTO)


def test_the_hook_returns_a_photo_that_is_no_redirect(sandbox: Sandbox) -> None:
    sandbox.amigocloud.photo_redirect = False
    gallery = new_gallery(sandbox)
    entry = upload(sandbox, gallery, "a").json()
    with AmigoCloudHook() as hook:
        assert hook.get(url_of(entry, gallery), raw=True) == PHOTO


def test_the_token_does_not_follow_a_photos_redirect(sandbox: Sandbox) -> None:
    gallery = new_gallery(sandbox)
    entry = upload(sandbox, gallery, "a").json()
    with AmigoCloudHook() as hook, pytest.raises(RequestRejectedError, match="a redirect") as caught:
        hook.get(url_of(entry, gallery), raw=True)
    assert sandbox.around.storage_origin in str(caught.value)
    assert "Signature" not in str(caught.value)
    assert sandbox.counters.total("storage") == 0
    link = call(sandbox, "GET", url_of(entry, gallery)).headers["Location"]
    assert requests.get(link, timeout=30).content == PHOTO
    assert call(sandbox, "GET", link).status_code == 400
    assert requests.get(link.replace("Signature=", "Signature=0"), timeout=30).status_code == 403
    sandbox.clock.advance(301)
    assert requests.get(link, timeout=30).status_code == 403


def test_a_gallery_belongs_to_its_project(sandbox: Sandbox) -> None:
    gallery = new_gallery(sandbox)
    assert upload(sandbox, gallery, "a", seed.READ_TOKEN).status_code == 403
    entry = upload(sandbox, gallery, "a", seed.CREATE_PROJECT_TOKEN)
    assert entry.status_code == 200
    for prefix, status in (("", 200), (f"/projects/{seed.PROJECT}", 200), ("/projects/1235", 404)):
        reply = call(sandbox, "GET", f"{prefix}/related_tables/{gallery}/entries")
        assert reply.status_code == status, prefix
    other = call(sandbox, "GET", "/related_tables/9/entries", seed.READ_PROJECT_TOKEN)
    assert other.status_code == 403
    path = f"/projects/{seed.PROJECT}/datasets/{seed.ASSETS}/related_tables"
    assert call(sandbox, "POST", path, json={"name": "x", "type": "table"}).status_code == 400
    assert call(sandbox, "POST", path, json={"type": "gallery"}).status_code == 400


# -- switches


@pytest.mark.parametrize("is_page", [False, True])
@pytest.mark.parametrize(
    "source",
    [
        {"dataset": seed.ASSETS, "concurrency": 1},
        {"dataset": seed.ASSETS, "concurrency": 4},
        {"sql": f"SELECT * FROM dataset_{seed.ASSETS} ORDER BY number"},
        {"sql": f"SELECT number, name FROM dataset_{seed.ASSETS}", "key": "number"},
    ],
    ids=["dataset", "dataset in ranges", "sql", "sql with key"],
)
def test_an_export_is_whole_whether_count_is_that_of_all_rows_or_of_the_page(
    sandbox: Sandbox, tmp_path: Path, is_page: bool, source: dict[str, Any]
) -> None:
    sandbox.amigocloud.count_is_page = is_page
    path = tmp_path / "a.jsonl"
    operator = AmigoCloudExportOperator(task_id="x", output_path=str(path), page_size=700, **source)
    assert operator.execute({})["rows"] == 3000
    numbers = [json.loads(line)["number"] for line in path.read_text().splitlines()]
    assert sorted(numbers) == list(range(3000))


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({}, None),
        ({"strict": False}, "1"),
        ({"retry_after": "7"}, "7"),
        ({"strict": False, "retry_after": "7"}, "7"),
    ],
)
def test_a_429_names_no_delay_unless_it_is_set(
    sandbox: Sandbox, settings: dict[str, Any], header: str | None
) -> None:
    for name, value in settings.items():
        setattr(sandbox.amigocloud, name, value)
    sandbox.amigocloud.requests_per_second = 0
    reply = call(sandbox, "GET", "/me")
    assert (reply.status_code, reply.headers.get("Retry-After")) == (429, header)


@pytest.mark.parametrize(
    ("options", "kind", "first"),
    [
        ({"csv_props.delimiter": ";", "csv_props.decimal_separator": ","}, "float", 1.5),
        ({"csv_props.delimiter": ";"}, "string", "1,5"),
    ],
)
def test_the_decimal_separator_of_an_upload_decides_what_is_a_number(
    sandbox: Sandbox, tmp_path: Path, options: dict[str, str], kind: str, first: Any
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("name;price\na, b;1,5\nc;-2,25\n")
    operator = AmigoCloudUploadOperator(task_id="x", source=str(path), options=options, deferrable=False)
    TaskRunner().run(operator)
    (made,) = [d for d in sandbox.amigocloud.store.datasets.values() if d.name == "prices"]
    assert [c["type"] for c in made.columns if c["name"] == "price"] == [kind]
    with AmigoCloudHook() as hook:
        assert hook.get_first(f"SELECT name, price FROM {made.table} WHERE name LIKE 'a%'") == {
            "name": "a, b",
            "price": first,
        }


def test_another_decimal_separator_is_refused_by_a_strict_service_only(sandbox: Sandbox) -> None:
    path = f"/projects/{seed.PROJECT}/datasets/upload"
    sent: dict[str, Any] = {
        "data": {"csv_props.decimal_separator": "x"},
        "files": {"datafile": ("a.csv", b"a\n1\n")},
    }
    assert call(sandbox, "POST", path, **sent).status_code == 400
    sandbox.amigocloud.strict = False
    assert call(sandbox, "POST", path, **sent).status_code == 200
