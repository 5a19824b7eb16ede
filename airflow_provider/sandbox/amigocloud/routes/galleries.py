"""Galleries: related tables with photos of a dataset's rows.

The vendor's clients show the requests, the fields of a related table, and the columns of ``gallery_<id>`` in
SQL. They read nothing of the reply to an upload; it is the new entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from starlette.responses import RedirectResponse, Response

from airflow_provider.sandbox.amigocloud.pagination import list_page
from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.responses import ApiError, bad_request, not_found
from airflow_provider.sandbox.amigocloud.routes.files import read_datafile, receive_chunk, take_upload
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState, Gallery

LINK_SECONDS = 300
"""Seconds until the link of a redirect expires."""

COLUMNS = ("amigo_id", "source_amigo_id", "filename", "s3_filename")


async def create_related_table(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Create a gallery of a dataset."""
    dataset = service.dataset_of(request)
    name, kind = request.body.get("name"), request.body.get("type")
    if not name:
        raise bad_request("name: this field is required.", "required")
    if kind != "gallery":
        # The only type that a client of the vendor's uses.
        raise bad_request(f'type: "{kind}" is not a valid choice.', "invalid_choice")
    return describe_gallery(service, add_gallery(service, dataset, str(name)))


def add_gallery(service: AmigoCloudState, dataset: Dataset, name: str) -> Gallery:
    """Create a gallery of a dataset, and return it."""
    made = Gallery(service.new_gallery_id(), dataset.id, dataset.project, name)
    columns = [{"name": column, "type": "string"} for column in COLUMNS]
    service.store.add_gallery(made.id, Dataset(made.rows, dataset.project, made.name, columns, hidden=True))
    service.galleries[made.id] = made
    return made


async def list_related_tables(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return the related tables of a dataset, as the vendor's app for Android reads them."""
    dataset = service.dataset_of(request)
    found = [one for one in service.galleries.values() if one.dataset == dataset.id]
    return list_page(service, request, [describe_gallery(service, one) for one in found])


def describe_gallery(service: AmigoCloudState, gallery: Gallery) -> dict[str, Any]:
    """Return the body of a gallery."""
    url = f"{service.api_root}/related_tables/{gallery.id}"
    return {
        "id": gallery.id,
        "url": url,
        "name": gallery.name,
        "type": "gallery",
        "table_name": f"gallery_{gallery.id}",
        "schema": f"{url}/schema",
        "chunked_upload": f"{url}/chunked_upload",
        "chunked_upload_complete": f"{url}/chunked_upload/complete",
    }


def drop_galleries(service: AmigoCloudState, dataset: Dataset) -> None:
    """Delete the galleries of a dataset that is being deleted."""
    for gallery in [one for one in service.galleries.values() if one.dataset == dataset.id]:
        service.store.drop(gallery.rows)
        del service.galleries[gallery.id]


def _gallery_of(service: AmigoCloudState, request: ApiRequest) -> Gallery:
    name = request.path["table"]
    found = service.galleries.get(int(name)) if name.isdigit() else None
    if found is None or ("project" in request.path and service.project_of(request) != found.project):
        raise not_found()
    return found


async def list_entries(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return the photos of a gallery, or those of one row of its dataset."""
    found = _gallery_of(service, request)
    rows = service.store.select(f"SELECT * FROM gallery_{found.id} ORDER BY amigo_id", -1, 0).rows
    source = request.params.get("source_amigo_id")
    rows = [row for row in rows if source is None or row["source_amigo_id"] == source]
    service.count_rows(len(rows))
    return {"data": rows}


async def upload_photo(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Receive a photo in one piece."""
    found = _gallery_of(service, request)
    name, content = await read_datafile(request)
    return _add(service, request, found, name, content)


async def upload_chunk(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Receive the next chunk of a photo."""
    _gallery_of(service, request)
    return await receive_chunk(service, request)


async def complete_upload(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Complete a photo that arrived in chunks."""
    found = _gallery_of(service, request)
    name, content = take_upload(service, request)
    return _add(service, request, found, name, content)


def _add(
    service: AmigoCloudState, request: ApiRequest, gallery: Gallery, name: str, content: bytes
) -> dict[str, Any]:
    source = request.body.get("source_amigo_id")
    if not source:
        raise bad_request("source_amigo_id: this field is required.", "required")
    name = str(request.body.get("filename") or name)
    return add_photos(service, gallery, [(str(source), name, content)])


def add_photos(
    service: AmigoCloudState, gallery: Gallery, photos: Iterable[tuple[str, str, bytes]]
) -> dict[str, Any]:
    """Add photos to a gallery in one transaction, and return the last entry.

    :param photos: row, file name and bytes of each photo.
    """
    insert = f"INSERT INTO dataset_{gallery.rows} ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?)"
    statements, values = [], [""] * len(COLUMNS)
    for source, name, content in photos:
        key = hashlib.md5(f"photo {gallery.id} {len(service.photos)}".encode()).hexdigest()
        values = [key, source, name, f"{key}/{name}"]
        statements.append((insert, values))
        service.photos[key] = content
    service.store.transaction(statements, {"photos": len(statements)})
    return dict(zip(COLUMNS, values, strict=True))


async def get_photo(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Return a photo, or a redirect to a signed link in the bucket."""
    found, path = _gallery_of(service, request), request.path
    key = path["key"].replace("'", "''")
    rows = service.store.select(f"SELECT * FROM gallery_{found.id} WHERE amigo_id = '{key}'", -1, 0).rows
    if [(row["source_amigo_id"], row["filename"]) for row in rows] != [(path["source"], path["filename"])]:
        raise not_found()
    if not service.photo_redirect:
        return Response(service.photos[path["key"]], media_type="image/jpeg")
    expires = int(service.around.clock.now()) + LINK_SECONDS
    signature = _signature(path["key"], expires)
    link = f"{service.around.storage_origin}/photos/{path['key']}?Expires={expires}&Signature={signature}"
    return RedirectResponse(link, 302)


def stored_photo(service: AmigoCloudState, key: str, expires: str, signature: str) -> Response:
    """Return a photo of the bucket; raise ``ApiError`` (403) for a link without signature, or expired."""
    valid = expires.isdigit() and signature == _signature(key, int(expires))
    if not valid or int(expires) < service.around.clock.now() or key not in service.photos:
        raise ApiError(403, "access_denied", "The link is not valid, or has expired.")
    return Response(service.photos[key], media_type="image/jpeg")


def _signature(key: str, expires: int) -> str:
    return hashlib.sha256(f"bucket {key} {expires}".encode()).hexdigest()
