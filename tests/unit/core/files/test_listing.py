"""A source's files are all found, in order, or the source is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider.core.files import listing as listing_module
from airflow_provider.core.files.listing import Listing, find_files, may_be_manifest
from airflow_provider.core.files.paths import folder as folder_module
from airflow_provider.core.files.paths.folder import Folder
from airflow_provider.core.files.paths.search import match_files
from airflow_provider.core.files.reader import open_source
from airflow_provider.errors import InputError

ROW = b'{"id": "a"}\n'


@pytest.fixture(params=["local", "file", "s3", "memory"])
def store(request: Any, tmp_path: Path) -> Any:
    """Return a function that writes files, and the URL of their folder."""
    if request.param == "memory":  # It has real folders, as servers of SFTP have.
        memory = MemoryFileSystem()
        memory.store.clear()
        attach("memory", fs=memory)
        return lambda name, data=ROW: memory.pipe_file(f"/twin/in/{name}", data), "memory://twin/in/"
    if request.param == "s3":
        client = request.getfixturevalue("s3")

        def put(name: str, data: bytes = ROW) -> None:
            client.put_object(Bucket="twin", Key=f"in/{name}", Body=data)

        return put, "s3://aws_s3@twin/in/"

    def write(name: str, data: bytes = ROW) -> None:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return write, f"{'file://' if request.param == 'file' else ''}{tmp_path}/in/"


def has_versions(root: str) -> bool:
    """Return whether storage tells of a file of the same size that it is another one."""
    return not root.startswith("memory")


def names(source: str, **more: Any) -> list[str]:
    return [file.name for file in find_files(source, "source", **more)]


def problems(source: str, **more: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        find_files(source, "source", **more)
    assert "source" in str(caught.value)
    return caught.value.problems


def test_a_folder_has_all_its_files_in_natural_order(store: Any) -> None:
    put, root = store
    for name in ("part-10.jsonl", "part-9.jsonl", "b/part-1.jsonl", "part-1.jsonl", "a2/x.jsonl"):
        put(name)
    found = find_files(root, "source")
    expected = ["a2/x.jsonl", "b/part-1.jsonl", "part-1.jsonl", "part-9.jsonl", "part-10.jsonl"]
    assert [file.name for file in found] == expected
    assert [file.path for file in found] == [root + name for name in expected]
    assert {file.bytes for file in found} == {len(ROW)}
    assert all(file.etag for file in found) is has_versions(root)
    assert {file.format for file in found} == {"jsonl"}


SKIPPED = [
    "_SUCCESS",
    ".x.jsonl.crc",
    "_temporary/0/a.jsonl",
    ".tmp/b.jsonl",
    "c.jsonl._COPYING_",
    "d_$folder$",
]


def test_hidden_files_markers_and_copies_in_progress_are_skipped(store: Any) -> None:
    put, root = store
    for name in [*SKIPPED, "_year=2026/a.jsonl", "b.jsonl"]:
        put(name)
    assert names(root) == ["_year=2026/a.jsonl", "b.jsonl"]
    assert names(f"{root}**/*.jsonl") == ["_year=2026/a.jsonl", "b.jsonl"]
    assert names(f"{root}*/*.jsonl") == ["_year=2026/a.jsonl"]
    assert names(f"{root}_temporary/*/*.jsonl") == ["0/a.jsonl"]
    assert names(f"{root}_temporary/") == ["0/a.jsonl"]
    put("_x_.jsonl")
    put(".y.jsonl")
    for pattern, found in (("_*", ["_SUCCESS", "_x_.jsonl"]), (".*", [".x.jsonl.crc", ".y.jsonl"])):
        assert names(f"{root}{pattern}", source_format="jsonl") == found
    assert "are skipped (1 here)" in problems(f"{root}*_.jsonl")[0]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("part-*.jsonl", ["part-1.jsonl", "part-2.jsonl", "part-10.jsonl"]),
        ("part-?.jsonl", ["part-1.jsonl", "part-2.jsonl"]),
        ("part-[2-9].jsonl", ["part-2.jsonl"]),
        ("part-[!2]*.jsonl", ["part-1.jsonl", "part-10.jsonl"]),
        ("*/part-*.jsonl", ["d=1/part-3.jsonl", "d=2/part-4.jsonl"]),
        ("d=[12]/*", ["d=1/part-3.jsonl", "d=2/part-4.jsonl"]),
        ("d=1/*", ["part-3.jsonl"]),
        ("d=*/", ["d=1/part-3.jsonl", "d=2/e/part-5.jsonl", "d=2/part-4.jsonl"]),
        ("**/part-5.jsonl", ["d=2/e/part-5.jsonl"]),
        ("d=2/**/*.jsonl", ["e/part-5.jsonl", "part-4.jsonl"]),
        ("**/e/*", ["d=2/e/part-5.jsonl"]),
        ("d=*/e/part-*.jsonl", ["d=2/e/part-5.jsonl"]),
        ("**/part-1*", ["part-1.jsonl", "part-10.jsonl"]),
    ],
)
def test_wildcards_match_files_and_folders(store: Any, pattern: str, expected: list[str]) -> None:
    put, root = store
    for name in ("part-1", "part-2", "part-10", "d=1/part-3", "d=2/part-4", "d=2/e/part-5"):
        put(f"{name}.jsonl")
    assert names(root + pattern) == expected


def test_a_name_with_brackets_is_that_file(store: Any) -> None:
    put, root = store
    for name in (
        "a[1].jsonl",
        "a1.jsonl",
        "x[1]/b-1.jsonl",
        "x1/b-2.jsonl",
        "a?.jsonl",
        "c[1]-1.jsonl",
        "c1-2.jsonl",
    ):
        put(name)
    assert names(f"{root}a[1].jsonl") == ["a[1].jsonl"]
    assert names(f"{root}a?.jsonl") == ["a?.jsonl"]
    assert names(f"{root}**/a[1].jsonl") == ["a[1].jsonl"]
    assert names(f"{root}**/b-[0-9].jsonl") == ["x1/b-2.jsonl", "x[1]/b-1.jsonl"]
    assert names(f"{root}x[1]/*.jsonl") == ["x[1]/b-1.jsonl"]
    assert names(f"{root}x[1]/") == ["x[1]/b-1.jsonl"]
    assert names(f"{root}x[1]/b-?.jsonl") == ["x[1]/b-1.jsonl"]
    assert names(f"{root}c[1]-*.jsonl") == ["c[1]-1.jsonl"]


def test_brackets_are_a_wildcard_where_no_file_has_that_name(store: Any) -> None:
    put, root = store
    for name in ("a1.jsonl", "x1/b-2.jsonl"):
        put(name)
    assert names(f"{root}a[1].jsonl") == ["a1.jsonl"]
    assert names(f"{root}x[1]/b-[0-9].jsonl") == ["x1/b-2.jsonl"]
    assert names(f"{root}x[1]/b-2.jsonl") == ["x1/b-2.jsonl"]


def test_names_with_unusual_characters_are_found_and_opened(store: Any) -> None:
    from airflow_provider.core.files.reader import open_source

    put, root = store
    for name in ("a b#c%20d?e.jsonl", "ø/ü&=x.jsonl"):
        put(name)
    for file in find_files(root, "source"):
        with open_source(file.path) as opened:
            assert opened.read() == ROW


def test_hidden_folders_are_found_by_a_pattern_that_names_them(store: Any) -> None:
    put, root = store
    for folder in ("_old", ".older", "new"):
        put(f"{folder}/a.jsonl")
    assert names(f"{root}*/*.jsonl") == ["new/a.jsonl"]
    assert names(f"{root}_o*/*.jsonl") == ["_old/a.jsonl"]
    assert names(f"{root}.o*/*.jsonl") == [".older/a.jsonl"]


class Objects:
    """Storage that lists its objects as they are, with those that stand for folders.

    :param kinds: type by name.
    """

    def __init__(self, kinds: dict[str, str]) -> None:
        self.listed = [{"type": kind, "size": 3, "name": name} for name, kind in kinds.items()]
        self.asked: list[str] = []

    def ls(self, place: str, *, detail: bool) -> list[dict[str, Any]]:
        self.asked.append(place)
        return self.listed

    def find(self, place: str, *, detail: bool) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.ls(place, detail=detail)}

    def info(self, place: str) -> dict[str, Any]:
        return {**self.ls(place, detail=True)[0], "name": place}

    def _strip_protocol(self, path: str) -> str:
        return path

    def invalidate_cache(self) -> None:
        self.asked.append("invalidate_cache")


def folder_of(storage: Any, protocol: str, conn_id: str = "own") -> Folder:
    attach(protocol, conn_id=conn_id, fs=storage)
    return Folder(f"{protocol}://{conn_id}@twin/X/")


def test_objects_that_stand_for_folders_are_no_files() -> None:
    names = {"twin/X/": "file", "twin/X/aX/": "file", "twin/X/aX": "directory", "twin/X/aX/b.csv": "file"}
    storage = Objects(names)
    folder = folder_of(storage, "gs")
    assert [(one.name, one.bytes) for one in folder.files()] == [("aX/b.csv", 3)]
    assert [(one.name, one.bytes) for one in folder.files("aX/")] == [("aX/b.csv", 3)]
    assert storage.asked == ["invalidate_cache", "twin/X", "twin/X/aX"]
    (other,) = folder_of(Objects({"/twin/X/X.csvX": "file"}), "gcs").files()
    assert other.name == "X.csvX"


def test_folders_of_one_level_are_known_by_their_type_with_and_without_a_slash() -> None:
    kinds = {"/X": "file", "/X/aX/": "file", "/X/bX/": "directory", "/X/cX": "directory", "/X/d.X": "file"}
    storage = Objects(kinds)
    folder = folder_of(storage, "sftp")
    found = [(one.name, one.is_folder) for one in folder.entries()]
    assert found == [("bX", True), ("cX", True), ("d.X", False)]
    assert [one.name for one in folder.entries("aX/")] == ["aX/X", "aX/bX", "aX/cX", "aX/d.X"]
    for name in ("eX/", "eX", ""):
        one = folder.info(name)
        assert (one and (one.name, one.is_folder)) == (name, False)
    assert storage.asked == ["invalidate_cache", "/X", "/X/aX", "/X/eX", "/X/eX", "/X"]


def test_a_file_is_no_folder_whatever_its_name(store: Any) -> None:
    put, root = store
    put("X.jsonlX")
    assert problems(f"{root}X.jsonlX/*") == [f"no file matches '{root}X.jsonlX/*'"]


def test_no_match_says_what_was_looked_for(store: Any) -> None:
    put, root = store
    put("_hidden.jsonl")
    put("x.csv")
    assert problems(f"{root}part-*.jsonl") == [f"no file matches '{root}part-*.jsonl'"]
    assert problems(f"{root}none/") == [f"there is no file in the folder '{root}none/'"]
    hidden = "files whose names begin with '_' or '.' are skipped (1 here)"
    assert problems(f"{root}*.jsonl") == [f"no file matches '{root}*.jsonl'; {hidden}"]
    assert problems(f"{root}none.jsonl") == [f"there is no file '{root}none.jsonl'"]


def test_a_bucket_that_is_not_there_has_no_files(s3: Any) -> None:
    for source in ("s3://aws_s3@nowhere/rooms/", "s3://aws_s3@nowhere/rooms/*.csv"):
        with pytest.raises(InputError, match="nowhere/rooms/"):
            find_files(source, "source")


def test_a_folder_without_its_slash_is_refused_with_the_advice(store: Any) -> None:
    put, root = store
    put("a/x.jsonl")
    assert problems(f"{root}a") == [f"'{root}a' is a folder; for all of its files, end it with '/'"]


def test_a_path_without_a_name_is_refused() -> None:
    for path in ("", " "):
        with pytest.raises(InputError, match="^rows: the path is empty$"):
            find_files(path, "rows")


def test_a_file_in_a_folder_that_is_not_complete_is_refused(store: Any) -> None:
    put, root = store
    put("x.jsonl")
    missing = "has no '_SUCCESS' in its folder: it is not complete"
    assert problems(f"{root}x.jsonl", complete="_SUCCESS") == [missing]
    put("_SUCCESS")
    assert names(f"{root}x.jsonl", complete="_SUCCESS") == ["x.jsonl"]


def test_another_error_than_that_nothing_is_there_is_raised(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    folder = Folder(f"{tmp_path}/")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        list(folder.entries("loop/"))
    assert (folder.info("none"), folder.info("x" * 300), list(folder.entries("none/"))) == (None, None, [])


@pytest.mark.parametrize("name", ["ETag", "etag", "LastModified", "mtime"])
def test_a_file_is_known_by_what_its_storage_tells(name: str) -> None:
    found = folder_module._found("x", {"type": "file", "size": 3, name: 5})
    assert (found.etag, found.bytes, found.is_folder) == ("5", 3, False)
    both = {"type": "file", "mtime": 1, "LastModified": 2, "etag": 3, "ETag": 4}
    order = ["ETag", "etag", "LastModified", "mtime"]
    left = {key: both[key] for key in ("type", *order[order.index(name) :])}
    assert folder_module._found("x", left).etag == str(both[name])


def test_a_folder_that_is_opened_as_a_file_is_refused(tmp_path: Path) -> None:
    for path in (f"{tmp_path}", f"file://{tmp_path}"):
        with pytest.raises(InputError) as caught, open_source(path):
            pass
        assert str(caught.value) == f"source: '{path}' is a folder"
    with pytest.raises(InputError, match="^x: the path is empty$"), open_source(" ", "x"):
        pass


@pytest.mark.parametrize("source", ["s3://aws_s3@tw*n/x.csv", "s3://tw?n/in/*.csv", "memory://[a]/in/"])
def test_a_wildcard_in_the_name_of_a_bucket_is_refused(source: str) -> None:
    assert problems(source) == ["a wildcard cannot stand for a part of the bucket's name"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("a**.csv", "alone between slashes"), ("[z-a]*.csv", "wrong order"), ("**a/*.csv", "alone")],
)
def test_a_pattern_that_means_nothing_is_refused(tmp_path: Path, pattern: str, says: str) -> None:
    assert says in problems(f"{tmp_path}/{pattern}")[0]


def test_a_bucket_is_named_without_wildcards() -> None:
    assert "bucket" in problems("s3://aws_s3@tw*/x.csv")[0]


def test_files_of_several_formats_are_refused_and_named(store: Any) -> None:
    put, root = store
    for name in ("a.csv", "b.csv", "c.jsonl", "README"):
        put(name)
    assert len(problems(root)) == 2
    assert "'README' ends in none of" in problems(root)[0]
    assert "csv: a.csv, b.csv; jsonl: c.jsonl" in problems(root)[1]
    assert names(root, source_format="csv") == ["README", "a.csv", "b.csv", "c.jsonl"]


def test_parts_without_an_ending_take_the_given_format(store: Any) -> None:
    put, root = store
    put("0000_part_00")
    put("0001_part_00.gz")
    assert [file.format for file in find_files(root, "source", source_format="csv")] == ["csv", "csv"]
    assert "pass source_format" in problems(root)[0]
    assert "is unknown" in problems(root, source_format="xlsx")[0]


def test_texts_in_the_names_of_folders_are_the_partition(store: Any) -> None:
    put, root = store
    for name in ("d=2026-01-01/h=a%2Fb%20c/x.csv", "d=__HIVE_DEFAULT_PARTITION__/h=/x.csv"):
        put(name)
    found = find_files(root, "source")
    assert [dict(file.partition) for file in found] == [
        {"d": "2026-01-01", "h": "a/b c"},
        {"d": None, "h": ""},
    ]


def test_the_marker_of_a_complete_folder_is_demanded(store: Any) -> None:
    put, root = store
    put("a/x.jsonl")
    put("b/y.jsonl")
    assert problems(root, complete="_SUCCESS") == ["has no '_SUCCESS': the folder is not complete"]
    put("a/_SUCCESS")
    assert names(f"{root}a/", complete="_SUCCESS") == ["x.jsonl"]
    assert names(f"{root}a/*.jsonl", complete="_SUCCESS") == ["x.jsonl"]
    assert names(f"{root}a/x.jsonl", complete="_SUCCESS") == ["x.jsonl"]
    (problem,) = problems(f"{root}*/*.jsonl", complete="_SUCCESS")
    assert f"{root}b" in problem
    assert f"{root}a" not in problem
    put("done.txt")
    assert names(root, complete="done.txt") == ["a/x.jsonl", "b/y.jsonl"]
    assert names(f"{root}*/*.jsonl", complete="done.txt") == ["a/x.jsonl", "b/y.jsonl"]
    put("c/d/e/z.jsonl")
    put("c/ready")
    assert names(f"{root}*/*/*/*.jsonl", complete="ready") == ["c/d/e/z.jsonl"]


def test_a_changed_new_or_vanished_file_is_named(store: Any, s3: Any, tmp_path: Path) -> None:
    put, root = store
    for name in ("a", "b", "c"):
        put(f"{name}.jsonl")
    listing = Listing(root, "source")
    assert listing.changes() == []
    put("b.jsonl", b'{"id": "b"}\n')
    put("d.jsonl", ROW * 2)
    put("c.jsonl", ROW * 2)
    if root.startswith("s3"):
        s3.delete_object(Bucket="twin", Key="in/a.jsonl")
    elif root.startswith("memory"):
        MemoryFileSystem().rm_file("/twin/in/a.jsonl")
    else:
        (tmp_path / "in" / "a.jsonl").unlink()
    lines = ["'a.jsonl' is not there any more", *(["'b.jsonl' has changed"] if has_versions(root) else [])]
    lines.append(f"'c.jsonl' has changed: {len(ROW)} bytes before, {2 * len(ROW)} now")
    assert listing.changes() == [*lines, "'d.jsonl' is new"]
    assert listing.changes(new=False) == lines


def test_files_that_are_all_gone_are_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(ROW)
    listing = Listing(f"{tmp_path}/*.jsonl", "source")
    (tmp_path / "a.jsonl").unlink()
    assert listing.changes() == [f"no file matches '{tmp_path}/*.jsonl'"]


def own_manifest(root: str, files: dict[str, int], **more: Any) -> bytes:
    listed = [{"uri": root + name, "rows": 1, "bytes": size} for name, size in files.items()]
    head = {"format": "jsonl", "rows": len(files), "bytes": sum(files.values()), "columns": ["id"]}
    return json.dumps({**head, "files": listed, **more}).encode()


def redshift_manifest(root: str, files: dict[str, int]) -> bytes:
    entries = [
        {"url": root + name, "meta": {"content_length": size, "record_count": 1}}
        for name, size in files.items()
    ]
    return json.dumps({"entries": entries, "schema": {"elements": []}}).encode()


SIZES = {"b/2.jsonl": len(ROW), "1.jsonl": len(ROW)}


@pytest.mark.parametrize("name", ["_manifest.json", "venue_manifest", "manifest", "list.json"])
@pytest.mark.parametrize("make", [own_manifest, redshift_manifest])
def test_a_manifest_lists_its_files_in_its_order(store: Any, make: Any, name: str) -> None:
    put, root = store
    for file in (*SIZES, "stale.jsonl"):
        put(file)
    put(name, make(root, SIZES))
    found = find_files(root + name, "source")
    assert [(file.name, file.path, file.rows) for file in found] == [
        ("b/2.jsonl", f"{root}b/2.jsonl", 1),
        ("1.jsonl", f"{root}1.jsonl", 1),
    ]


def test_the_files_of_a_manifest_may_be_relative_to_it(store: Any) -> None:
    put, root = store
    for file in SIZES:
        put(file)
    for prefix in ("", "./"):
        put("m.json", own_manifest(prefix, SIZES))
        assert names(f"{root}m.json") == [*SIZES]


def test_a_manifest_is_read_with_its_own_connection(s3: Any) -> None:
    s3.put_object(Bucket="twin", Key="in/1.jsonl", Body=ROW)
    for host in ("twin", "other_conn@twin"):
        s3.put_object(
            Bucket="twin", Key="in/m.json", Body=own_manifest(f"s3://{host}/in/", {"1.jsonl": len(ROW)})
        )
        (file,) = find_files("s3://aws_s3@twin/in/m.json", "source")
        assert file.path == "s3://aws_s3@twin/in/1.jsonl"


FOREIGN = [
    "file:///etc/passwd",
    "/etc/passwd",
    "../secret.jsonl",
    "b/../../secret.jsonl",
    "s3://other/in/1.jsonl",
    "s3://aws_s3@twin/secret.jsonl",
    "s3://aws_s3@twin/in/../secret.jsonl",
    "https://user:geheim@host.example/1.jsonl?sig=geheim",
    "gs://twin/in/1.jsonl",
    "",
]


@pytest.mark.parametrize("location", FOREIGN)
def test_a_manifest_names_no_file_outside_of_its_own_folder(store: Any, location: str) -> None:
    put, root = store
    put("m.json", own_manifest("", {location: 1}))
    (problem,) = problems(f"{root}m.json")
    assert "not in the manifest's own folder" in problem
    assert "geheim" not in problem


def test_a_manifest_whose_files_are_not_as_it_says_is_refused_with_all_problems(store: Any) -> None:
    put, root = store
    put("1.jsonl")
    put("2.jsonl", ROW * 2)
    put("m.json", own_manifest(root, dict.fromkeys(("1.jsonl", "2.jsonl", "3.jsonl"), len(ROW))))
    assert problems(f"{root}m.json") == [
        f"lists '2.jsonl' with {len(ROW)} bytes, but it has {2 * len(ROW)}",
        "lists '3.jsonl', which is not there",
    ]


def test_a_manifest_that_contradicts_itself_is_refused(store: Any) -> None:
    put, root = store
    put("1.jsonl")
    put("m.json", own_manifest(root, {"1.jsonl": len(ROW)}, rows=7))
    assert problems(f"{root}m.json") == ["has 7 rows in all, but its files have 1"]
    put("m.json", own_manifest(root, {}))
    assert problems(f"{root}m.json") == ["is a manifest that lists no files"]
    put("m.json", redshift_manifest(root, {}))
    assert problems(f"{root}m.json") == ["is a manifest that lists no files"]


def test_a_manifest_gives_its_files_their_format(store: Any) -> None:
    put, root = store
    put("0000_part_00")
    put("m.json", own_manifest(root, {"0000_part_00": len(ROW)}))
    assert [file.format for file in find_files(f"{root}m.json", "source")] == ["jsonl"]
    put("m.json", redshift_manifest(root, {"0000_part_00": len(ROW)}))
    assert "pass source_format" in problems(f"{root}m.json")[0]
    assert [file.format for file in find_files(f"{root}m.json", "source", source_format="csv")] == ["csv"]


@pytest.mark.parametrize(
    "text",
    [
        '[{"files": [{"uri": "a", "bytes": 1}]}]',
        '{"type": "FeatureCollection", "features": [], "files": [{"uri": "a", "bytes": 1}]}',
        '{"connectorType": "ee", "content": [], "entries": [{"url": "s3://a/b"}]}',
        '{"connectorType": "ee"}',
    ],
)
def test_json_that_is_rows_is_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert names(str(path)) == ["x.json"]


def test_a_json_lines_file_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(own_manifest("", {"a": 1}))
    assert names(f"{tmp_path}/x.jsonl") == ["x.jsonl"]


def test_what_is_wrong_with_a_manifest_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"files": [{"uri": "a"}], "format": "csv", "rows": 1}')
    assert "is no manifest of files" in problems(f"{tmp_path}/m.json")[0]


def test_a_folder_with_a_manifest_is_refused_with_its_path(store: Any) -> None:
    put, root = store
    put("0000_part_00")
    put("manifest", redshift_manifest(root, {"0000_part_00": len(ROW)}))
    assert problems(root, source_format="csv") == [
        "has the manifest 'manifest': pass its path, not the folder's"
    ]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "none.csv")
    assert [problem.partition(" is no file")[0] for problem in problems(f"{tmp_path}/")] == [
        "'a.csv'",
        "'b.csv'",
    ]


@pytest.mark.parametrize("name", ["pipe.csv", "manifest", "circle.csv"])
def test_a_path_of_no_regular_file_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    """A task waited for a pipe without end, and read a device that has no end until it was killed."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "manifest").symlink_to("/dev/zero")
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    said = f"'{tmp_path}/{name}' is no file that can be read: a broken link, or no regular file"
    assert problems(f"{tmp_path}/{name}", source_format="csv") == [said]
    with pytest.raises(InputError, match="is no file that can be read"), open_source(f"{tmp_path}/{name}"):
        pass


def test_a_link_in_a_circle_is_a_problem_of_the_files_that_have_it(tmp_path: Path) -> None:
    (tmp_path / "b.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "a.csv").write_text("a\n")
    assert names(f"{tmp_path}/a*.csv") == ["a.csv"]
    assert problems(f"{tmp_path}/") == [
        "'b.csv' is no file that can be read: a broken link, or no regular file"
    ]


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("a\n")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert names(f"{tmp_path}/") == ["a/x.csv"]
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert [name.rpartition("/")[2] for name in names(f"{tmp_path}/")] == ["x.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all folders")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n")
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(PermissionError):
        find_files(f"{tmp_path}/", "source")


def test_a_path_from_the_working_directory_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jsonl").write_bytes(ROW)
    assert [file.path for file in find_files("out/*.jsonl", "source")] == ["out/a.jsonl"]
    assert [file.path for file in find_files("*/a.jsonl", "source")] == ["out/a.jsonl"]
    (tmp_path / "out" / "m.json").write_bytes(own_manifest("out/", {"a.jsonl": len(ROW)}))
    assert [file.path for file in find_files("out/m.json", "source")] == ["out/a.jsonl"]
    assert [file.name for file in find_files(f"{tmp_path}/out/m.json", "source")] == ["a.jsonl"]


def test_a_single_file_has_its_format_and_its_own_partition(tmp_path: Path) -> None:
    (tmp_path / "d=1").mkdir()
    (tmp_path / "d=1" / "x.JSONL.gz").write_bytes(ROW)
    (file,) = find_files(f"{tmp_path}/d=1/x.JSONL.gz", "source")
    assert (file.name, file.format, file.bytes) == ("x.JSONL.gz", "jsonl", len(ROW))
    assert (dict(file.partition), file.rows, file.sha256) == ({"d": "1"}, None, None)
    (file,) = find_files(f"{tmp_path}/d=1/x.JSONL.gz", "source", source_format="csv")
    assert file.format == "csv"


def test_folders_without_a_marker_are_named_each_once(tmp_path: Path) -> None:
    for name in ("b/1", "b/2", "a/1", "c/1", "d/1", "e/1", "f/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.jsonl").write_bytes(ROW)
    (tmp_path / "c" / "done").mkdir()  # A folder is no marker.
    listed = ", ".join(f"'{tmp_path}/{name}'" for name in "abcde")
    found = problems(f"{tmp_path}/*/*.jsonl", complete="done")
    assert found == [f"there is no 'done' in {listed}, and 1 more: not complete"]
    (tmp_path / "f" / "done").write_bytes(b"")
    assert problems(f"{tmp_path}/*/*.jsonl", complete="done") == [
        f"there is no 'done' in {listed}: not complete"
    ]


def test_all_that_is_wrong_with_a_manifest_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(ROW)
    (tmp_path / "2.jsonl").mkdir()
    files = [{"uri": name, "rows": 1, "bytes": len(ROW)} for name in ("1.jsonl", "2.jsonl", "../3.jsonl")]
    head = {"format": "jsonl", "bytes": 9, "columns": []}
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**head, "rows": 4, "files": files}))
    outside, total = problems(str(path))
    assert outside.startswith("lists '../3.jsonl', which is not in the manifest's own folder")
    assert total == "has 4 rows in all, but its files have 3"
    path.write_text(json.dumps({**head, "rows": 2, "files": files[:2]}))
    assert problems(str(path)) == ["lists '2.jsonl', which is not there"]
    incomplete = "has no '_SUCCESS' in its folder: it is not complete"
    assert problems(str(path), complete="_SUCCESS") == [incomplete]
    del files[0]["rows"]  # The number of all rows cannot be compared.
    path.write_text(json.dumps({**head, "rows": 7, "files": files[:1]}))
    (file,) = find_files(str(path), "source")
    assert (file.name, file.rows) == ("1.jsonl", None)


def test_formats_that_are_read_alike_may_be_mixed_and_others_are_named(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.ndjson"):
        (tmp_path / name).write_bytes(ROW)
    assert [file.format for file in find_files(f"{tmp_path}/", "source")] == ["jsonl", "ndjson"]
    for number in range(7):
        (tmp_path / f"{number}.csv").write_bytes(b"id\n")
    assert problems(f"{tmp_path}/") == [
        "has files of several formats (csv: 0.csv, 1.csv, 2.csv, 3.csv, 4.csv, and 2 more; jsonl: a.jsonl,"
        " b.ndjson): pass a wildcard such as '*.csv', or source_format"
    ]


def test_a_file_without_a_format_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(ROW)
    assert problems(f"{tmp_path}/") == [
        "'x.txt' ends in none of .jsonl, .ndjson, .json, .geojson, .csv, .parquet, .geoparquet: pass"
        " source_format, or a wildcard such as '*.csv'"
    ]


def test_a_pattern_that_means_nothing_is_explained(tmp_path: Path) -> None:
    assert problems(f"{tmp_path}/a**/[z-a]*.csv") == [
        "'**' stands for folders and must be alone between slashes, as in '**/a*'",
        "'[z-a]*.csv' has a range in the wrong order",
    ]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a/b.JSON", True),
        ("_MANIFEST", True),
        ("x.manifest", True),
        ("part-0", True),
        ("x.jsonl", False),
        ("a.b/c.csv", False),
        ("a.b/", False),
        ("", False),
    ],
)
def test_a_manifest_may_have_these_names(name: str, found: bool) -> None:
    assert may_be_manifest(name) is found


def test_a_large_file_of_json_is_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.jsonl").write_bytes(ROW)
    path = tmp_path / "m.json"
    path.write_bytes(own_manifest("", {"1.jsonl": len(ROW)}))
    for most, found in ((path.stat().st_size, "1.jsonl"), (path.stat().st_size - 1, "m.json")):
        monkeypatch.setattr(listing_module, "MAX_BYTES", most)
        assert names(str(path)) == [found]


def test_a_marker_that_ends_like_a_file_is_none_of_the_files(tmp_path: Path) -> None:
    for name in ("a/x.csv", "a/done.csv", "b/x.csv", "b/done.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"id\n")
    assert names(f"{tmp_path}/*/*.csv", complete="done.csv") == ["a/x.csv", "b/x.csv"]
    assert names(f"{tmp_path}/*/*.csv") == ["a/done.csv", "a/x.csv", "b/done.csv", "b/x.csv"]


def test_an_asterisk_is_a_wildcard_whatever_files_are_named(tmp_path: Path) -> None:
    for name in ("x*/b.jsonl", "x1/b.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(ROW)
    assert sorted(names(f"{tmp_path}/x*/b.jsonl")) == ["x*/b.jsonl", "x1/b.jsonl"]


def test_no_more_folders_are_listed_than_a_pattern_names() -> None:
    storage = Objects({"/X/a/b.csv": "file"})
    folder = folder_of(storage, "sftp", "other")
    found, skipped = match_files(folder, ["a", "*.csv"])
    assert ([one.name for one in found], skipped) == (["a/b.csv"], 0)
    assert storage.asked == ["invalidate_cache", "/X/a"]


def test_a_folder_below_others_is_named_whole_where_it_has_no_marker(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.jsonl").write_bytes(ROW)
    (problem,) = problems(f"{tmp_path}/*/*/*.jsonl", complete="done")
    assert problem == f"there is no 'done' in '{tmp_path}/a/b': not complete"
    (tmp_path / "a" / "b" / "done").write_bytes(b"")
    assert names(f"{tmp_path}/*/*/*.jsonl", complete="done") == ["a/b/x.jsonl"]


def test_a_folder_and_a_file_with_brackets_are_those(tmp_path: Path) -> None:
    for name in ("x[1]/b[1].jsonl", "x1/b1.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(ROW)
    (file,) = find_files(f"{tmp_path}/x[1]/b[1].jsonl", "source")
    assert file.path == f"{tmp_path}/x[1]/b[1].jsonl"
    incomplete = ["has no 'done' in its folder: it is not complete"]
    (tmp_path / "done").write_bytes(b"")
    assert problems(file.path, complete="done") == incomplete
    (tmp_path / "x[1]" / "done").write_bytes(b"")
    assert names(file.path, complete="done") == [file.name]
    (tmp_path / "x[1]" / "m.json").write_bytes(own_manifest("", {"b[1].jsonl": len(ROW)}))
    (listed,) = find_files(f"{tmp_path}/x[1]/m.json", "source")
    assert listed.path == file.path


def test_only_a_source_of_one_file_of_rows_is_single(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(ROW)
    (tmp_path / "m.json").write_bytes(own_manifest("", {"1.jsonl": len(ROW)}))
    kinds = [Listing(f"{tmp_path}/{name}", "source").is_single for name in ("1.jsonl", "m.json", "*.jsonl")]
    assert kinds == [True, False, False]


def test_files_that_are_skipped_by_their_own_name_or_a_folders_are_counted(tmp_path: Path) -> None:
    for name in ("_t/a.jsonl", "_t/_b.jsonl", "_c.jsonl", "d/.e.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(ROW)
    for source in (f"{tmp_path}/", f"{tmp_path}/**/*.jsonl"):
        assert problems(source)[0].endswith("files whose names begin with '_' or '.' are skipped (4 here)")
    assert problems(f"{tmp_path}/*.jsonl")[0].endswith(" are skipped (1 here)")
