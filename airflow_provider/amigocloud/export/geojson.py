"""GeoJSON writer (RFC 7946)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from airflow_provider.amigocloud.export.geometry import geometry_column, read_geometries
from airflow_provider.amigocloud.pagination import Column
from airflow_provider.core.files.writers import RowWriter

_HEAD = b'{"type":"FeatureCollection","features":[\n'

_TAIL = b"\n]}\n"


class GeoJsonWriter(RowWriter):
    """Writer of one feature collection, a feature per line; ``amigo_id`` is the feature's id and a property.

    Outer rings are counterclockwise, and holes clockwise. An empty geometry is null.

    :param out: binary file to write to.
    :param columns: columns of the rows; one of them must be the geometry.
    """

    def __init__(self, out: Any, columns: Sequence[Column]) -> None:
        super().__init__(out, [column.name for column in columns])
        self._geometry = geometry_column(columns)
        self._out.write(_HEAD)

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows."""
        import shapely

        rows = list(rows)
        shapes = read_geometries(
            [row.get(self._geometry) for row in rows],
            self._geometry,
            first_row=self.rows + 1,
            keys=[row.get("amigo_id") for row in rows],
        )
        texts = shapely.to_geojson(shapely.orient_polygons(shapes))
        empty = shapely.is_empty(shapes)
        features = [
            self._feature(row, None if is_empty else text)
            for row, text, is_empty in zip(rows, texts, empty, strict=True)
        ]
        if features:
            self._out.write((b",\n" if self.rows else b"") + b",\n".join(features))
            self.rows += len(features)

    def _feature(self, row: dict[str, Any], geometry: str | None) -> bytes:
        properties = {name: value for name, value in row.items() if name != self._geometry}
        key = row.get("amigo_id")
        feature: dict[str, Any] = {"type": "Feature"} if key is None else {"type": "Feature", "id": key}
        feature["geometry"] = None if geometry is None else msgspec.Raw(geometry.encode())
        feature["properties"] = properties
        return msgspec.json.encode(feature)

    def close(self) -> None:
        """Write the end of the collection."""
        self._out.write(_TAIL)
