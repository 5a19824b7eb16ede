"""Locations in manifests: each spelling of a file below the folder is that file, and no other one is read."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.paths.manifests import (
    Manifest,
    ManifestFile,
    NoManifestError,
    are_below,
    manifest_data,
    names_below,
    parse_manifest,
)


@pytest.mark.parametrize(
    ("folder", "location", "name"),
    [
        ("/a/", "/a/b/x", "b/x"),
        ("/a/X/", "/a/X/x", "x"),
        ("/a/", "b/x", "b/x"),
        ("/a/", "./b/x", "b/x"),
        ("/a/", "file:///a/x", "x"),
        ("/a/", "file://localhost/a/x", "x"),
        ("/a/", "FILE:///a/x", "x"),
        ("/a/", "local:///a/x", "x"),
        ("file:///a/", "/a/x", "x"),
        ("local:///a/", "file:///a/x", "x"),
        ("a/", "file://a/x", "x"),
        ("file://a/", "a/x", "x"),
        ("", "x", "x"),
        ("/", "/x", "x"),
        ("s3://twin/a/", "s3://twin/a/x", "x"),
        ("s3://own@twin/a/", "s3://other@twin/a/x", "x"),
        ("s3://twin/a/", "s3a://twin/a/x", "x"),
        ("s3://twin/a/", "s3n://twin/a/x", "x"),
        ("s3n://twin/a/", "S3://twin/a/b/x", "b/x"),
        ("gs://twin/a/", "gcs://twin/a/x", "x"),
        ("abfs://twin/a/", "abfss://twin/a/x", "x"),
        ("sftp://twin/a/", "sftp://twin/a/x", "x"),
        ("s3://twin/a/", "/a/x", None),
        ("s3://twin/a/", "gs://twin/a/x", None),
        ("s3://twin/a/", "s3://other/a/x", None),
        ("s3://twin/a/", "s3://twin/b/x", None),
        ("s3://twin/a/", "s3://twin/a/", None),
        ("s3://twin/a/", "s3://twin/a/b//x", None),
        ("/a/", "/ab/x", None),
        ("/a/", "/a/../x", None),
        ("/a/", "../x", None),
        ("/a/", "./../x", None),
        ("/a/", "b/./x", None),
        ("/a/", "", None),
        ("/a/", "s3://twin/a/x", None),
    ],
)
def test_a_location_below_the_folder_is_a_name_whatever_its_spelling(
    folder: str, location: str, name: str | None
) -> None:
    names, problems = names_below([ManifestFile(location)], folder)
    assert names == [name or ""]
    assert len(problems) == (name is None)
    assert are_below([location, location], f"{folder}manifest.json") is (name is not None)


def test_locations_from_the_working_directory_are_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = [ManifestFile("a/x"), ManifestFile(f"{tmp_path}/a/y")]
    assert names_below(listed, "a/") == (["x", "y"], [])
    assert names_below([ManifestFile(f"{tmp_path}/z")], "") == (["z"], [])
    assert are_below(["a/x"], f"{tmp_path}/a/manifest")
    assert are_below(["x"], "manifest")
    assert not are_below(["a/x", "/elsewhere/y"], "a/manifest")


def test_a_file_that_is_listed_twice_is_named_in_its_second_place() -> None:
    listed = [ManifestFile(one) for one in ("x", "/b/y", "./x", "/b/z")]
    assert names_below(listed, "/a/") == (
        ["x", "", "x", ""],
        [
            "lists '/b/y', which is not in the manifest's own folder: files are read from there and below"
            " only",
            "lists './x' more than once",
            "lists '/b/z', which is not in the manifest's own folder: files are read from there and below"
            " only",
        ],
    )


OWN = {"format": "csv", "rows": 3, "files": [{"uri": "x", "bytes": 5, "rows": 3, "sha256": "ab"}]}
REDSHIFT = {"entries": [{"url": "x", "meta": {"content_length": 5, "record_count": 3}}, {"url": "y"}]}


@pytest.mark.parametrize("before", [b"", BOM_UTF8, b" \n", BOM_UTF8 + b"\t"])
def test_a_manifest_is_read_with_all_that_it_says_of_its_files(before: bytes) -> None:
    own, redshift = (before + json.dumps(one).encode() for one in (OWN, REDSHIFT))
    assert parse_manifest(own) == Manifest([ManifestFile("x", 5, 3, "ab")], "csv", 3)
    assert parse_manifest(redshift) == Manifest([ManifestFile("x", 5, 3), ManifestFile("y")])
    assert (manifest_data(own), manifest_data(redshift)) == (OWN, REDSHIFT)


@pytest.mark.parametrize(
    "found",
    [
        *([OWN], "x", {}, {"type": "x"}),
        *({**OWN, "features": []}, {**OWN, "content": []}, {**REDSHIFT, "features": 1}),
    ],
)
def test_rows_of_json_are_no_manifest(found: Any) -> None:
    assert parse_manifest(json.dumps(found).encode()) is None
    with pytest.raises(NoManifestError, match="^it is no JSON object with 'files' or 'entries'$"):
        manifest_data(json.dumps(found).encode())


@pytest.mark.parametrize("data", [b"", b"{", b'{"files": ', b'{"a": "\xff"}', b"{" * 100_000])
def test_what_is_no_json_is_no_manifest(data: bytes) -> None:
    assert parse_manifest(data) is None


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"files": 5}, "Expected `array`"),
        ({"files": [{"uri": "x"}], "format": "csv", "rows": 1}, "missing required field `bytes`"),
        ({"files": [], "rows": 1}, "missing required field `format`"),
        ({"files": [], "format": "csv"}, "missing required field `rows`"),
        ({"entries": [{}]}, "missing required field `url`"),
    ],
)
def test_what_seems_to_be_a_manifest_and_is_none_says_why(found: Any, says: str) -> None:
    with pytest.raises(NoManifestError, match=says):
        parse_manifest(json.dumps(found).encode())


def test_a_manifest_of_bytes_that_are_no_text_has_no_members() -> None:
    data = b'{"files": [], "format": "csv", "rows": 0, "note": "\xff"}'
    assert parse_manifest(data) == Manifest([], "csv", 0)
    with pytest.raises(NoManifestError, match="UTF-8|utf-8"):
        manifest_data(data)
