"""GeoParquet and GeoJSON as other tools read them, and geometries that cannot be written."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import geopandas
import jsonschema
import pandas
import polars
import pyarrow.parquet as pq
import pyogrio
import pyproj
import pytest
import shapely
from referencing import Registry, Resource
from shapely import Point, wkt

from airflow_provider.amigocloud.export.geojson import GeoJsonWriter
from airflow_provider.amigocloud.export.parquet import ParquetWriter
from airflow_provider.amigocloud.pagination import Column
from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud import seed
from tests.unit.amigocloud.export.test_export import ASSETS, export, ordered, truth

GEOMETRY = "wkb_geometry"
PROJJSON = "https://proj.org/schemas/v0.7/projjson.schema.json"
SIDES = ("xmin", "ymin", "xmax", "ymax")

GEOPARQUET = json.loads(Path(__file__).with_name("geoparquet-1.1.0.schema.json").read_text())
"""The schema that the GeoParquet project publishes with its version 1.1.0."""


def described(path: Path) -> dict[str, Any]:
    """Return the metadata of a file, checked against the schema."""
    schema = pq.read_schema(path)
    geo = json.loads(schema.metadata[b"geo"])
    assert geo == json.loads(pq.read_metadata(path).metadata[b"geo"])
    projjson = json.loads(Path(pyproj.datadir.get_data_dir(), "projjson.schema.json").read_text())
    registry = Registry().with_resource(PROJJSON, Resource.from_contents(projjson))
    jsonschema.Draft7Validator(GEOPARQUET, registry=registry).validate(geo)
    for name, column in geo["columns"].items():
        assert str(schema.field(name).type) == "binary"
        (covering,) = {path[0] for path in column["covering"]["bbox"].values()}
        assert [field.name for field in schema.field(covering).type] == list(SIDES)
    return geo


def ewkb(text: str, srid: int | None = 4326, flavor: str = "extended") -> str:
    shape = wkt.loads(text)
    shape = shape if srid is None else shapely.set_srid(shape, srid)
    return shapely.to_wkb(shape, hex=True, include_srid=srid is not None, flavor=flavor)


def written(path: Path, *values: str | None, more: dict[str, Any] | None = None) -> Path:
    """Write rows with these geometries, in the format of the path's suffix."""
    columns = [Column("amigo_id", "string"), Column(GEOMETRY, "geometry")]
    columns += [Column(name, "string") for name in more or ()]
    with path.open("wb") as file:
        kind = GeoJsonWriter if path.suffix == ".geojson" else ParquetWriter
        writer = kind(file, columns, **({"geo": True} if kind is ParquetWriter else {}))
        try:
            for n, value in enumerate(values):
                row = {"amigo_id": f"id{n}", GEOMETRY: value, **(more or {})}
                writer.write_lines(json.dumps(row).encode(), 1)
            writer.close()
        except InputError:
            if isinstance(writer, ParquetWriter):
                writer.discard()
            raise
    return path


# -- GeoParquet


@pytest.mark.both_engines
@pytest.mark.parametrize("dataset", [seed.ASSETS, seed.ZONES], ids=["points", "polygons"])
def test_the_metadata_are_those_of_the_specification(sandbox, tmp_path, dataset):
    path = tmp_path / "a.geoparquet"
    manifest = export(path, dataset=dataset)
    geo = described(path)
    column = geo["columns"][geo["primary_column"]]
    assert column["encoding"] == "WKB"
    assert pyproj.CRS(column["crs"]) == pyproj.CRS("OGC:CRS84")
    assert column["covering"]["bbox"] == {side: ["bbox", side] for side in SIDES}
    assert "bbox" not in manifest["columns"]


@pytest.mark.both_engines
@pytest.mark.parametrize("dataset", [seed.ASSETS, seed.ZONES], ids=["points", "polygons"])
def test_the_covering_column_holds_the_box_of_each_row(sandbox, tmp_path, dataset):
    export(tmp_path / "a.geoparquet", dataset=dataset)
    table = pq.read_table(tmp_path / "a.geoparquet")
    for value, box in zip(table[GEOMETRY].to_pylist(), table["bbox"].to_pylist(), strict=True):
        if value is None:
            assert box is None
        else:
            assert tuple(box.values()) == shapely.from_wkb(value).bounds


@pytest.mark.parametrize("name", ["a.geojson", "a.geoparquet"])
def test_an_empty_text_is_no_geometry(sandbox, tmp_path, name):
    sql = f"SELECT amigo_id, NULL::geometry AS {GEOMETRY} FROM dataset_{seed.ZONES} ORDER BY amigo_id"
    export(tmp_path / "null" / name, sql=sql)
    sandbox.amigocloud.empty_geometry = "text"
    export(tmp_path / "text" / name, sql=sql)
    assert (tmp_path / "text" / name).read_bytes() == (tmp_path / "null" / name).read_bytes()


def test_heights_of_some_rows_are_in_types_and_box(tmp_path):
    path = written(
        tmp_path / "a.geoparquet",
        ewkb("POINT (12 55)"),
        None,
        ewkb("POINT Z (10 50 7)"),
        ewkb("POINT EMPTY"),
        ewkb("POLYGON Z ((1 2 3, 4 2 3, 4 5 9, 1 2 3))"),
        ewkb("POINT Z (11 51 NaN)"),
    )
    column = described(path)["columns"][GEOMETRY]
    assert column["geometry_types"] == ["Point", "Point Z", "Polygon Z"]
    assert column["bbox"] == [1.0, 2.0, 3.0, 12.0, 55.0, 9.0]
    boxes = pq.read_table(path)["bbox"].to_pylist()
    assert boxes[1] is None
    assert boxes[3] == dict.fromkeys(SIDES)
    assert boxes[4] == {"xmin": 1.0, "ymin": 2.0, "xmax": 4.0, "ymax": 5.0}
    frame = geopandas.read_parquet(path)
    assert frame.geometry.iloc[2].z == 7


@pytest.mark.parametrize("values", [(), (None, None), (ewkb("POINT EMPTY"),)], ids=["none", "null", "empty"])
def test_a_file_without_coordinates_has_no_box(tmp_path, values):
    path = written(tmp_path / "a.geoparquet", *values)
    column = described(path)["columns"][GEOMETRY]
    assert "bbox" not in column
    assert len(geopandas.read_parquet(path)) == len(values)
    assert "NaN" not in json.dumps(column)


def test_a_column_named_bbox_stays_as_it_is(tmp_path):
    path = written(tmp_path / "a.geoparquet", ewkb("POINT (1 2)"), more={"bbox": "mine"})
    covering = described(path)["columns"][GEOMETRY]["covering"]["bbox"]
    assert covering["xmin"] == ["wkb_geometry_bbox", "xmin"]
    assert pq.read_table(path)["bbox"].to_pylist() == ["mine"]


def test_the_schema_does_not_depend_on_the_rows(tmp_path):
    schemas = [
        pq.read_schema(written(tmp_path / f"{n}.geoparquet", *values)).remove_metadata()
        for n, values in enumerate([(), (None,), (ewkb("POINT (1 2)"),), (ewkb("POINT Z (1 2 3)"), None)])
    ]
    assert all(schema == schemas[0] for schema in schemas)


@pytest.fixture
def zones(sandbox, tmp_path):
    path = tmp_path / "zones.geoparquet"
    export(path, dataset=seed.ZONES)
    return path, shapely.from_wkb(
        [row[GEOMETRY] for row in ordered(truth(sandbox, f"SELECT * FROM dataset_{seed.ZONES}"))]
    )


def test_geopandas_reads_only_what_is_within_a_box(zones):
    path, shapes = zones
    x, y = shapes[0].centroid.coords[0]
    box = (x - 1e-5, y - 1e-5, x + 1e-5, y + 1e-5)
    frame = geopandas.read_parquet(path, bbox=box)
    assert list(frame.columns) == ["amigo_id", "name", "area_m2", GEOMETRY]
    assert len(frame) == sum(shape.intersects(shapely.box(*box)) for shape in shapes) < len(shapes)
    assert frame.crs == geopandas.GeoSeries([], crs="OGC:CRS84").crs


def test_duckdb_reads_geometries_and_boxes(zones):
    import duckdb
    import duckdb_extension_spatial as spatial

    (extension,) = Path(spatial.__file__).parent.rglob("spatial.duckdb_extension")
    path, shapes = zones
    with duckdb.connect() as db:
        db.execute(f"LOAD '{extension}'")
        columns = {row[0]: row[1] for row in db.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()}
        assert columns[GEOMETRY].startswith("GEOMETRY")
        areas = db.execute(
            f"SELECT ST_Area({GEOMETRY}) FROM read_parquet('{path}') ORDER BY amigo_id"
        ).fetchall()
        assert [area for (area,) in areas] == pytest.approx([shape.area for shape in shapes])
        sql = f"SELECT count(*) FROM read_parquet('{path}') WHERE bbox.xmin <= ST_XMin({GEOMETRY})"
        assert db.execute(sql).fetchone() == (24,)


def test_polars_reads_the_columns(zones):
    path, shapes = zones
    frame = polars.read_parquet(path)
    assert frame.columns == ["amigo_id", "name", "area_m2", GEOMETRY, "bbox"]
    assert frame["area_m2"].dtype == polars.Float64
    assert frame["bbox"].struct.field("xmin").min() == pytest.approx(min(s.bounds[0] for s in shapes))
    assert shapely.from_wkb(frame[GEOMETRY].to_list())[0].equals(shapes[0])


def test_pandas_reads_the_columns(zones):
    frame = pandas.read_parquet(zones[0])
    assert frame["area_m2"].dtype == float
    assert len(frame) == 24


def test_gdal_reads_geojson(zones, tmp_path):
    _, shapes = zones
    export(tmp_path / "a.geojson", dataset=seed.ZONES)
    frame = pyogrio.read_dataframe(tmp_path / "a.geojson")
    assert frame.crs.to_epsg() == 4326
    assert shapely.area(frame.geometry).tolist() == pytest.approx([shape.area for shape in shapes])
    if any(driver == "Parquet" for driver in pyogrio.list_drivers()):
        assert len(pyogrio.read_dataframe(zones[0])) == 24


# -- GeoJSON


@pytest.mark.parametrize(
    "text",
    [
        "POLYGON ((0 0, 0 4, 4 4, 4 0, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
        "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))",
        "MULTIPOLYGON (((0 0, 0 4, 4 4, 0 0)), ((5 5, 6 5, 6 6, 5 5), (5.5 5.2, 5.6 5.2, 5.6 5.3, 5.5 5.2)))",
        "GEOMETRYCOLLECTION (POINT (1 2), POLYGON ((0 0, 0 4, 4 4, 4 0, 0 0)))",
        "POLYGON Z ((0 0 1, 0 4 1, 4 4 1, 0 0 1))",
    ],
)
def test_rings_are_wound_as_the_standard_wants(tmp_path, text):
    path = written(tmp_path / "a.geojson", ewkb(text))
    (feature,) = json.loads(path.read_text())["features"]
    shape = shapely.geometry.shape(feature["geometry"])
    assert shape.equals(wkt.loads(text))
    assert shapely.has_z(shape) == shapely.has_z(wkt.loads(text))
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    assert polygons
    for polygon in polygons:
        assert polygon.exterior.is_ccw
        assert not any(ring.is_ccw for ring in polygon.interiors)


def test_an_empty_geometry_is_null_in_geojson(tmp_path):
    path = written(tmp_path / "a.geojson", ewkb("POINT EMPTY"), ewkb("POLYGON EMPTY"), None)
    assert [f["geometry"] for f in json.loads(path.read_text())["features"]] == [None, None, None]


# -- geometries that cannot be written

BAD = {
    "longitude": (ewkb("POINT (181 5)", None), "names no reference system, and its coordinates (181, 5)"),
    "latitude": (ewkb("LINESTRING (1 2, 3 -90.5)", None), "its coordinates (3, -90.5) are no longitude"),
    "metres": (ewkb("POINT Z (500000 6200000 3)", None), "no longitude and latitude; select ST_Transform"),
    "metres with SRID 0": (ewkb("POINT (500000 6200000)", 0), "no longitude and latitude"),
    "another system": (ewkb("POINT (5 6)", 3857), "has SRID 3857; only 4326 can be written"),
    "infinite": (ewkb("LINESTRING (1 1, 2 2)").replace("F03F", "F07F", 1), "a coordinate that is no number"),
    "text": ("nonsense", "holds no hex EWKB"),
    "cut": (ewkb("POINT (1 2)")[:-4], "holds no hex EWKB"),
    "measures": (ewkb("POINT M (1 2 3)"), "has measures (M)"),
    "curve": (
        (struct.pack("<BII", 1, 8, 3) + struct.pack("<6d", 0, 0, 1, 1, 2, 0)).hex(),
        "curve|hex EWKB",
    ),
}


@pytest.mark.parametrize("ending", ["geojson", "geoparquet"])
@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_a_geometry_that_would_be_at_another_place_is_refused(tmp_path, ending, value, said):
    with pytest.raises(InputError) as caught:
        written(tmp_path / f"a.{ending}", ewkb("POINT (1 2)"), value)
    assert any(part in str(caught.value) for part in said.split("|"))
    assert "row 2: " in str(caught.value)
    assert "(amigo_id id1)" in str(caught.value)


@pytest.mark.parametrize("ending", ["geojson", "geoparquet"])
def test_degrees_without_a_reference_system_are_written(tmp_path, ending):
    path = written(tmp_path / f"a.{ending}", ewkb("POINT (180 90)", None), ewkb("POINT (-180 -90)", 0))
    assert geopandas.read_file(path).shape[0] == 2 if ending == "geojson" else described(path)


def test_all_bad_geometries_of_a_page_are_named(sandbox, tmp_path):
    sandbox.amigocloud.store.write(
        f"UPDATE dataset_{seed.ASSETS} SET {GEOMETRY} = ? WHERE number < 3", [ewkb("POINT (999 0)", None)]
    )
    with pytest.raises(InputError) as caught:
        export(tmp_path / "a.geoparquet", sql=f"{ASSETS} ORDER BY number")
    assert [problem[:7] for problem in caught.value.problems] == ["row 1: ", "row 2: ", "row 3: "]
    assert list(tmp_path.iterdir()) == []


def test_points_of_shapely_are_what_the_tests_think():
    assert math.isnan(wkt.loads("POINT EMPTY").bounds[0])
    assert ewkb("POINT (1 2)", None) == Point(1, 2).wkb_hex
