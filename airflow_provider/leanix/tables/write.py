"""Writing of tables: a file for each type, each with its manifest, and last the manifest of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.files.atomic import AtomicFile, remove_leftovers
from airflow_provider.core.files.formats import import_pyarrow
from airflow_provider.core.files.paths.folder import Folder
from airflow_provider.core.files.storage import ensure_writable, object_path
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import IncompleteExportError, InputError, one_line, shorten
from airflow_provider.leanix.tables.names import (
    MANIFEST,
    manifest_name,
    possible_stems,
    stems,
    table_name,
    table_names,
)
from airflow_provider.leanix.tables.spool import ItemSpool, Row, as_rows

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider.core.reports.report import Report
    from airflow_provider.leanix.tables.flatten import Column

_WRITERS = {"csv": CsvWriter, "jsonl": JsonLinesWriter}

_ROW_GROUP = 8192
"""Maximum rows of a row group of Parquet."""


class TableFile(msgspec.Struct, omit_defaults=True):
    """A type's file in the manifest of all tables.

    :param type: the type.
    :param uri: location of the file.
    :param manifest: location of the type's own manifest, which has its columns.
    """

    type: str
    uri: str
    rows: int
    bytes: int
    sha256: str
    manifest: str


class _Manifest(msgspec.Struct):
    """Manifest of all tables of a run."""

    run_id: str
    format: str
    files: list[TableFile]


class _TypeManifest(msgspec.Struct):
    """Manifest of a type's table."""

    run_id: str
    format: str
    type: str


@dataclass(frozen=True, slots=True)
class _Written:
    """A written table: its entry in the manifest of all tables, and its own manifest."""

    file: TableFile
    manifest: dict[str, Any]


def ensure_folder(output_path: str) -> None:
    """Check that tables can be written into a folder, before the first request.

    :param output_path: the folder, with ``/`` at its end.
    :raises InputError: when it cannot be written, or has the manifest of another export.
    """
    ensure_writable(f"{output_path}{MANIFEST}")
    _earlier_manifest(output_path)


def write_tables(
    spool: ItemSpool,
    output_path: str,
    file_format: str,
    run_id: str,
    log: Logger,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write the items of a run as one table for each type; return the manifest of all of them.

    The files of each run have names of their own, and the manifest is written when all of them are there.
    So a reader of the manifest gets the tables of one run, the last one or the one before. Files of earlier
    runs, also of killed ones, are removed.

    :param spool: the items.
    :param output_path: the folder, with ``/`` at its end.
    :param file_format: ``parquet``, ``csv`` or ``jsonl``.
    :param run_id: the run.
    :param log: receives what could not be removed, and what is left out.
    :param report: observes the rows of each table; None for none.
    :raises IncompleteExportError: when another run writes into the folder at the same time.
    """
    columns = {name: spool.columns(name) for name in spool.types()}
    stem_of = stems(columns)
    remove_leftovers(output_path, table_names(file_format))
    written = [
        _write_table(spool, name, columns[name], output_path, stem_of[name], file_format, run_id, report)
        for name in columns
    ]
    earlier = _earlier_files(output_path)
    for table in written:
        _write_json(table.file.manifest, table.manifest)
    files = [table.file for table in written]
    kept = {uri for file in files for uri in (file.manifest, file.uri)}
    left_over = [uri for name in earlier if (uri := output_path + name) not in kept]
    _remove([uri for uri in left_over if uri.endswith(f".{MANIFEST}")], log)
    manifest = _manifest(written, output_path, file_format, run_id)
    stored = {name: value for name, value in manifest.items() if name != "uri"}
    _write_json(f"{output_path}{MANIFEST}", stored)
    _check_alone(output_path, [manifest_name(stem) for stem in stem_of.values()], run_id)
    _remove([uri for uri in left_over if not uri.endswith(f".{MANIFEST}")], log)
    _log_columns(columns, spool, log)
    return manifest


def _manifest(written: Sequence[_Written], output_path: str, file_format: str, run_id: str) -> dict[str, Any]:
    """Return the manifest of all tables."""
    files = [table.file for table in written]
    return {
        "uri": f"{output_path}{MANIFEST}",
        "format": file_format,
        "rows": sum(file.rows for file in files),
        "bytes": sum(file.bytes for file in files),
        "files": [msgspec.to_builtins(file) for file in files],
        "columns": _common([table.manifest["columns"] for table in written]),
        "run_id": run_id,
    }


def _write_table(
    spool: ItemSpool,
    name: str,
    columns: Sequence[Column],
    output_path: str,
    stem: str,
    file_format: str,
    run_id: str,
    report: Report | None,
) -> _Written:
    batches = _observed(spool.rows_of(name), name, columns, report)
    with AtomicFile(output_path + table_name(stem, run_id, file_format)) as file:
        if file_format == "parquet":
            _write_parquet(file, batches, name, columns)
        else:
            writer = _WRITERS[file_format](file, ["id", "type", *(column.name for column in columns)])
            for batch in batches:
                writer.write_rows(as_rows(batch, name, columns))
            writer.close()
    entry = TableFile(
        name, file.uri, spool.count(name), file.bytes, file.sha256, output_path + manifest_name(stem)
    )
    own = {"uri": entry.uri, "rows": entry.rows, "bytes": entry.bytes, "sha256": entry.sha256}
    manifest = {
        "format": file_format,
        "rows": entry.rows,
        "bytes": entry.bytes,
        "files": [own],
        "columns": ["id", "type", *(column.name for column in columns)],
        "type": name,
        "run_id": run_id,
    }
    return _Written(entry, manifest)


def _observed(
    batches: Iterator[list[Row]], name: str, columns: Sequence[Column], report: Report | None
) -> Iterator[list[Row]]:
    """Yield the rows of a type, which a report takes by their columns' names."""
    names = {column.key: column.name for column in columns}
    for batch in batches:
        if report is not None:
            rows = [
                {"id": item_id, **{names.get(key, key): value for key, value in row.items()}}
                for item_id, row in batch
            ]
            report.add_rows(rows, name)
        yield batch


def _write_parquet(
    file: AtomicFile, batches: Iterator[list[Row]], name: str, columns: Sequence[Column]
) -> None:
    pa, pq = import_pyarrow("output_format")
    types = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    typed = [(column, types.get(column.kind, pa.string())) for column in columns]
    schema = pa.schema(
        [("id", pa.string()), ("type", pa.string()), *((column.name, type_) for column, type_ in typed)]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for rows in _of_size(batches):
            arrays = [
                pa.array([item_id for item_id, _ in rows], pa.string()),
                pa.array([name] * len(rows), pa.string()),
                *(pa.array(_values(rows, column), type_) for column, type_ in typed),
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _of_size(batches: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """Yield rows for row groups: batches of a rare type are joined, large ones are cut."""
    left: list[Row] = []
    for batch in batches:
        left += batch
        while len(left) >= _ROW_GROUP:
            yield left[:_ROW_GROUP]
            left = left[_ROW_GROUP:]
    if left:
        yield left


def _values(rows: Sequence[Row], column: Column) -> list[Any]:
    key = column.key
    if column.kind != "json":
        return [row.get(key) for _, row in rows]
    encode = msgspec.json.Encoder().encode
    return [encode(row[key]).decode() if key in row else None for _, row in rows]


def _write_json(uri: str, value: Mapping[str, Any]) -> None:
    with AtomicFile(uri) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


def _common(columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the columns that all tables have."""
    first, *others = columns or [["id", "type"]]
    sets = [set(names) for names in others]
    return [name for name in first if all(name in names for names in sets)]


def _earlier_manifest(output_path: str) -> _Manifest | None:
    """Return the manifest that an earlier run wrote into a folder.

    :raises InputError: for the manifest of another export.
    """
    folder = Folder(output_path)
    found = folder.info(MANIFEST)
    if found is None:
        return None
    try:
        return msgspec.json.decode(folder.read(MANIFEST), type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError(
            f"'{shown_path(output_path)}' has a {MANIFEST} that is not one of tables of LeanIX: use a folder"
            " of its own for them",
            "output_path",
        ) from None


def _earlier_files(output_path: str) -> list[str]:
    """Return the names of the tables and their manifests that earlier runs wrote into a folder.

    A run that was killed may have left manifests that no other one lists, so each manifest of a type counts.
    A manifest may have been changed by hand, so only names that a run gives to its files are returned.
    """
    found: dict[str, None] = {}
    if (manifest := _earlier_manifest(output_path)) is not None:
        for stem in stems(dict.fromkeys(file.type for file in manifest.files)).values():
            found[manifest_name(stem)] = None
            found[table_name(stem, manifest.run_id, manifest.format)] = None
    folder = Folder(output_path)
    for entry in folder.entries():
        stem = entry.name.removesuffix(f".{MANIFEST}")
        if stem == entry.name or entry.is_folder:
            continue
        own = _type_manifest(folder, entry.name)
        if own is not None and stem in possible_stems(own.type):
            found[entry.name] = None
            found[table_name(stem, own.run_id, own.format)] = None
    return [name for name in found if "/" not in name]


def _type_manifest(folder: Folder, name: str) -> _TypeManifest | None:
    """Return a type's manifest; None for another file, or one that is gone."""
    try:
        return msgspec.json.decode(folder.read(name), type=_TypeManifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, FileNotFoundError):
        return None


def _check_alone(output_path: str, names: Sequence[str], run_id: str) -> None:
    """Check that the manifests of a run are still its own when all of them are written.

    :param names: names of the types' manifests.
    :raises IncompleteExportError: when another run has written into the folder meanwhile.
    """
    folder, manifest = Folder(output_path), _earlier_manifest(output_path)
    found = {name: _type_manifest(folder, name) for name in names}
    for name, one in {**found, MANIFEST: manifest}.items():
        if one is None or one.run_id != run_id:
            state = "gone" if one is None else f"of run {one.run_id[:100]}"
            raise IncompleteExportError(
                f"another run has written into '{shown_path(output_path)}' at the same time as run {run_id}:"
                f" {name} is {state}. Clear the task, and give runs at the same time folders of their own"
            )


def _remove(uris: Sequence[str], log: Logger) -> None:
    for uri in uris:
        try:
            with suppress(FileNotFoundError):
                object_path(uri).unlink()
        except Exception as error:  # Storage libraries raise errors of any class.
            log.warning("A file of an earlier run cannot be removed: %s: %s", shown_path(uri), error)


def _log_columns(columns: Mapping[str, Sequence[Column]], spool: ItemSpool, log: Logger) -> None:
    """Log what a reader of the tables may not expect."""
    for name, found in columns.items():
        if renamed := [column.name for column in found if "~" in column.name]:
            log.warning(
                "Columns of type '%s' have a hash in their names, because others have the same name when case"
                " does not count: %s",
                one_line(name[:100]),
                one_line(", ".join(shorten(renamed, 10))),
            )
    if spool.unknown:
        named = ", ".join(f"{name} ({count})" for name, count in spool.unknown.most_common(10))
        log.warning(
            "Items have fields besides 'type', 'id' and 'data', which tables leave out: %s", one_line(named)
        )
    if not spool.rows:
        log.warning("The run produced no items: there is no table")
