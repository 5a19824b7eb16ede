"""Photos of a dataset's rows in a folder: each one whole, none twice, and a list that joins them to rows."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider.amigocloud.operators import AmigoCloudExportPhotosOperator
from airflow_provider.amigocloud.photos import export, galleries
from airflow_provider.errors import IncompleteExportError, InputError, TransportError
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.server import Sandbox
from tests.support import forked
from tests.support.killed_photos import attempt
from tests.support.task_runner import TaskRunner

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "2"))
DATASET = f"/projects/{seed.PROJECT}/datasets/{seed.ASSETS}"


class Campus:
    """A gallery of the campus's assets."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.gallery = self.send(
            "POST", f"{DATASET}/related_tables", json={"name": "photos", "type": "gallery"}
        )["id"]

    def send(self, method: str, path: str, **options: Any) -> Any:
        url = self.sandbox.amigocloud.api_root + path
        reply = requests.request(method, url, params={"token": seed.USER_TOKEN}, timeout=30, **options)
        reply.raise_for_status()
        return reply.json()

    def add(self, source: str, name: str = "door é.jpg", content: bytes = b"a photo") -> str:
        """Upload a photo, and return its id."""
        form = {"source_amigo_id": source, "filename": name}
        path = f"/related_tables/{self.gallery}/upload"
        return str(self.send("POST", path, data=form, files={"datafile": ("x", content)})["amigo_id"])

    def requested(self) -> int:
        """Return how many photos were requested."""
        counts = self.sandbox.counters.requests
        return sum(number for key, number in counts.items() if " GET " in key and "/files/" in key)


@pytest.fixture
def campus(sandbox: Sandbox) -> Campus:
    return Campus(sandbox)


def run(folder: Any, runner: TaskRunner | None = None, **arguments: Any) -> Any:
    task = {"task_id": "photos", "dataset": seed.ASSETS, "output_path": str(folder)}
    return (runner or TaskRunner()).run(AmigoCloudExportPhotosOperator(**{**task, **arguments}))


def listed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "photos.jsonl").read_text().splitlines()]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["写" * 90 + ".jpg", "写" * 300, "../" * 50 + "x.jpg", "é" * 99 + ".jpg"])
def test_a_photo_of_any_name_has_a_file_in_the_folder_that_its_file_system_takes(campus, tmp_path, name):
    campus.add("../.." + "写" * 200, name)
    run(tmp_path)
    (found,) = files(tmp_path) - {"photos.jsonl"}
    assert all(len(part.encode()) <= 230 for part in found.split("/"))
    assert ".." not in found.split("/")
    assert found.endswith(name[-4:])


@pytest.mark.both_engines
@pytest.mark.parametrize("redirect", [True, False])
def test_each_photo_is_a_file_and_the_list_joins_them_to_the_rows(campus, sandbox, tmp_path, redirect):
    sandbox.amigocloud.photo_redirect = redirect
    photos = {campus.add(source, content=b"photo of " + source.encode()): source for source in "abc"}
    result = run(tmp_path)
    rows = listed(tmp_path)
    assert {row["amigo_id"]: row["source_amigo_id"] for row in rows} == photos
    for row in rows:
        content = Path(row["uri"]).read_bytes()
        assert content == b"photo of " + row["source_amigo_id"].encode()
        assert (row["bytes"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (row["filename"], row["gallery_name"]) == ("door é.jpg", "photos")
    assert (result["rows"], result["new"], result["missing"], result["photo_bytes"]) == (3, 3, 0, 30)
    path = tmp_path / "photos.jsonl"
    assert result["files"] == [{"uri": str(path), "rows": 3, "bytes": path.stat().st_size}]
    assert files(tmp_path) == {"photos.jsonl", *(str(Path(row["uri"]).relative_to(tmp_path)) for row in rows)}


def test_incremental_downloads_only_what_the_list_does_not_have(campus, sandbox, tmp_path):
    first = [campus.add("a"), campus.add("b")]
    run(tmp_path)
    third = campus.add("a", content=b"new")
    gone = sandbox.amigocloud.galleries[campus.gallery].rows
    sandbox.amigocloud.store.transaction(
        [(f"DELETE FROM dataset_{gone} WHERE amigo_id = ?", [first[0]])], {"photo": "gone"}
    )
    before = campus.requested()
    result = run(tmp_path, incremental="True")
    assert campus.requested() == before + 1
    assert (result["rows"], result["new"], result["photo_bytes"]) == (2, 1, 10)
    assert {row["amigo_id"] for row in listed(tmp_path)} == {first[1], third}
    assert run(tmp_path)["new"] == 2


def test_a_photo_that_the_service_does_not_have_is_listed_named_and_asked_for_again(
    campus, sandbox, tmp_path, caplog, capsys
):
    lost, there = campus.add("a"), campus.add("b")
    content = sandbox.amigocloud.photos.pop(lost)
    fault = sandbox.faults.add("status", path=f"/files/a/{lost}", status=404, times=None)
    result = run(tmp_path, incremental=True)
    assert (result["rows"], result["new"], result["missing"]) == (2, 1, 1)
    rows = {row["amigo_id"]: row for row in listed(tmp_path)}
    assert (rows[lost]["uri"], rows[lost]["bytes"]) == (None, None)
    assert rows[there]["bytes"] == 7
    assert (
        f"1 photos are listed, but the service has no file for them: {lost}"
        in caplog.text + capsys.readouterr().out
    )
    assert fault.hits == 3
    sandbox.faults.clear()
    sandbox.amigocloud.photos[lost] = content
    assert run(tmp_path, incremental=True)["new"] == 1


NAMES = [
    "../../etc/passwd",
    "a/b.jpg",
    "%2e%2e",
    "x" * 300 + ".jpg",
    ".hidden",
    " ",
    "q?token=1#x",
    "\u202ename",
]


def test_no_name_of_a_device_leads_out_of_the_folder(campus, sandbox, tmp_path):
    gallery = sandbox.amigocloud.galleries[campus.gallery].rows
    for number, name in enumerate(NAMES):
        key = f"{number:032x}"
        sandbox.amigocloud.store.transaction(
            [
                (
                    f"INSERT INTO dataset_{gallery} (amigo_id, source_amigo_id, filename) VALUES (?, ?, ?)",
                    [key, "../..", name],
                )
            ],
            {"photo": key},
        )
        sandbox.amigocloud.photos[key] = name.encode()
    folder = tmp_path / "deep" / "photos"
    result = run(folder)
    assert (result["rows"], result["new"] + result["missing"]) == (len(NAMES), len(NAMES))
    assert all((tmp_path / path).is_relative_to(folder) for path in files(tmp_path))
    for row in listed(folder):
        if row["uri"]:
            assert Path(row["uri"]).read_bytes() == row["filename"].encode()


def test_ids_that_are_alike_in_a_path_have_files_of_their_own(campus, sandbox, tmp_path):
    sandbox.amigocloud.photo_redirect = False
    gallery = sandbox.amigocloud.galleries[campus.gallery].rows
    for key in ("a b", "a_b", "a:b"):
        insert = (
            f"INSERT INTO dataset_{gallery} (amigo_id, source_amigo_id, filename) VALUES (?, 'x', 'n.jpg')"
        )
        sandbox.amigocloud.store.transaction([(insert, [key])], {"photo": key})
        sandbox.amigocloud.photos[key] = key.encode()
    run(tmp_path)
    assert {Path(row["uri"]).read_text() for row in listed(tmp_path)} == {"a b", "a_b", "a:b"}


def test_a_failure_keeps_what_was_done_and_a_retry_continues(campus, sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "BATCH", 4)
    for number in range(10):
        campus.add(f"row{number}")
    sandbox.faults.add(
        "status", path="/files/", status=503, times=None, after=6, headers={"Retry-After": "3600"}
    )
    runner = TaskRunner()
    with pytest.raises(Exception, match="503"):
        run(tmp_path, runner, concurrency=1)
    assert not (tmp_path / "photos.jsonl").exists()
    sandbox.faults.clear()
    before = campus.requested()
    result = run(tmp_path, runner, concurrency=1)
    assert campus.requested() - before == 4
    assert (result["rows"], result["new"]) == (10, 10)
    assert len(files(tmp_path)) == 11


@pytest.mark.parametrize("kind", ["truncate", "reset_after"])
def test_a_photo_that_breaks_off_is_read_again(campus, sandbox, tmp_path, kind):
    campus.add("a", content=b"x" * 100_000)
    sandbox.faults.add(kind, service="storage", times=2)
    assert run(tmp_path)["photo_bytes"] == 100_000


def test_a_stray_404_is_not_believed(campus, sandbox, tmp_path):
    campus.add("a")
    sandbox.faults.add("stray_404", path="/files/", times=2)
    assert (run(tmp_path)["missing"], len(files(tmp_path))) == (0, 2)


@pytest.mark.parametrize("service", ["storage", "amigocloud"])
def test_a_web_page_is_no_photo(campus, sandbox, tmp_path, service):
    sandbox.amigocloud.photo_redirect = service == "storage"
    campus.add("a")
    sandbox.faults.add("html", service=service, path="photos|files", status=200, times=1)
    assert (run(tmp_path)["photo_bytes"], listed(tmp_path)[0]["bytes"]) == (7, 7)
    sandbox.faults.add("html", service=service, path="photos|files", status=200, times=None)
    with pytest.raises(TransportError, match="is a web page"):
        run(tmp_path)


def test_an_empty_photo_is_missing(campus, sandbox, tmp_path):
    sandbox.amigocloud.photos[campus.add("a")] = b""
    assert (run(tmp_path)["missing"], listed(tmp_path)[0]["uri"]) == (1, None)


def test_a_photo_that_is_lost_keeps_its_earlier_file_in_the_list(campus, sandbox, tmp_path):
    key = campus.add("a")
    run(tmp_path)
    sandbox.faults.add("status", path="/files/", status=404, times=None)
    assert (run(tmp_path)["missing"], listed(tmp_path)[0]["amigo_id"]) == (1, key)
    assert Path(listed(tmp_path)[0]["uri"]).read_bytes() == b"a photo"


def test_a_photo_that_was_moved_or_renamed_is_listed_as_it_is_now(campus, sandbox, tmp_path):
    keys = [campus.add("a"), campus.add("b"), campus.add("c")]
    run(tmp_path)
    gallery = sandbox.amigocloud.galleries[campus.gallery].rows
    for key, change in zip(keys, ("source_amigo_id = 'z'", "filename = 'new.jpg'"), strict=False):
        sandbox.amigocloud.store.transaction(
            [(f"UPDATE dataset_{gallery} SET {change} WHERE amigo_id = ?", [key])], {"photo": key}
        )
    assert run(tmp_path, incremental=True)["new"] == 2
    rows = {row["amigo_id"]: row for row in listed(tmp_path)}
    assert (rows[keys[0]]["source_amigo_id"], rows[keys[1]]["filename"]) == ("z", "new.jpg")
    assert all(Path(row["uri"]).exists() for row in rows.values())


def test_a_photo_that_was_moved_and_lost_is_listed_without_a_file(campus, sandbox, tmp_path):
    key = campus.add("a")
    run(tmp_path)
    gallery = sandbox.amigocloud.galleries[campus.gallery].rows
    sandbox.amigocloud.store.transaction(
        [(f"UPDATE dataset_{gallery} SET source_amigo_id = 'z' WHERE amigo_id = ?", [key])], {"photo": key}
    )
    sandbox.faults.add("status", path="/files/", status=404, times=None)
    assert run(tmp_path, incremental=True)["missing"] == 1
    (row,) = listed(tmp_path)
    assert (row["source_amigo_id"], row["uri"]) == ("z", None)


def test_a_photo_without_a_row_or_a_name_is_missing(campus, sandbox, tmp_path):
    keys = [campus.add("a"), campus.add("b")]
    gallery = sandbox.amigocloud.galleries[campus.gallery].rows
    for key, column in zip(keys, ("source_amigo_id", "filename"), strict=True):
        sandbox.amigocloud.store.transaction(
            [(f"UPDATE dataset_{gallery} SET {column} = NULL WHERE amigo_id = ?", [key])], {"photo": key}
        )
    assert run(tmp_path)["missing"] == 2
    rows = {row["amigo_id"]: row for row in listed(tmp_path)}
    assert (rows[keys[0]]["source_amigo_id"], rows[keys[1]]["filename"]) == (None, None)


def test_a_gallery_that_is_not_listed_completely_is_no_list(campus, sandbox, tmp_path, monkeypatch):
    campus.add("a")
    campus.add("b")
    monkeypatch.setattr(galleries.Gallery, "count", lambda *_: 3)
    with pytest.raises(IncompleteExportError, match="'photos' has 3 photos, and 2 were listed"):
        run(tmp_path)
    assert not (tmp_path / "photos.jsonl").exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"dataset": "2001"',
        "[]",
        '{"id": 1}',
        '{"dataset": "2001"}',
        '{"id": ' + "[" * 2500 + "]" * 2500 + "}",
    ],
)
def test_a_file_that_is_no_list_of_photos_is_named(campus, tmp_path, text):
    campus.add("a")
    (tmp_path / "photos.jsonl").write_text(text)
    with pytest.raises(InputError, match="photos.jsonl' is no list of photos, or was cut off"):
        run(tmp_path)


@pytest.mark.parametrize("path", ["/", "file:///", " "])
def test_photos_need_a_folder_of_their_own(sandbox, path):
    with pytest.raises(InputError):
        run(path)
    assert not sandbox.counters.requests


def test_an_expired_link_is_replaced_by_a_new_one(campus, sandbox, tmp_path):
    campus.add("a")
    sandbox.faults.add("status", service="storage", status=403, times=2)
    assert run(tmp_path)["new"] == 1
    sandbox.faults.add("status", service="storage", status=403, times=None)
    with pytest.raises(TransportError, match=r"the link to photo \w+ was refused \(HTTP 403\)"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("https://bucket.example/photo", "add the host to the extra 'allowed_hosts'"),
        ("http://bucket.example/photo", "not https"),
        ("http://[bucket", "not a plain https URL"),
        (f"https://bucket.example/photo?token={seed.USER_TOKEN}", "holds the connection's token"),
    ],
)
def test_a_link_is_followed_to_allowed_hosts_only_and_never_with_the_token(
    campus, sandbox, tmp_path, location, text
):
    campus.add("a")
    sandbox.faults.add("redirect", path="/files/", location=location)
    with pytest.raises(InputError, match=text) as caught:
        run(tmp_path)
    assert seed.USER_TOKEN not in str(caught.value)
    assert files(tmp_path) == set()


def test_a_folder_belongs_to_one_dataset(campus, sandbox, tmp_path):
    campus.add("a")
    run(tmp_path)
    zones = f"/projects/{seed.PROJECT}/datasets/{seed.ZONES}/related_tables"
    campus.send("POST", zones, json={"name": "plans", "type": "gallery"})
    with pytest.raises(InputError, match=f"has the photos of dataset {seed.ASSETS}"):
        run(tmp_path, dataset=seed.ZONES)
    assert len(listed(tmp_path)) == 1


def test_a_dataset_without_a_gallery_is_named(sandbox, tmp_path):
    with pytest.raises(InputError, match=f"dataset {seed.ASSETS} has no gallery"):
        run(tmp_path)


def test_all_problems_of_the_arguments_are_reported_before_any_request(sandbox, tmp_path):
    with pytest.raises(InputError) as caught:
        run("", dataset="x", concurrency=33, incremental="maybe")
    assert caught.value.total == 4
    assert not sandbox.counters.requests


def test_photos_go_to_object_storage(campus, s3):
    campus.add("a", content=b"in a bucket")
    result = run("s3://aws_s3@twin/photos/")
    (row,) = [json.loads(line) for line in s3.get_object(Bucket="twin", Key="photos/photos.jsonl")["Body"]]
    key = row["uri"].removeprefix("s3://aws_s3@twin/")
    assert s3.get_object(Bucket="twin", Key=key)["Body"].read() == b"in a bucket"
    assert len(s3.list_objects_v2(Bucket="twin")["Contents"]) == 2
    assert run("s3://aws_s3@twin/photos/", incremental=True)["new"] == 0
    assert result["uri"] == "s3://aws_s3@twin/photos/photos.jsonl"


@pytest.mark.slow
def test_after_a_kill_the_next_attempt_reads_no_finished_batch_again(campus, sandbox, tmp_path):
    context = forked.context()
    for number in range(60):
        campus.add(f"row{number % 7}", content=b"%d" % number)
    chance = random.Random(os.environ.get("CRASH_SEED", "1"))
    for number in range(ROUNDS):
        folder, result = tmp_path / f"{number}", tmp_path / f"{number}.json"
        arguments = {"dataset": seed.ASSETS, "output_path": str(folder), "concurrency": 4}
        for photos in (chance.randint(1, 59), None):
            before = campus.requested()
            process = context.Process(
                target=attempt,
                args=(os.environ["AIRFLOW_CONN_AMIGOCLOUD_DEFAULT"], str(result), photos, arguments),
            )
            process.start()
            process.join(60)
            assert process.exitcode == (-9 if photos else 0)
            if photos:
                assert not (folder / "photos.jsonl").exists()
                kept = (photos - 4) // 10 * 10
        # Requests of the killed process may arrive late, one for each of its threads.
        assert campus.requested() - before <= 60 - kept + 4
        rows = listed(folder)
        assert len({row["amigo_id"] for row in rows}) == len(rows) == 60
        assert sorted(int(Path(row["uri"]).read_bytes()) for row in rows) == list(range(60))
        assert len(files(folder)) == 61
