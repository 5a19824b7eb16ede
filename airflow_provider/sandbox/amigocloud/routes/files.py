"""Files: uploads in one piece or in chunks, and exports by the service."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from starlette.datastructures import UploadFile
from starlette.responses import Response

from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.responses import ApiError, bad_request, not_found
from airflow_provider.sandbox.amigocloud.sql.geometry import from_geojson, point_of
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState, Upload

_NUMBER = re.compile(r"\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?\s*")
_SEPARATORS = (".", ",")
_INT32_END = 2**31
_BOOLEANS = {"true": True, "false": False}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
UPLOAD_HOURS = 24
"""Hours after which an unfinished upload expires."""


async def upload(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Receive a file in one piece; start a job that imports it as a dataset."""
    project = service.project_of(request)
    name, content = await read_datafile(request)
    if len(content) > service.simple_upload_limit:
        raise ApiError(413, "too_large", "Use the chunked upload for files of this size.")
    options = {key: str(value) for key, value in request.body.items() if key != "datafile"}
    return {"job": import_file(service, project, name, content, options)}


async def upload_chunk(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Receive the next chunk of a file; refuse chunks out of order."""
    service.project_of(request)
    return await receive_chunk(service, request)


async def receive_chunk(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Receive the next chunk of a file; refuse chunks out of order."""
    name, content = await read_datafile(request)
    match = _RANGE.fullmatch(request.http.headers.get("content-range", ""))
    if match is None:
        raise bad_request("Content-Range is missing or malformed", "invalid_range")
    first, last, total = (int(part) for part in match.groups())
    if last - first + 1 != len(content) or last >= total:
        raise bad_request(
            f"Content-Range says {first}-{last}, the chunk has {len(content)} bytes", "invalid_range"
        )
    found = _upload(service, request, name, total)
    if first != len(found.content) or total != found.total:
        refusal = bad_request(f"expected offset {len(found.content)} of {found.total}", "invalid_offset")
        refusal.body["offset"] = len(found.content)
        raise refusal
    found.content += content
    expires = service.moment_text(UPLOAD_HOURS * 3600)
    return {"upload_id": found.id, "offset": len(found.content), "expires": expires}


def _upload(service: AmigoCloudState, request: ApiRequest, name: str, total: int) -> Upload:
    known = request.body.get("upload_id") or request.params.get("upload_id")
    if known:
        if known not in service.uploads:
            raise not_found("unknown upload_id")
        return service.uploads[str(known)]
    made = Upload(hashlib.md5(f"upload {len(service.uploads)}".encode()).hexdigest(), name, total)
    service.uploads[made.id] = made
    return made


async def complete_upload(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Complete a chunked upload; start a job that imports the file as a dataset."""
    project = service.project_of(request)
    options = {key: str(value) for key, value in request.body.items()}
    name, content = take_upload(service, request)
    return {"job": import_file(service, project, options.get("filename") or name, content, options)}


def take_upload(service: AmigoCloudState, request: ApiRequest) -> tuple[str, bytes]:
    """Return name and content of a file that has arrived whole, and forget its chunks."""
    found = service.uploads.get(str(request.body.get("upload_id")))
    if found is None:
        raise not_found("unknown upload_id")
    if len(found.content) != found.total:
        raise bad_request(f"{len(found.content)} of {found.total} bytes arrived", "incomplete")
    content = bytes(found.content)
    if service.check_md5 and request.body.get("md5") != hashlib.md5(content).hexdigest():
        raise bad_request("md5 checksum does not match", "md5_mismatch")
    del service.uploads[found.id]
    return found.filename, content


async def read_datafile(request: ApiRequest) -> tuple[str, bytes]:
    """Return name and content of a form's file."""
    part = request.body.get("datafile")
    if not isinstance(part, UploadFile):
        raise bad_request("datafile: no file was submitted.", "required")
    return part.filename or "datafile", await part.read()


def import_file(
    service: AmigoCloudState, project: int, name: str, content: bytes, options: Mapping[str, str]
) -> str:
    """Start a job that imports a CSV or GeoJSON file as a dataset; return the job's id."""
    separator = options.get("csv_props.decimal_separator", ".")
    if service.strict and separator not in _SEPARATORS:
        raise bad_request(f'csv_props.decimal_separator: "{separator}" is not a valid choice.')

    def work() -> dict[str, Any]:
        names, rows = _table(name, content, options)
        title = name.rsplit(".", 1)[0]
        if options.get("dataset_id"):
            return {"dataset_ids": [_replace(service, int(options["dataset_id"]), names, rows)]}
        if options.get("dataset_write_action") == "overwrite":
            for old in [d for d in service.store.datasets.values() if d.name == title]:
                service.store.drop(old.id)
        made = Dataset(service.next_dataset_id(), project, title, _columns(names, rows))
        service.store.add(made, rows)
        return {"dataset_ids": [made.id]}

    return service.start_job("upload", work, project_id=project, filename=name).id


def _replace(service: AmigoCloudState, number: int, given: list[str], rows: list[dict[str, Any]]) -> int:
    """Replace a dataset's rows by a file's, in one new state."""
    dataset = service.store.datasets[number]
    kinds = {column["name"]: column["type"] for column in dataset.columns}
    names = [name for name in kinds if name in given]
    listed, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    statements: list[tuple[str, Any]] = [(f'DELETE FROM "{dataset.table}"', ())]
    insert = f'INSERT INTO "{dataset.table}" ({listed}) VALUES ({marks})'
    statements += [(insert, [_typed(row.get(name), kinds[name]) for name in names]) for row in rows]
    service.store.transaction(statements, {"upload": number})
    return number


def _typed(text: str | None, kind: str) -> Any:
    """Return a cell as a field of the dataset holds it."""
    return _BOOLEANS.get(text, text) if text and kind == "boolean" else text


def _table(name: str, content: bytes, options: Mapping[str, str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and the rows of a file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: not a known format") from None
    if text.lstrip().startswith("{"):
        features = json.loads(text)["features"]
        found = [
            {**(feature.get("properties") or {}), "wkb_geometry": from_geojson(feature.get("geometry"))}
            for feature in features
        ]
        if not found:
            raise ValueError(f"{name}: no rows")
        return list(found[0]), found
    delimiter = options.get("csv_props.delimiter", ",")
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    names, rows = list(reader.fieldnames or ()), list(reader)
    if not names:
        raise ValueError(f"{name}: no rows")
    separator = options.get("csv_props.decimal_separator", ".")
    return names, [{key: _cell(value, separator) for key, value in row.items()} for row in rows]


def _cell(text: str | None, separator: str) -> str | None:
    """Return a cell of a CSV file; a number with another decimal separator is one with a point."""
    if text and separator != "." and _NUMBER.fullmatch(text.replace(separator, ".")):
        return text.replace(separator, ".")
    return text or None


def _columns(names: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = []
    for name in names:
        values = [row.get(name) for row in rows if row.get(name) is not None]
        known = "geometry" if name == "wkb_geometry" else _field_type(values)
        columns.append({"name": name, "type": known})
    return columns


def _field_type(values: list[Any]) -> str:
    kinds: tuple[tuple[str, Any], ...] = (("integer", int), ("float", float))
    for name, cast in kinds:
        try:
            for value in values:
                cast(str(value))
        except ValueError:
            continue
        if values:
            is_large = name == "integer" and any(
                not -_INT32_END <= int(value) < _INT32_END for value in values
            )
            return "bigint" if is_large else name
    return "string"


async def export(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Start a job that writes a dataset to a file."""
    dataset = service.dataset_of(request)
    if request.body.get("format") not in service.export_formats:
        raise bad_request(f"unknown format {request.body.get('format')}", "invalid_format")

    def work() -> dict[str, Any]:
        content = _kml(service, dataset)
        key = hashlib.sha1(f"export {dataset.id} {len(service.exports)}".encode()).hexdigest()
        service.exports[key] = (f"{dataset.name.replace(' ', '_')}.kml", content)
        origin = service.around.storage_origin if service.foreign_exports else service.api_root
        return {"link": f"{origin}/exports/{key}"}

    return {"job": service.start_job("export", work, project_id=dataset.project, dataset_id=dataset.id).id}


def _kml(service: AmigoCloudState, dataset: Dataset) -> bytes:
    rows = service.store.select(f'SELECT * FROM "{dataset.table}"', -1, 0).rows
    out = ['<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>']
    for row in rows:
        point = point_of(row.get(dataset.geometry_column or ""))
        shape = f"<Point><coordinates>{point[0]},{point[1]}</coordinates></Point>" if point else ""
        out.append(f"<Placemark><name>{escape(str(row.get('name')))}</name>{shape}</Placemark>")
    return "".join([*out, "</Document></kml>"]).encode()


async def get_export(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return the file of an export."""
    return file_response(service, request.path["key"])


def file_response(service: AmigoCloudState, key: str) -> Response:
    """Return the file of an export; raise ``ApiError`` (404) when there is none."""
    if key not in service.exports:
        raise not_found()
    name, content = service.exports[key]
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/vnd.google-earth.kml+xml", headers=headers)
