"""Geometries in PostGIS: as the file has them, in the coordinate system that it says, or refused."""

from __future__ import annotations

import json

import geopandas
import pytest
import shapely

from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud import seed

POINT = shapely.Point(12.5, 55.5)
EWKB = shapely.to_wkb(shapely.set_srid(POINT, 4326), hex=True, include_srid=True)
METRES = shapely.Point(691875, 6098907)


@pytest.fixture
def table(database):
    def make(kind="geometry(Point,4326)"):
        database.query(f"CREATE TABLE t (id int PRIMARY KEY, geom {kind}); ALTER TABLE t OWNER TO loader")
        return database

    return make


def write(folder, geometry):
    (folder / "a.jsonl").write_text(json.dumps({"id": 1, "geom": geometry}))
    return folder / "a.jsonl"


def write_parquet(folder, shape, crs):
    frame = geopandas.GeoDataFrame({"id": [1], "geom": [shape]}, geometry="geom", crs=crs)
    frame.to_parquet(folder / "a.geoparquet", write_covering_bbox=True)
    return folder / "a.geoparquet"


def found(database):
    return database.query("SELECT ST_AsEWKT(geom) FROM t")


def problem(load, path):
    with pytest.raises(InputError) as caught:
        load(path)
    (text,) = caught.value.problems
    return text


FORMS = {
    "EWKB": EWKB,
    "WKB": shapely.to_wkb(POINT, hex=True),
    "EWKT": "SRID=4326;POINT(12.5 55.5)",
    "WKT": "POINT(12.5 55.5)",
    "GeoJSON": {"type": "Point", "coordinates": [12.5, 55.5]},
    "GeoJSON text": '{"type": "Point", "coordinates": [12.5, 55.5]}',
}


@pytest.mark.parametrize("kind", ["geometry(Point,4326)", "geography(Point,4326)"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_each_form_of_a_geometry_is_taken(table, load, tmp_path, form, kind):
    database = table(kind)
    load(write(tmp_path, form))
    assert found(database) == [("SRID=4326;POINT(12.5 55.5)",)]


@pytest.mark.parametrize("kind", ["geometry(Point,4326)", "geometry", "geometry(Geometry,4326)"])
def test_geoparquet_gives_its_coordinate_system_to_each_geometry(table, load, tmp_path, kind, driver):
    database = table(kind)
    load(write_parquet(tmp_path, POINT, 4326))
    assert found(database) == [("SRID=4326;POINT(12.5 55.5)",)]


def test_geoparquet_of_another_coordinate_system_is_refused(table, load, tmp_path):
    database = table()
    text = problem(load, write_parquet(tmp_path, METRES, 25832))
    assert "'geom' is in SRID 25832, as its file says, and the table's column 'geom' takes 4326" in text
    assert "ST_Transform" in text
    assert found(database) == []


def test_geoparquet_of_the_columns_projected_coordinate_system_is_taken(table, load, tmp_path):
    database = table("geometry(Point,25832)")
    load(write_parquet(tmp_path, METRES, 25832))
    assert found(database) == [("SRID=25832;POINT(691875 6098907)",)]


def test_another_srid_in_a_geometry_is_refused_by_row(table, load, tmp_path):
    table()
    text = problem(
        load, write(tmp_path, shapely.to_wkb(shapely.set_srid(METRES, 25832), hex=True, include_srid=True))
    )
    assert text.startswith("the column 'geom' has another SRID than 4326")
    assert text.endswith("(1 rows: row 1)")


def test_metres_without_srid_are_no_degrees(table, load, tmp_path):
    table()
    text = problem(load, write(tmp_path, METRES.wkt))
    assert "has no SRID, and is outside of longitude and latitude, which SRID 4326 is (1 rows: row 1)" in text


def test_degrees_without_srid_are_no_metres(table, load, tmp_path):
    table("geometry(Point,25832)")
    text = problem(load, write(tmp_path, POINT.wkt))
    assert "has no SRID, and looks like longitude and latitude, which SRID 25832 is not" in text


def test_another_kind_of_geometry_is_refused_by_row(table, load, tmp_path):
    table()
    assert "is no POINT, which 'geom' takes (1 rows: row 1)" in problem(
        load, write(tmp_path, "LINESTRING(1 2,3 4)")
    )


RING = [[0, 0], [1, 0], [1, 1], [0, 1]]
OPEN = {
    "polygon": {"type": "Polygon", "coordinates": [RING]},
    "hole": {"type": "Polygon", "coordinates": [[*RING, RING[0]], RING]},
    "polygons": {"type": "MultiPolygon", "coordinates": [[[*RING, RING[0]]], [RING]]},
    "collection": {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [RING]}]},
}


@pytest.mark.parametrize("shape", OPEN.values(), ids=OPEN)
@pytest.mark.parametrize("as_text", [False, True])
def test_an_open_ring_of_geojson_which_postgis_takes_is_refused(table, load, tmp_path, shape, as_text):
    table("geometry")
    text = problem(load, write(tmp_path, json.dumps(shape) if as_text else shape))
    assert text == "row 1: the column 'geom' has an open ring: the last position must equal the first"


def test_the_geometry_of_geojson_fills_the_only_geometry_column(table, load, tmp_path):
    database = table()
    features = [
        {"type": "Feature", "geometry": shape, "properties": {"id": number}}
        for number, shape in enumerate([json.loads(shapely.to_geojson(POINT)), None])
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (tmp_path / "a.geojson").write_text(text)
    load(tmp_path / "a.geojson")
    assert found(database) == [("SRID=4326;POINT(12.5 55.5)",), (None,)]


def test_postgis_in_another_schema_is_found(table, load, tmp_path):
    database = table()
    database.query("CREATE SCHEMA gis; DROP EXTENSION postgis CASCADE; CREATE EXTENSION postgis SCHEMA gis")
    database.query("GRANT USAGE ON SCHEMA gis TO loader; ALTER TABLE t ADD geom gis.geometry(Point,4326)")
    load(write(tmp_path, EWKB))
    assert load(write(tmp_path, EWKB), mode="merge", key=["id"])["updated"] == 0
    assert database.query("SELECT gis.ST_X(geom) FROM t") == [(12.5,)]


def test_a_table_is_created_with_the_coordinate_system_of_the_file(database, load, tmp_path):
    load(write_parquet(tmp_path, METRES, 25832), create=True, key=["id"])
    assert database.query("SELECT Find_SRID('public', 't', 'geom')") == [(25832,)]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "geojson", "geoparquet"])
def test_each_format_of_an_export_fills_a_table(database, load, sandbox, tmp_path, suffix):
    from airflow_provider.amigocloud.operators import AmigoCloudExportOperator

    path = f"{tmp_path}/a.{suffix}"
    export = AmigoCloudExportOperator(task_id="e", dataset=seed.ASSETS, output_path=path).execute({})
    columns = AmigoCloudExportOperator(
        task_id="e", dataset=seed.ASSETS, output_path=f"{tmp_path}/b.parquet"
    ).execute({})
    load(columns["uri"], create=True, key=["amigo_id"])
    database.query(
        "ALTER TABLE t ALTER COLUMN wkb_geometry TYPE geometry(Point,4326) USING wkb_geometry::geometry"
    )
    before = database.query("SELECT md5(string_agg(t::text, ',' ORDER BY amigo_id)) FROM t")
    again = load(export["uri"], mode="merge", key=["amigo_id"])
    assert again["rows"] == export["rows"]
    # CSV has no empty texts, and GeoJSON fewer decimals.
    if suffix in ("jsonl", "parquet", "geoparquet"):
        assert (again["updated"], again["inserted"]) == (0, 0)
        assert before == database.query("SELECT md5(string_agg(t::text, ',' ORDER BY amigo_id)) FROM t")
