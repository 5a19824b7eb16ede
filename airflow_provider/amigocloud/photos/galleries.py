"""Galleries of a dataset: requests for them and for their photos, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.amigocloud import api
from airflow_provider.core.http.call import SUCCESS, Call, segment
from airflow_provider.core.input.values import UnreadableValueError, read_integer, shown
from airflow_provider.core.redaction import redact
from airflow_provider.errors import IncompleteExportError, ServerError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook

_MOST = 2**63 - 1
"""Largest id of a gallery: that of a database."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Gallery(NamedTuple):
    """A gallery: a related table of a dataset, with the columns ``source_amigo_id`` and ``filename``."""

    id: int
    name: str

    @property
    def relation(self) -> str:
        """Its photos in SQL; the table's name is seen in clients."""
        return f"(SELECT amigo_id, source_amigo_id, filename FROM gallery_{self.id}) AS photos"  # noqa: S608

    def count(self, hook: AmigoCloudHook) -> int:
        """Return the number of its photos."""
        from airflow_provider.amigocloud.export.keyset import read_count

        found = hook.get_first(f"SELECT count(*) AS photos FROM gallery_{self.id}")  # noqa: S608 - a number
        count = read_count(found.get("photos")) if found else 0
        if count is None:
            raise IncompleteExportError(
                f"the service did not count the photos of '{self.name}'; retry the task"
            )
        return count


class Photo(NamedTuple):
    """A photo of a row.

    :param id: ``amigo_id`` of the photo.
    :param source: ``amigo_id`` of the row.
    :param filename: name that the user's device gave it.
    """

    gallery: Gallery
    id: str
    source: str | None
    filename: str | None


def photo_of(gallery: Gallery, row: Mapping[str, Any]) -> Photo:
    """Return the photo of a gallery's row.

    :raises ServerError: when the row lacks a column.
    """
    if missing := [name for name in ("amigo_id", "source_amigo_id", "filename") if name not in row]:
        raise ServerError(200, "", f"a row of the gallery '{gallery.name}' has no {', '.join(missing)}")
    source, filename = (
        None if row[name] is None else str(row[name]) for name in ("source_amigo_id", "filename")
    )
    return Photo(gallery, str(row["amigo_id"]), source, filename)


def read_galleries(hook: AmigoCloudHook, dataset: str) -> Iterator[Gallery]:
    """Yield a dataset's galleries; the list is read by the vendor's app for Android.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    """
    where = api.dataset_path(dataset, in_project=hook.has_project)
    for table in hook.get_cursor(f"{'/' if where.base == 'api' else ''}{where.path}/related_tables"):
        if (gallery := _read_gallery(table)) is not None:
            yield gallery


def _read_gallery(table: Any) -> Gallery | None:
    """Return a related table as a gallery; None for one of another type.

    :raises ServerError: when it is no related table.
    """
    try:
        if table.get("type") != "gallery":
            return None
        if (number := read_integer(table["id"], least=1)) <= _MOST:
            return Gallery(number, str(table.get("name") or number))
        raise UnreadableValueError("is no id of a database")
    except (AttributeError, KeyError, UnreadableValueError):
        raise ServerError(200, "", f"a related table cannot be read: {redact(shown(table))}") from None


def photo(of: Photo) -> Call[Any]:
    """Return the request for a photo's bytes, or for the link to them (both are seen in clients)."""
    names = "/".join(map(segment, (of.source, of.id, of.filename)))
    return Call(
        "GET",
        f"related_tables/{of.gallery.id}/files/{names}",
        success_statuses=SUCCESS | REDIRECTS,
        name="read a photo",
    )
