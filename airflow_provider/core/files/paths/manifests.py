"""Manifests: the list of an export's files, ours or that of Redshift's UNLOAD, recognised by its content.

A manifest is data, and who can write it must not choose what this machine's or the connection's rights can
read. So its files are read from its own storage with its own connection, and only below its own folder.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

MAX_BYTES = 64 * 1024 * 1024
"""Maximum bytes of a manifest, some 300,000 files; larger JSON files are rows."""

_LOCAL = ("", "file", "local")


class ManifestFile(NamedTuple):
    """A file as a manifest lists it.

    :param location: its URL or path.
    :param bytes: its size; None where the manifest has none.
    :param rows: number of its rows; None where the manifest has none.
    :param sha256: its hash in hexadecimal; None where the manifest has none.
    """

    location: str
    bytes: int | None = None
    rows: int | None = None
    sha256: str | None = None


class Manifest(NamedTuple):
    """A manifest.

    :param files: its files.
    :param format: format of the files; None where it has none.
    :param rows: number of all rows; None where it has none.
    """

    files: list[ManifestFile]
    format: str | None = None
    rows: int | None = None


class _OwnFile(msgspec.Struct):
    uri: str
    bytes: int
    rows: int | None = None
    sha256: str | None = None


class _Own(msgspec.Struct):
    files: list[_OwnFile]
    format: str
    rows: int


class _Meta(msgspec.Struct):
    content_length: int | None = None
    record_count: int | None = None


class _Entry(msgspec.Struct):
    url: str
    meta: _Meta | None = None


class _Redshift(msgspec.Struct):
    entries: list[_Entry]


class _Outline(msgspec.Struct):
    """Members by which a JSON object is known; their values are not decoded."""

    files: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    entries: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class NoManifestError(ValueError):
    """A JSON object with ``files`` or ``entries`` that are not those of a manifest."""


def parse_manifest(data: bytes) -> Manifest | None:
    """Return the manifest that a file is; None for any other content.

    GeoJSON (``features``), LDIF (``content``) and lists of rows are none.

    :param data: the file.
    :raises NoManifestError: when the file seems to be a manifest, and is none.
    """
    text = data.removeprefix(BOM_UTF8)
    if text.lstrip()[:1] != b"{":
        return None
    try:
        outline = msgspec.json.decode(text, type=_Outline)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if outline.features is not msgspec.UNSET or outline.content is not msgspec.UNSET:
        return None
    try:
        if outline.entries is not msgspec.UNSET:
            return _of_redshift(msgspec.json.decode(text, type=_Redshift))
        if outline.files is not msgspec.UNSET:
            return _of_own(msgspec.json.decode(text, type=_Own))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoManifestError(str(error)) from None
    return None


def _of_own(found: _Own) -> Manifest:
    files = [ManifestFile(one.uri, one.bytes, one.rows, one.sha256) for one in found.files]
    return Manifest(files, found.format, found.rows)


def _of_redshift(found: _Redshift) -> Manifest:
    files = []
    for entry in found.entries:
        meta = entry.meta or _Meta()
        files.append(ManifestFile(entry.url, meta.content_length, meta.record_count))
    return Manifest(files)


def names_below(files: Sequence[ManifestFile], folder: str) -> tuple[list[str], list[str]]:
    """Return the paths of a manifest's files below its folder, and what is wrong with their locations.

    :param files: the files.
    :param folder: path or URL of the manifest's folder, with ``/`` at its end.
    """
    names: list[str] = []
    problems: list[str] = []
    seen: set[str] = set()
    for file in files:
        name = _name_below(file.location, folder)
        if name is None:
            problems.append(
                f"lists {_shown(file.location)}, which is not in the manifest's own folder: files are read"
                " from there and below only"
            )
        elif name in seen:
            problems.append(f"lists {_shown(file.location)} more than once")
        seen.add(name or "")
        names.append(name or "")
    return names, problems


def are_below(locations: Sequence[str], manifest: str) -> bool:
    """Return whether all files are in a manifest's folder or below, where its readers read them from.

    :param locations: locations of the files.
    :param manifest: the manifest's own location.
    """
    folder, slash, _ = manifest.rpartition("/")
    return all(_name_below(one, folder + slash) is not None for one in locations)


def _name_below(location: str, folder: str) -> str | None:
    """Return a location's path below a folder; None when it is elsewhere, whatever connection it names."""
    own, other = _place(folder), _place(location)
    if not own.protocol and not other.protocol and (name := _local_name(location, own.path, other.path)):
        return name
    if other.protocol:
        if (own.protocol, own.host) != (other.protocol, other.host) or not other.path.startswith(own.path):
            return None
        name = other.path.removeprefix(own.path)
    else:
        name = other.path
    name = name.removeprefix("./")
    # A component ".." would leave the folder again; an empty one is a name that storage may understand so.
    return None if not name or {"..", ".", ""} & {*name.split("/")} else name


def _local_name(location: str, folder: str, path: str) -> str | None:
    """Return a local path below a folder; exports name their files as their own ``output_path`` does.

    That may be a path from the working directory. A path from the manifest's folder is none of these.
    """
    root = f"{os.path.abspath(folder or '.').rstrip('/')}/"
    full = os.path.abspath(path)
    return full.removeprefix(root) if location and full.startswith(root) else None


class _Place(NamedTuple):
    protocol: str
    host: str
    path: str


def _place(location: str) -> _Place:
    """Return a location in parts, to compare it: without the connection, and with one name a protocol."""
    protocol, separator, rest = location.partition("://")
    if not separator:
        return _Place("", "", location)
    protocol = protocol.lower()
    host, slash, path = rest.partition("/")
    if protocol in _LOCAL:
        return _Place("", "", slash + path if host == "localhost" else rest)
    one = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs"}.get(protocol, protocol)
    return _Place(one, host.rpartition("@")[2], slash + path)


def _shown(location: str) -> str:
    from airflow_provider.core.redaction import shown_path

    return f"'{shown_path(location)}'"


def manifest_data(data: bytes) -> dict[str, Any]:
    """Return all members of a manifest.

    :param data: the file.
    :raises NoManifestError: when it is none.
    """
    if parse_manifest(data) is None:
        raise NoManifestError("it is no JSON object with 'files' or 'entries'")
    try:
        found: dict[str, Any] = msgspec.json.decode(data.removeprefix(BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoManifestError(str(error)) from None
    return found
