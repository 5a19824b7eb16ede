"""Listing: the files of a source, which is a file, a wildcard, a folder or a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from airflow_provider.core.files.paths import patterns
from airflow_provider.core.files.paths.folder import NOT_REGULAR, Folder, Found
from airflow_provider.core.files.paths.manifests import (
    MAX_BYTES,
    Manifest,
    NoManifestError,
    names_below,
    parse_manifest,
)
from airflow_provider.core.files.paths.partitions import partition_of
from airflow_provider.core.files.paths.search import match_files
from airflow_provider.core.files.reader import ENDINGS, FOLDER_HINT, NO_FILE, ending_of, format_of
from airflow_provider.core.input.conditions import refuse_rendered_list
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError, shorten

_NAMED = 5
"""Maximum files that one problem names."""

_MANIFEST_NAME = re.compile(r"manifest(\.json)?$", re.IGNORECASE)

_ALIKE = {"ndjson": "jsonl", "geoparquet": "parquet"}
"""Formats that are read in one way."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source.

    :param path: its full URL, or its local path.
    :param bytes: its size.
    :param etag: the storage's ETag; where there is none, the time of its last change; None without either.
    :param partition: texts by name, of its folders that are named ``key=value``; None for Hive's null.
    :param name: its path below the source's folder, which names it in errors.
    :param format: its format, such as ``csv``.
    :param rows: number of rows that a manifest names; None for none.
    :param sha256: hash that a manifest names; None for none.
    """

    path: str
    bytes: int
    etag: str | None
    partition: Mapping[str, str | None] = field(default_factory=dict)
    name: str = ""
    format: str = ""
    rows: int | None = None
    sha256: str | None = None


def find_files(
    source: str, subject: str, *, source_format: str | None = None, complete: str | None = None
) -> list[SourceFile]:
    """Return the files of a source in natural order: ``part-2`` before ``part-10``.

    :param source: path of a file, a wildcard (``…/part-*.parquet``; ``**`` for any folders; ``?`` and ``[…]``
        unless a file has just that name), a folder that ends in ``/``, with all folders in it, or a manifest.
        Names that begin with ``_`` or ``.``, copies in progress (``._COPYING_``) and the reports of exports
        (``.report.html``) are skipped.
    :param subject: the argument's name, for errors.
    :param source_format: format of the files; None for what their names end in.
    :param complete: name of a file that is in the folder once all files are there, such as ``_SUCCESS``.
    :raises InputError: with all problems: no file, several formats, a missing marker, and a manifest with
        files that are not as it says, or that are not in its own folder.
    """
    listing = Listing(source, subject, source_format=source_format, complete=complete)
    if listing.is_single:
        kind, _ = format_of(source, subject, source_format)
        return [replace(listing.files[0], format=kind.removeprefix("."))]
    return listing.files


class Listing:
    """The files of a source as they were found, to be compared with what is there later.

    The format of a single file is left to its reader, which may know further ones.

    :param source: see :func:`find_files`.
    :param subject: the argument's name, for errors.
    :param source_format: see :func:`find_files`.
    :param complete: see :func:`find_files`.
    :raises InputError: see :func:`find_files`.
    """

    def __init__(
        self, source: str, subject: str, *, source_format: str | None = None, complete: str | None = None
    ) -> None:
        if not source.strip():
            raise InputError("the path is empty", subject)
        refuse_rendered_list(source, subject)
        self.source, self.subject = source, subject
        self.is_single = False
        self._complete = complete
        self._given = source_format
        self.files = self._find()

    @property
    def where(self) -> str:
        """The source's name in errors."""
        return f"{self.subject} '{shown_path(self.source)}'"

    def changes(self, *, new: bool = True) -> list[str]:
        """Return which files are not as they were found, a sentence each.

        :param new: whether a new file is a change, too.
        """
        before = {file.path: file for file in self.files}
        try:
            after = {file.path: file for file in self._find()}
        except InputError as error:
            return error.problems
        changed = [
            _difference(file.name, file, after.get(path))
            for path, file in before.items()
            if _version(file) != _version(after.get(path))
        ]
        if new:
            changed += [f"'{file.name}' is new" for path, file in after.items() if path not in before]
        return changed

    def _find(self) -> list[SourceFile]:
        base, parts = patterns.split_path(self.source)
        self._check_pattern(base, parts)
        folder = Folder(base, self.subject)
        if self._is_plain(folder, parts):
            return self._of_one(folder, self.source[len(base) :])
        # The marker first: once it is there, the listing is complete.
        marked = self._has_marker(folder, "")
        found, skipped = match_files(folder, parts)
        found = [one for one in found if one.name.rpartition("/")[2] != self._complete]
        if not found:
            raise InputError(self._nothing_found(parts, skipped), self.subject)
        found.sort(key=lambda one: patterns.natural_key(one.name))
        problems = [] if marked else self._unmarked(folder, found, parts)
        problems += self._manifests_among(folder, found)
        return self._checked(folder, found, problems)

    def _check_pattern(self, base: str, parts: list[str]) -> None:
        problems = [
            f"'**' stands for folders and must be alone between slashes, as in '**/{part.replace('**', '*')}'"
            for part in parts
            if patterns.ANY_DEPTH in part and part != patterns.ANY_DEPTH
        ]
        problems += [f"'{part}' has a range in the wrong order" for part in parts if patterns.bad_range(part)]
        if patterns.SPECIAL & {*base}:  # of folders, it has those before the first wildcard only
            problems.append("a wildcard cannot stand for a part of the bucket's name")
        if problems:
            raise InputError(problems, self.where)

    def _is_plain(self, folder: Folder, parts: list[str]) -> bool:
        """Return whether a source is the path of one file."""
        if parts[-1] == patterns.ANY_DEPTH or any("*" in part for part in parts):
            return False
        if not any(patterns.SPECIAL & {*part} for part in parts):
            return True
        found = folder.info("/".join(parts))
        return found is not None and not found.is_folder

    def _of_one(self, folder: Folder, name: str) -> list[SourceFile]:
        """Return the file itself, or the files that it lists when it is a manifest."""
        found = folder.info(name)
        if found is None:
            raise InputError(f"there is no file '{shown_path(self.source)}'", self.subject)
        if found.is_folder:
            raise InputError(f"'{shown_path(self.source)}' is a folder{FOLDER_HINT}", self.subject)
        if found.bytes == NOT_REGULAR:
            raise InputError(f"'{shown_path(self.source)}' {NO_FILE}", self.subject)
        above, slash, _ = name.rpartition("/")
        marked = self._has_marker(folder, above + slash)
        problems = [] if marked else [f"has no '{self._complete}' in its folder: it is not complete"]
        if manifest := self._manifest(folder, found):
            return self._of_manifest(Folder(folder.text + above + slash), manifest, problems)
        self.is_single = True
        if problems:
            raise InputError(problems, self.where)
        path = folder.text + found.name
        return [SourceFile(path, found.bytes, found.etag, partition_of(path), shown_path(name))]

    def _of_manifest(self, folder: Folder, manifest: Manifest, problems: list[str]) -> list[SourceFile]:
        if not manifest.files:
            raise InputError("is a manifest that lists no files", self.where)
        names, wrong = names_below(manifest.files, folder.text)
        counts = [file.rows for file in manifest.files]
        if manifest.rows is not None and None not in counts and sum(map(int, counts)) != manifest.rows:  # type: ignore[arg-type]
            wrong.append(f"has {manifest.rows} rows in all, but its files have {sum(map(int, counts))}")  # type: ignore[arg-type]
        if wrong or problems:
            raise InputError([*problems, *wrong], self.where)
        there = _listed(folder, names)
        found = []
        for name, listed in zip(names, manifest.files, strict=True):
            one = there.get(name)
            if one is None or one.is_folder:
                problems.append(f"lists '{shown_path(name)}', which is not there")
            elif listed.bytes is not None and one.bytes != listed.bytes:
                problems.append(
                    f"lists '{shown_path(name)}' with {listed.bytes} bytes, but it has {one.bytes}"
                )
            else:
                found.append(one)
        files = self._checked(folder, found, problems, manifest.format)
        return [
            replace(file, rows=listed.rows, sha256=listed.sha256)
            for file, listed in zip(files, manifest.files, strict=True)
        ]

    def _checked(
        self, folder: Folder, found: list[Found], problems: list[str], default: str | None = None
    ) -> list[SourceFile]:
        """Return files with their formats; raise all problems.

        :param default: format of files whose names have none.
        """
        files = []
        for one in found:
            name = shown_path(one.name)
            if one.bytes == NOT_REGULAR:
                problems.append(f"'{name}' {NO_FILE}")
                continue
            try:
                kind, _ = format_of(one.name, "", self._given or ending_of(one.name) or default)
            except InputError as error:
                problems.append(self._no_format(name, error))
                continue
            path = folder.text + one.name
            files.append(
                SourceFile(path, one.bytes, one.etag, partition_of(path), name, kind.removeprefix("."))
            )
        problems += _format_problems(files)
        if problems:
            raise InputError(problems, self.where)
        return files

    def _no_format(self, name: str, error: InputError) -> str:
        if self._given:
            return error.problems[0]
        known = ", ".join(ENDINGS)
        return f"'{name}' ends in none of {known}: pass source_format, or a wildcard such as '*.csv'"

    def _nothing_found(self, parts: list[str], skipped: int) -> str:
        shown = shown_path(self.source)
        text = f"no file matches '{shown}'"
        if parts == [patterns.ANY_DEPTH]:
            text = f"there is no file in the folder '{shown}'"
        if skipped:
            text += f"; files whose names begin with '_' or '.' are skipped ({skipped} here)"
        return text

    def _has_marker(self, folder: Folder, below: str) -> bool:
        if self._complete is None:
            return True
        found = folder.info(below + self._complete)
        return found is not None and not found.is_folder

    def _unmarked(self, folder: Folder, found: Iterable[Found], parts: list[str]) -> list[str]:
        """Return the folders whose files have no marker, in their own folder or one above it."""
        if parts == [patterns.ANY_DEPTH]:
            return [f"has no '{self._complete}': the folder is not complete"]
        known = {"": False}
        for one in found:
            self._look_up(folder, one.name.rpartition("/")[0], known)
        missing = sorted({one.name.rpartition("/")[0] for one in found if not known[_above(one.name)]})
        named = ", ".join(shorten([repr(shown_path(f"{folder.text}{name}")) for name in missing], _NAMED))
        return [f"there is no '{self._complete}' in {named}: not complete"] if missing else []

    def _look_up(self, folder: Folder, below: str, known: dict[str, bool]) -> bool:
        if below not in known:
            own = self._has_marker(folder, f"{below}/")
            known[below] = own or self._look_up(folder, below.rpartition("/")[0], known)
        return known[below]

    def _manifest(self, folder: Folder, found: Found) -> Manifest | None:
        """Return the manifest that a file is; None for any other file."""
        if not may_be_manifest(found.name) or found.bytes > MAX_BYTES:
            return None
        try:
            return parse_manifest(folder.read(found.name))
        except NoManifestError as error:
            raise InputError(f"is no manifest of files: {error}", self.where) from None

    def _manifests_among(self, folder: Folder, found: Iterable[Found]) -> list[str]:
        """Return the problem of a manifest in a folder of files: it says which of them count."""
        named = [one for one in found if _MANIFEST_NAME.search(one.name) and one.bytes != NOT_REGULAR]
        return [
            f"has the manifest '{shown_path(one.name)}': pass its path, not the folder's"
            for one in named
            if self._manifest(folder, one)
        ]


def may_be_manifest(path: str) -> bool:
    """Return whether a file may be a manifest by its name: ``.json``, ``…manifest``, or without an ending."""
    name = path.rpartition("/")[2].lower()
    return name.endswith((".json", "manifest")) or (bool(name) and "." not in name)


def _above(name: str) -> str:
    return name.rpartition("/")[0]


def _listed(folder: Folder, names: Iterable[str]) -> dict[str, Found]:
    """Return what is in the folders of some files, listed once each."""
    places = {above + slash for above, slash, _ in (name.rpartition("/") for name in names)}
    return {found.name: found for place in sorted(places) for found in folder.entries(place)}


def _format_problems(files: Iterable[SourceFile]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(_ALIKE.get(file.format, file.format), []).append(file.name)
    if len(groups) < 2:
        return []
    named = "; ".join(f"{kind}: {', '.join(shorten(names, _NAMED))}" for kind, names in groups.items())
    return [f"has files of several formats ({named}): pass a wildcard such as '*.csv', or source_format"]


def _version(file: SourceFile | None) -> object:
    return file and (file.bytes, file.etag)


def _difference(name: str, before: SourceFile, after: SourceFile | None) -> str:
    if after is None:
        return f"'{name}' is not there any more"
    sizes = f": {before.bytes} bytes before, {after.bytes} now" if before.bytes != after.bytes else ""
    return f"'{name}' has changed{sizes}"
