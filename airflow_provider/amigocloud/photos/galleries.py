"""Galleries of a dataset: requests for them and for their photos, as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.amigocloud import api
from airflow_provider.core.http.call import SUCCESS, Call, segment

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook

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
        found = hook.get_first(f"SELECT count(*) AS photos FROM gallery_{self.id}")  # noqa: S608 - a number
        return int(found["photos"]) if found else 0


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


def read_galleries(hook: AmigoCloudHook, dataset: str) -> Iterator[Gallery]:
    """Yield a dataset's galleries; the list is read by the vendor's app for Android.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    """
    where = api.dataset_path(dataset, in_project=hook.has_project)
    for table in hook.get_cursor(f"{'/' if where.base == 'api' else ''}{where.path}/related_tables"):
        if table.get("type") == "gallery":
            yield Gallery(int(table["id"]), str(table.get("name") or table["id"]))


def photo(of: Photo) -> Call[Any]:
    """Return the request for a photo's bytes, or for the link to them (both are seen in clients)."""
    names = "/".join(map(segment, (of.source, of.id, of.filename)))
    return Call(
        "GET",
        f"related_tables/{of.gallery.id}/files/{names}",
        success_statuses=SUCCESS | REDIRECTS,
        name="read a photo",
    )
