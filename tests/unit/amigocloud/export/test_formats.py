"""Every format holds every row, every value and its type."""

from __future__ import annotations

import json
from datetime import date, datetime

import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

from airflow_provider.amigocloud.export import formats, parquet
from airflow_provider.amigocloud.pagination import Column
from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud import seed
from tests.unit.amigocloud.export.test_export import ASSETS, export, ordered, truth

pytestmark = pytest.mark.both_engines


def description(path):
    return json.loads(pq.read_metadata(path).metadata[b"geo"])


@pytest.fixture
def rows(sandbox):
    return ordered(truth(sandbox))


def test_parquet_has_the_types_of_the_reply_and_every_value(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 700)
    manifest = export(tmp_path / "a.parquet", dataset=seed.ASSETS)
    table = pq.read_table(tmp_path / "a.parquet")
    assert (manifest["format"], manifest["rows"]) == ("parquet", 3000)
    assert {field.name: str(field.type) for field in table.schema} == {
        "amigo_id": "string",
        "number": "int64",
        "name": "string",
        "building": "string",
        "floor": "int64",
        "category": "string",
        "maker": "string",
        "power_w": "int64",
        "price": "double",
        "in_service": "bool",
        "installed_on": "date32[day]",
        "inspected_at": "timestamp[us, tz=UTC]",
        "updated_at": "timestamp[us, tz=UTC]",
        "notes": "string",
        "wkb_geometry": "string",
    }
    for name in ("number", "maker", "power_w", "price", "in_service", "notes", "wkb_geometry"):
        assert table[name].to_pylist() == [row[name] for row in rows]
    assert table["installed_on"].to_pylist() == [date.fromisoformat(row["installed_on"]) for row in rows]
    moments = [row["inspected_at"] and datetime.fromisoformat(row["inspected_at"]) for row in rows]
    assert table["inspected_at"].to_pylist() == moments
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups > 1


def test_values_that_pyarrow_does_not_read_from_json_are_kept_all_the_same(tmp_path):
    columns = ["integer", "float", "date", "datetime", "string", "boolean"]
    rows = [
        [1, 2, "2025-01-31", "2025-01-31 14:05:11+02:00", "é\n", True],
        [2.0, 2.5, None, "2025-01-31", 5, None],
        [None, None, "1969-12-31", "2025-01-31T14:05:11.123456Z", {"a": [1]}, False],
    ]
    tables = []
    for n, chosen in enumerate((rows, rows[:1])):
        writer = parquet.ParquetWriter(tmp_path / f"{n}", [Column(kind, kind) for kind in columns])
        text = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in chosen)
        writer.write_lines(text.encode(), len(chosen))
        writer.close()
        tables.append(pq.read_table(tmp_path / f"{n}"))
    whole, first = tables
    assert whole.schema == first.schema
    assert whole.to_pylist()[:1] == first.to_pylist()
    assert whole["integer"].to_pylist() == [1, 2, None]
    assert whole["string"].to_pylist() == ["é\n", "5", '{"a": [1]}']
    assert whole["date"].to_pylist() == [date(2025, 1, 31), None, date(1969, 12, 31)]
    assert [str(value) for value in whole["datetime"].to_pylist()] == [
        "2025-01-31 12:05:11+00:00",
        "2025-01-31 00:00:00+00:00",
        "2025-01-31 14:05:11.123456+00:00",
    ]


def test_a_parquet_file_has_no_dictionary_of_its_unique_keys(tmp_path):
    export(tmp_path / "a.parquet", dataset=seed.ASSETS)
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    compact = {column.path_in_schema: column.has_dictionary_page for column in columns}
    assert (compact["amigo_id"], compact["building"]) == (False, True)


def test_an_empty_result_has_its_schema_in_every_format(tmp_path):
    sql = f"{ASSETS} WHERE number < 0"
    assert export(tmp_path / "a.parquet", sql=sql)["columns"][:2] == ["amigo_id", "number"]
    assert str(pq.read_schema(tmp_path / "a.parquet").field("price").type) == "double"
    export(tmp_path / "a.geoparquet", sql=sql)
    geo = description(tmp_path / "a.geoparquet")
    column = geo["columns"]["wkb_geometry"]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", [])
    assert "bbox" not in column
    export(tmp_path / "a.geojson", sql=sql)
    assert json.loads((tmp_path / "a.geojson").read_text()) == {"type": "FeatureCollection", "features": []}


@pytest.mark.parametrize(
    ("dataset", "kind"), [(seed.ASSETS, "Point"), (seed.ZONES, "MultiPolygon")], ids=["points", "polygons"]
)
def test_geoparquet_holds_wkb_without_srid_and_describes_it(sandbox, tmp_path, dataset, kind):
    export(tmp_path / "a.geoparquet", dataset=dataset)
    table = pq.read_table(tmp_path / "a.geoparquet")
    shapes = shapely.from_wkb(table["wkb_geometry"].to_pylist())
    expected = ordered(truth(sandbox, f"SELECT * FROM dataset_{dataset}"))
    assert [shape and shape.wkt for shape in shapes] == [
        shape and shape.wkt for shape in shapely.from_wkb([row["wkb_geometry"] for row in expected])
    ]
    assert set(shapely.get_srid(shapes).tolist()) <= {0, -1}
    geo = description(tmp_path / "a.geoparquet")
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "wkb_geometry")
    column = geo["columns"]["wkb_geometry"]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", [kind])
    assert column["bbox"] == pytest.approx(shapely.total_bounds(shapes))


@pytest.mark.parametrize(
    ("dataset", "kind"), [(seed.ASSETS, "Point"), (seed.ZONES, "MultiPolygon")], ids=["points", "polygons"]
)
def test_geopandas_reads_geoparquet_with_types_reference_system_and_box(sandbox, tmp_path, dataset, kind):
    export(tmp_path / "a.geoparquet", dataset=dataset)
    frame = geopandas.read_parquet(tmp_path / "a.geoparquet")
    expected = ordered(truth(sandbox, f"SELECT * FROM dataset_{dataset}"))
    shapes = shapely.from_wkb([row["wkb_geometry"] for row in expected])
    assert frame.active_geometry_name == "wkb_geometry"
    assert frame.crs.to_epsg() is None
    assert frame.crs == geopandas.GeoSeries([], crs="OGC:CRS84").crs
    assert set(frame.geom_type.dropna()) == {kind}
    assert list(frame.total_bounds) == pytest.approx(shapely.total_bounds(shapes))
    assert frame["amigo_id"].tolist() == [row["amigo_id"] for row in expected]
    assert [shape and shape.wkt for shape in frame.geometry] == [shape and shape.wkt for shape in shapes]
    half = frame.total_bounds.copy()
    half[2] = (half[0] + half[2]) / 2
    assert 0 < len(frame.cx[half[0] : half[2], half[1] : half[3]]) < len(frame)


def test_geopandas_reads_the_types_of_the_columns(sandbox, tmp_path):
    export(tmp_path / "a.geoparquet", dataset=seed.ASSETS)
    frame = geopandas.read_parquet(tmp_path / "a.geoparquet")
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert (kinds["number"], kinds["price"], kinds["wkb_geometry"]) == ("int64", "float64", "geometry")
    assert kinds["inspected_at"].endswith("UTC]")


def test_geopandas_reads_an_empty_export_with_its_schema(sandbox, tmp_path):
    export(tmp_path / "a.geoparquet", sql=f"{ASSETS} WHERE number < 0")
    frame = geopandas.read_parquet(tmp_path / "a.geoparquet")
    assert len(frame) == 0
    assert list(frame.columns) == [column["name"] for column in seed.ASSET_COLUMNS]
    assert frame.active_geometry_name == "wkb_geometry"
    assert frame.crs is not None


def test_geojson_is_a_feature_collection_with_everything_in_it(rows, tmp_path):
    manifest = export(tmp_path / "a.geojson", dataset=seed.ASSETS)
    collection = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    assert len(collection["features"]) == manifest["rows"] == 3000
    for feature, row in zip(collection["features"], rows, strict=True):
        shape = row.pop("wkb_geometry")
        assert feature["properties"] == row
        assert (feature["type"], feature["id"]) == ("Feature", row["amigo_id"])
        if shape is None:
            assert feature["geometry"] is None
        else:
            point = shapely.from_wkb(shape)
            assert feature["geometry"] == {"type": "Point", "coordinates": [point.x, point.y]}


def test_a_list_can_be_written_as_parquet_too(tmp_path):
    export(tmp_path / "a.parquet", url="/me/projects?limit=9")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["id"].to_pylist() == list(range(1234, 1259))
    assert str(table.schema.field("public_read").type) == "bool"


@pytest.mark.parametrize("ending", ["geojson", "geoparquet"])
def test_rows_without_geometry_are_refused_where_one_is_needed(tmp_path, ending):
    with pytest.raises(InputError, match=r"no geometry, only name \(string\)"):
        export(tmp_path / f"a.{ending}", sql="SELECT name FROM dataset_1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["geojson", "geoparquet"])
@pytest.mark.parametrize(
    ("value", "said"),
    [("nonsense", "row 3: column 'wkb_geometry' holds no hex EWKB"), ("SRID=25832;POINT(1 2)", "SRID 25832")],
)
@pytest.mark.one_engine("embedded", "PostgreSQL refuses such a value")
def test_a_geometry_that_cannot_be_written_is_named(sandbox, tmp_path, ending, value, said):
    sandbox.amigocloud.store.write(
        "UPDATE dataset_2002 SET wkb_geometry = ? WHERE amigo_id = "
        "(SELECT amigo_id FROM dataset_2002 ORDER BY amigo_id LIMIT 1 OFFSET 2)",
        [value],
    )
    with pytest.raises(InputError, match=said):
        export(tmp_path / f"a.{ending}", dataset=seed.ZONES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.one_engine("embedded", "PostgreSQL refuses such a value")
def test_a_value_of_another_type_is_named(sandbox, tmp_path):
    sandbox.amigocloud.store.write(f"UPDATE dataset_{seed.ASSETS} SET price = 'much' WHERE number = 7")
    with pytest.raises(InputError, match="column 'price' is not all double"):
        export(tmp_path / "a.parquet", dataset=seed.ASSETS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["parquet.gz", "geojson.gz"])
def test_only_text_formats_can_be_packed(sandbox, tmp_path, ending):
    with pytest.raises(InputError, match=r"\.jsonl and \.csv also with \.gz"):
        export(tmp_path / f"a.{ending}", dataset=1)
    assert sandbox.counters.total() == 0


@pytest.mark.one_engine("embedded", "no request is sent")
def test_a_package_that_is_missing_is_named_before_any_request(sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs pyarrow and shapely: install the extra 'parquet'"):
        export(tmp_path / "a.geoparquet", dataset=1)
    assert sandbox.counters.total() == 0
