"""Geodata export: write a solution to JSON Lines, GeoJSON or GeoParquet."""

from __future__ import annotations

import operator
import re
import struct
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from airflow_provider.core.files import formats
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format, Output
from airflow_provider.core.files.manifest import log_manifest, manifest
from airflow_provider.core.json_types import Json
from airflow_provider.core.reports.report import BATCH, Report
from airflow_provider.errors import IncompleteExportError, InputError
from airflow_provider.mapsindoors import api
from airflow_provider.mapsindoors.geodata.validation import FIELDS
from airflow_provider.mapsindoors.geodata.wkt_wkb import to_wkb
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

_FORMATS = {"jsonl": "jsonl", "geojson": "geojson", "geoparquet": "geoparquet", "parquet": "geoparquet"}


_ROW_GROUP = 5_000
"""Rows of a GeoParquet row group."""


_WITHOUT_ZONE = re.compile(
    rb'("active(?:from|to)"\s*:\s*"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?)"', re.IGNORECASE
)
"""A time as .NET writes one whose kind it does not know: it would be refused when it is sent back."""


class _Header(msgspec.Struct):
    """The fields of an object that are decoded before it is written."""

    baseType: Any = ""  # noqa: N815 - the service's name
    geometry: Any = None


def choose_format(output_path: str) -> Format:
    """Return the format of a path by its suffix: ``jsonl``, ``geojson`` or ``geoparquet``.

    :param output_path: path or URL of the file.
    :raises InputError: when the suffix is not known.
    """
    found = formats.choose_format(output_path, _FORMATS, compressible=("jsonl", "geojson"))
    return Format(_FORMATS[found.name], found.compressed)


def export(
    hook: MapsIndoorsHook,
    output_path: str,
    base_types: set[str] | None,
    root_element: str | None = None,
    report: Report | None = None,
) -> Json:
    """Write a solution's geodata to a file, which gets its final name when it is complete.

    :param hook: the connection to the solution.
    :param output_path: path or URL of the file; the suffix chooses the format.
    :param base_types: the base types to export; None for all, empty for none.
    :param root_element: id of the object to export with its descendants; None for the whole solution.
    :param report: observes the objects, and is written after the file; None for none.
    :return: the export manifest.
    :raises InputError: when the solution has no object with the id ``root_element``.
    :raises IncompleteExportError: when GeoParquet cannot hold a value that the service sent.
    """
    started = time.monotonic()
    file_format = choose_format(output_path)
    chosen = _read(hook, base_types, root_element)
    with (
        AtomicFile(output_path) as file,
        formats.open_compressed(file, compressed=file_format.compressed) as out,
    ):
        rows = _WRITERS[file_format.name](chosen, out)
    result = manifest(
        file,
        file_format=file_format.name,
        rows=rows,
        columns=FIELDS,
        requests=hook.requests,
        seconds=round(time.monotonic() - started, 3),
    )
    log_manifest(result, hook.log)
    if report is None:
        return result
    # The objects are in memory, as the service sent them; they are decoded a batch at a time.
    for start in range(0, len(chosen), BATCH):
        report.add_encoded(chosen[start : start + BATCH])
    return report.finish(result)


def _read(hook: MapsIndoorsHook, base_types: set[str] | None, root_element: str | None) -> list[msgspec.Raw]:
    """Return the chosen objects, encoded: JSON Lines are written as the service sent them, but for zones."""
    if base_types is not None and not base_types:
        return []
    only = next(iter(base_types)) if base_types and len(base_types) == 1 else None
    sent = hook.send(api.undecoded(api.list_geodata(hook.api_key, only, root_element)))
    found = list(map(_with_zones, sent))
    if root_element and not found and not (only and hook.list_geodata(root_element=root_element)):
        raise InputError(f"the solution has no object {root_element!r}", "root_element")
    if base_types is None:
        return found
    return [raw for raw in found if str(_read_header(raw).baseType) in base_types]


def _with_zones(raw: msgspec.Raw) -> msgspec.Raw:
    """Return an object whose times name their zone: those of the service are in UTC."""
    data = bytes(raw)
    changed = _WITHOUT_ZONE.sub(rb'\1Z"', data)
    return raw if changed == data else msgspec.Raw(changed)


def _read_header(raw: msgspec.Raw) -> _Header:
    return msgspec.json.decode(raw, type=_Header)


def _write_lines(objects: Sequence[msgspec.Raw], out: Output) -> int:
    rows = 0
    for raw in objects:
        line = bytes(raw)
        out.write((msgspec.json.format(line, indent=-1) if b"\n" in line else line) + b"\n")
        rows += 1
    return rows


def _write_features(objects: Sequence[msgspec.Raw], out: Output) -> int:
    rows = 0
    out.write(b'{"type":"FeatureCollection","features":[')
    for raw in objects:
        out.write((b",\n" if rows else b"\n") + msgspec.json.encode(to_feature(msgspec.json.decode(raw))))
        rows += 1
    out.write(b"\n]}\n")
    return rows


def to_feature(item: Json) -> Json:
    """Return an object as a GeoJSON feature, from which the sync reads the same object.

    The feature's properties are the other fields, and beside them the members of ``properties``
    (``name@en``).
    """
    rest = {key: value for key, value in item.items() if key not in ("id", "geometry", "properties")}
    return {
        "type": "Feature",
        "id": item.get("id"),
        "geometry": item.get("geometry"),
        "properties": {**rest, **(item.get("properties") or {})},
    }


def _write_table(objects: Sequence[msgspec.Raw], out: Output) -> int:
    pa, pq = formats.import_pyarrow("output_path")
    kinds = {"status": pa.int64(), "geometry": pa.binary()}
    shapes = {
        str(shape.get("type")) for raw in objects if isinstance(shape := _read_header(raw).geometry, dict)
    }
    column = {"encoding": "WKB", "geometry_types": sorted(shapes)}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    head = {"geo": msgspec.json.encode(geo)}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in FIELDS], head)
    rows = 0
    with pq.ParquetWriter(out, schema) as writer:
        group: list[Json] = []
        for raw in objects:
            group.append(_row(msgspec.json.decode(raw)))
            rows += 1
            if len(group) == _ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                group = []
        writer.write_table(pa.Table.from_pylist(group, schema))
    return rows


def _row(item: Json) -> Json:
    """Return an object as a row of the table.

    :raises IncompleteExportError: when a column cannot hold a value that the service sent.
    """
    row = {}
    for name in FIELDS:
        try:
            row[name] = _cell(name, item.get(name))
        except (ValueError, TypeError, LookupError, AttributeError, struct.error):
            raise IncompleteExportError(
                f"object {item.get('id')}: {name} {str(item[name])[:80]!r} does not fit into GeoParquet;"
                " nothing was written. Export to .jsonl or .geojson, which keep the value unchanged"
            ) from None
    return row


def _cell(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "geometry":
        return to_wkb(value)
    if name == "status":
        return operator.index(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_WRITERS = {"jsonl": _write_lines, "geojson": _write_features, "geoparquet": _write_table}
