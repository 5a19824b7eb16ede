"""GeoParquet: the geometry's column, its coordinate system, and columns that are there for readers only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.row_source import NO_OPTIONS, read_source
from airflow_provider.errors import InputError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

POINT = bytes.fromhex("0101000000000000000000F03F0000000000000040")


def write(folder: Path, column: dict[str, Any] | None = None, text: str | None = None) -> str:
    """Write a file of one row; returns its path."""
    box = {"xmin": 1.0, "ymin": 2.0, "xmax": 1.0, "ymax": 2.0}
    table = pa.table({"id": ["A"], "place": [POINT], "box": [box], "mark": [POINT]})
    geo = {"version": "1.1.0", "primary_column": "place", "columns": {"place": column or {"encoding": "WKB"}}}
    path = folder / "rows.parquet"
    pq.write_table(table.replace_schema_metadata({"geo": text or json.dumps(geo)}), path)
    return str(path)


def read(path: str, *, geo: bool = True) -> dict[str, Any]:
    ((_, row),) = read_source(path, "source", NO_OPTIONS, geo=geo)
    return row


COVERING = {"bbox": {edge: ["box", edge] for edge in ("xmin", "ymin", "xmax", "ymax")}}


def test_the_geometry_has_one_name_and_its_bounds_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, {"encoding": "wkb", "covering": COVERING})
    assert sorted(read(path)) == ["geometry", "id", "mark"]
    assert sorted(read(path, geo=False)) == ["box", "id", "mark", "place"]
    assert sorted(read(write(tmp_path))) == ["box", "geometry", "id", "mark"]


@pytest.mark.parametrize(
    "crs",
    [
        None,
        *({"id": {"authority": "EPSG", "code": code}} for code in (4326, 4979)),
        *({"id": {"authority": "OGC", "code": code}} for code in ("CRS84", "CRS84h")),
    ],
)
def test_longitudes_and_latitudes_are_read(tmp_path: Path, crs: Any) -> None:
    assert "geometry" in read(write(tmp_path, {"encoding": "WKB", "crs": crs}))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (
            {"crs": {"id": {"authority": "EPSG", "code": 25832}}},
            "the coordinate system EPSG:25832; reproject",
        ),
        ({"crs": {"name": "UTM 32N"}}, "the coordinate system UTM 32N; reproject it to EPSG:4326 first"),
        *(
            ({"crs": {"id": id_, "name": "UTM"}}, "the coordinate system UTM; rep")
            for id_ in ("x", None, [], {})
        ),
        ({"crs": {"id": {"code": 25832}}}, "has the coordinate system :25832; reproject"),
        ({"crs": {"id": {"authority": "EPSG"}}}, "has the coordinate system EPSG:; reproject"),
        ({"crs": {"ids": []}}, "has a coordinate system without a name or an id; reproject"),
        ({"crs": "EPSG:25832"}, "the coordinate system EPSG:25832; reproject"),
        ({"encoding": "point"}, "has geometries as 'point'; write them as WKB"),
    ],
)
def test_other_coordinates_and_encodings_are_refused(
    tmp_path: Path, column: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read(write(tmp_path, column))


def test_a_second_column_of_the_geometrys_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    table = pq.read_table(path)
    renamed = table.rename_columns(["id", "place", "box", "geometry"])
    pq.write_table(renamed.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(
        InputError, match="has the geometry 'place' and a column 'geometry'; rename one of them"
    ):
        read(path)
    assert sorted(read(path, geo=False)) == ["box", "geometry", "id", "place"]


@pytest.mark.parametrize("text", ["[]", '{"columns": {}, "a": ' + "[" * 200_000 + "]" * 200_000 + "}"])
def test_metadata_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="has 'geo' metadata that is not GeoParquet's"):
        read(write(tmp_path, text=text))
