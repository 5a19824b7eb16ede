"""Storage check: a target that cannot be written is found without leaving anything behind."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider.core.files import storage
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.listing import find_files
from airflow_provider.core.files.paths import folder
from airflow_provider.core.files.paths.checks import hash_problems
from airflow_provider.core.files.reader import open_source, read_rows
from airflow_provider.core.files.row_source import RowOptions, read_source
from airflow_provider.core.files.storage import ensure_writable, is_local, object_path
from airflow_provider.errors import InputError
from tests.support.fake_clock import set_in_module


@pytest.mark.parametrize(
    ("path", "local"), [("/a/b", True), ("b", True), ("file:///a/b", True), ("memory://a/b", False)]
)
def test_a_path_without_a_protocol_or_of_files_is_local(path: str, local: bool) -> None:
    assert is_local(path) is local


@pytest.mark.parametrize("path", ["rows.csv", "./rows.csv", "folder/../rows.csv"])
def test_a_relative_path_is_in_the_working_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert object_path(path).path == f"{tmp_path}/rows.csv"
    assert object_path("/rows.csv").path == "/rows.csv"


def test_a_file_is_read_and_written_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("id\n1\n")
    with open_source("rows.csv") as file:
        assert file.read() == b"id\n1\n"
    ensure_writable("new/rows.jsonl")
    with AtomicFile("new/rows.jsonl") as target:
        target.write(b"{}")
    assert (tmp_path / "new" / "rows.jsonl").read_bytes() == b"{}"


def test_the_folder_is_created_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    ensure_writable(f"{tmp_path}/a/b/x.jsonl")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "x.jsonl").write_text("before")
    ensure_writable(f"file://{tmp_path}/x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == "before"


def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (f"{tmp_path}/file/x.jsonl", str(tmp_path)):
        with pytest.raises(InputError, match=f"output_path: '{path}' cannot be written"):
            ensure_writable(path)


@pytest.mark.parametrize("path", ["", " ", "/tmp/", None, 5])
def test_a_path_that_names_no_file_is_refused(path: Any) -> None:
    with pytest.raises(InputError, match="names no file"):
        ensure_writable(path)


def test_the_bucket_must_be_there(s3: Any) -> None:
    ensure_writable("s3://aws_s3@twin/folder/x.jsonl")
    with pytest.raises(InputError, match="no bucket 'nowhere'"):
        ensure_writable("s3://aws_s3@nowhere/x.jsonl")
    assert "Contents" not in s3.list_objects_v2(Bucket="twin")


def test_a_connection_that_is_not_there_is_named(
    s3: Any, running_s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", running_s3)  # Elsewhere the library tries for a long time.
    with pytest.raises(InputError, match="cannot be written: there is no connection 'no_such_connection'"):
        ensure_writable("s3://no_such_connection@nowhere/x.jsonl")


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(InputError, match="cannot be written: nowhere:// needs an Airflow provider"):
        ensure_writable("nowhere://bucket/x.jsonl")


@pytest.mark.parametrize(
    "source", ["gs://bucket/x.csv", "nowhere://bucket/x.csv", "gs://bucket/x/", "gs://b/*.csv"]
)
def test_a_source_of_an_unknown_protocol_is_named(source: str) -> None:
    with pytest.raises(InputError, match="^rows: .* cannot be opened: (gs|nowhere):// needs"):
        find_files(source, "rows")
    with pytest.raises(InputError, match="cannot be opened"), open_source(source, "rows"):
        pass


def test_a_protocol_ends_at_its_first_mark() -> None:
    with pytest.raises(InputError, match="cannot be opened: nowhere:// needs an Airflow provider"):
        storage.storage_path("nowhere://bucket/x://y.csv", "rows")


@pytest.mark.parametrize(
    "path", ["nowhere://user:s3cret@bucket/x.jsonl", "s3://aws_s3@twin/x.jsonl?sig=s3cret/"]
)
def test_a_path_is_told_without_credentials(path: str) -> None:
    with pytest.raises(InputError) as caught:
        ensure_writable(path)
    texts = [str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__)]
    assert not [text for text in texts if "s3cret" in text]


def test_the_storages_with_buckets_and_without_folders_are_these() -> None:
    buckets = {"s3", "s3a", "gs", "gcs", "abfs", "abfss"}
    assert set(storage._WITH_BUCKETS) == buckets | {"adl", "wasb", "oss"}
    assert set(folder._FLAT) == buckets
    assert set(storage.LOCAL) == {"", "file", "local"}


class _Refusing(MemoryFileSystem):  # type: ignore[misc]
    """A storage that refuses each request, in the words of S3 and its library."""

    def put_file(self, *_: Any, **__: Any) -> None:
        _refuse()

    def find(self, *_: Any, **__: Any) -> Any:
        _refuse()

    def ls(self, *_: Any, **__: Any) -> Any:
        _refuse()

    def open(self, *_: Any, **__: Any) -> Any:
        return _RefusingFile(b"PAR1" * 8)

    def info(self, path: str, **_: Any) -> Any:
        if not path.endswith("known"):
            _refuse()
        return {"name": path, "size": 8, "type": "file"}


class _Down(MemoryFileSystem):  # type: ignore[misc]
    """A storage that is down: it says that there is no bucket, as that of S3 does then."""

    cachable = False

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause

    def exists(self, *_: Any, **__: Any) -> bool:
        return False

    def info(self, *_: Any, **__: Any) -> Any:
        raise self.cause


class _RefusingFile(io.BytesIO):
    def read(self, *_: Any) -> bytes:
        _refuse()


def _refuse() -> NoReturn:
    raise PermissionError("Access Denied") from ValueError("(SlowDown) when calling PutObject")


@pytest.fixture
def refusing() -> str:
    """Return a folder of a storage that refuses each request."""
    attach("s3", "refusing", fs=_Refusing())
    return "s3://refusing@twin/night/"


def test_a_storage_that_refuses_a_file_is_named_with_the_file(refusing: str) -> None:
    """The error was a bare `PermissionError: Access Denied`."""
    said = r"cannot be written: ValueError: \(SlowDown\) when .*: 's3://refusing@twin/night/out.csv'"
    with pytest.raises(OSError, match=said), AtomicFile(f"{refusing}out.csv") as file:
        file.write(b"x")


@pytest.mark.parametrize(
    "cause",
    [OSError(errno.EBUSY, "Please reduce your request rate."), TimeoutError(), ConnectionResetError()],
)
def test_a_storage_that_is_down_is_no_invalid_argument(
    cause: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was an `InputError`, which the service's retry policy never retries: "there is no bucket"."""
    name = f"down_{type(cause).__name__}".lower()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", '{"conn_type": "aws"}')
    attach("s3", name, fs=_Down(cause))
    with pytest.raises(OSError, match=f"cannot be written: {type(cause).__name__}.*s3://{name}@twin/x"):
        ensure_writable(f"s3://{name}@twin/x.jsonl")


def test_a_full_disk_is_no_invalid_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is full for a moment only, as long as another task has its temporary files there."""
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(storage, "_check_folder", Mock(side_effect=full))
    with pytest.raises(OSError, match="cannot be written: OSError"):
        ensure_writable(str(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl.gz", "rows.csv", "rows.parquet"])
def test_a_storage_that_refuses_a_read_is_named_with_the_file(refusing: str, name: str) -> None:
    with pytest.raises(OSError, match=rf"cannot be read: .*SlowDown.*: 's3://refusing@twin/night/{name}'"):
        list(read_rows(refusing + name))


def test_a_storage_that_refuses_a_listing_is_named_with_the_folder(refusing: str) -> None:
    with pytest.raises(OSError, match=r"cannot be listed: .*SlowDown.*: 's3://refusing@twin/night/"):
        find_files(f"{refusing}part-*.csv", "source")


@pytest.mark.parametrize("name", ["a.jsonl", "known"])
def test_a_storage_that_refuses_to_tell_of_a_file_is_named_with_it(refusing: str, name: str) -> None:
    """The error was a bare `PermissionError: Access Denied`, also of a file that may be a manifest."""
    with pytest.raises(OSError, match=rf"cannot be read: .*SlowDown.*: 's3://refusing@twin/night/{name}'"):
        find_files(refusing + name, "source")


def test_a_storage_that_refuses_a_file_of_a_manifest_is_named_with_it(refusing: str) -> None:
    with pytest.raises(OSError, match=r"cannot be read: .*SlowDown.*: 's3://refusing@twin/night/a.jsonl'"):
        hash_problems([("a.jsonl", f"{refusing}a.jsonl", "0" * 64)])


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz"])
def test_a_file_that_vanishes_while_it_is_read_is_named(s3: Any, name: str) -> None:
    """The error was a bare `The specified key does not exist.`"""
    s3.put_object(Bucket="twin", Key=name, Body=b"a" * 10)
    said = rf"cannot be read: not found: 's3://aws_s3@twin/{name}'"
    with open_source(f"s3://aws_s3@twin/{name}") as file:
        s3.delete_object(Bucket="twin", Key=name)
        with pytest.raises(FileNotFoundError, match=said):
            file.read()


def test_a_bucket_that_vanishes_before_a_file_is_written_is_named(s3: Any) -> None:
    said = "cannot be written: not found: 's3://aws_s3@twin/out.csv'"
    with pytest.raises(FileNotFoundError, match=said), AtomicFile("s3://aws_s3@twin/out.csv") as file:
        file.write(b"x")
        s3.delete_bucket(Bucket="twin")


LOST = ["a\nb.csv", "a.csv\n", "a\tb.csv", "a\rb.csv"]


@pytest.mark.parametrize("name", [*LOST, "a\0b.csv"])
def test_a_path_of_which_a_part_would_be_lost_is_refused(name: str, tmp_path: Path) -> None:
    """Libraries of storages drop line breaks and tabs: another file was read, or replaced."""
    (tmp_path / "ab.csv").write_text("id\n1\n")
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(InputError, match="path: .*cannot be written: a path may not have line breaks"):
        ensure_writable(f"{tmp_path}/{name}", "path")
    with pytest.raises(InputError, match="source: .*cannot be opened: a path may not have line breaks"):
        list(read_rows(f"{tmp_path}/{name}", source_format="csv"))
    with pytest.raises(InputError, match="a path may not have line breaks"), AtomicFile(f"{tmp_path}/{name}"):
        pass


@pytest.mark.parametrize("name", LOST)
def test_a_file_of_a_folder_whose_name_would_be_lost_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "ab.csv").write_text("id\n1\n")
    (tmp_path / name).write_text("id\n2\n")
    with pytest.raises(InputError, match="a path may not have line breaks"):
        list(read_source(f"{tmp_path}/", "source", RowOptions(source_format="csv")))


def test_the_rest_of_a_key_is_not_lost(s3: Any) -> None:
    """An export to `12::30.csv` was written as `12`, without a word."""
    with pytest.raises(InputError, match="'::' in a URL"):
        ensure_writable("s3://aws_s3@twin/12::30.csv")
    with pytest.raises(InputError, match="'::' in a URL"), AtomicFile("s3://aws_s3@twin/12::30.csv"):
        pass
    assert "Contents" not in s3.list_objects_v2(Bucket="twin")


def test_colons_of_a_local_name_stay(tmp_path: Path) -> None:
    ensure_writable(f"{tmp_path}/12::30.csv")
    with AtomicFile(f"{tmp_path}/12::30.csv"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["12::30.csv"]


def test_a_pipe_is_no_target_and_stays(tmp_path: Path) -> None:
    """It was replaced by a file, as `/dev/null` was where the task ran as root."""
    os.mkfifo(tmp_path / "out.csv")
    with pytest.raises(InputError, match="cannot be written: FileExistsError: it is no regular file"):
        ensure_writable(f"{tmp_path}/out.csv")
    assert (tmp_path / "out.csv").is_fifo()


def test_a_name_that_is_too_long_names_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file .*, as the name is too long"):
        list(read_rows(f"{tmp_path}/{'x' * 300}.csv"))


def test_a_path_from_the_root_or_home_and_a_url_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("/a/../b", "~/a", "s3://a/b", "x://y"):
        assert storage.absolute(path) == path
    assert storage.absolute("a/../b") == f"{tmp_path}/b"


def test_the_target_s_own_folder_is_tried_with_a_hidden_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def close(descriptor: int) -> None:
        seen.extend(path.name for path in (tmp_path / "out").iterdir())
        os.close(descriptor)

    set_in_module(monkeypatch, storage, "os", close=close)
    monkeypatch.setattr("tempfile.tempdir", f"{tmp_path}/none")
    ensure_writable(f"{tmp_path}/out/{'x' * 200}")
    (probe,) = seen
    assert probe.startswith(f".{'x' * 200}.")
    assert probe.endswith(".probe")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/tmp/x/", "rows: '/tmp/x/' names no file"),
        (5, "rows: 5 names no file"),
        (["x" * 300], f"rows: {repr(['x' * 300])[:200]} names no file"),
        (
            "nowhere://b/x",
            "rows: 'nowhere://b/x' cannot be written: nowhere:// needs an Airflow provider that",
        ),
        ("/proc/none/x", "rows: '/proc/none/x' cannot be written: FileNotFoundError: [Errno 2] No such file"),
    ],
)
def test_the_argument_of_a_target_that_cannot_be_written_is_named(path: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        ensure_writable(path, "rows")
    assert str(caught.value).startswith(problem)
