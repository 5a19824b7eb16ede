"""Row sources: any table is a source of sync, update, create and delete, with the columns that it has."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsCreateGeodataOperator,
    MapsIndoorsDeleteGeodataOperator,
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.mapsindoors.sync.update import update_rows
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import POI, by_external_id, desk, put, sync, writes

PLACE = {"baseType": "poi", "displayType": "Workspace", "parentExternalId": "A-0"}
FORMATS = ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet", "geojson", "geoparquet"]


def update(geodata: Any, **options: Any) -> dict[str, int]:
    return MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=geodata, **options).execute({})


def create(geodata: Any, **options: Any) -> dict[str, int]:
    return MapsIndoorsCreateGeodataOperator(task_id="t", geodata=geodata, **options).execute({})


def from_amigocloud(path: Path, sql: str) -> str:
    AmigoCloudExportOperator(task_id="t", output_path=str(path), sql=sql, key=None).execute({})
    return str(path)


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "as it is"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_assets_of_amigocloud_become_pois(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, suffix: str, mapped: bool
) -> None:
    sql = "SELECT amigo_id, name, floor, notes, wkb_geometry FROM dataset_2001 WHERE number < 40"
    path = from_amigocloud(tmp_path / f"assets.{suffix}", sql)
    columns = {"amigo_id": "externalId"} | ({"wkb_geometry": "geometry"} if mapped else {})
    options: dict[str, Any] = {"columns": columns, "ignore": ["floor", "notes"], "defaults": PLACE}
    assert sync(path, **options)["create"] == 40
    made = [one for one in by_external_id(unlimited_service).values() if len(one["externalId"]) == 32]
    assert len(made) == 40
    assert all(one["anchor"]["coordinates"] == one["geometry"]["coordinates"] for one in made)
    before = writes(sandbox)
    assert sync(path, **options)["unchanged"] == 40
    assert writes(sandbox) == before


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_part_zones_of_amigocloud_become_areas(
    unlimited_service: MapsIndoorsService, tmp_path: Path, suffix: str
) -> None:
    path = from_amigocloud(
        tmp_path / f"zones.{suffix}", "SELECT amigo_id, name, area_m2, wkb_geometry FROM dataset_2002"
    )
    result = sync(
        path,
        columns={"amigo_id": "externalId"},
        ignore=["area_m2"],
        defaults={"baseType": "area", "parentExternalId": "NORDHOJ"},
    )
    assert result["create"] == 24
    made = [one for one in by_external_id(unlimited_service).values() if len(one["externalId"]) == 32]
    assert {one["geometry"]["type"] for one in made} == {"Polygon"}


def test_the_readmes_flat_row_is_updated(unlimited_service: MapsIndoorsService) -> None:
    before = unlimited_service.campus.geodata[seed.TUTORIAL_POI]
    row = {"id": seed.TUTORIAL_POI, "name@en": "Coffee corner", "capacity": 4, "displayType": "Coffee"}
    assert update([row]) == {"updated": 1}
    after = unlimited_service.campus.geodata[seed.TUTORIAL_POI]
    assert after["properties"] == {**before["properties"], "name@en": "Coffee corner"}
    assert after["baseTypeProperties"] == {**before["baseTypeProperties"], "capacity": "4"}
    assert after["displayTypeId"] == seed.new_id("type", "Coffee")


@pytest.mark.parametrize("nested_put", ["merge", "replace"])
def test_an_update_leaves_the_other_members_whatever_the_service_does(
    unlimited_service: MapsIndoorsService, nested_put: Any
) -> None:
    unlimited_service.nested_put = nested_put
    before = unlimited_service.campus.geodata[seed.TUTORIAL_POI]
    assert update([{"id": seed.TUTORIAL_POI, "name": "Copier", "activeto": "2030-01-31"}]) == {"updated": 1}
    after = unlimited_service.campus.geodata[seed.TUTORIAL_POI]
    assert after["properties"] == {**before["properties"], "name@en": "Copier"}
    members = {**before["baseTypeProperties"], "activeto": "2030-01-31T00:00:00Z"}
    assert after["baseTypeProperties"] == members


@pytest.mark.parametrize("suffix", ["csv", "parquet", "geojson", "jsonl"])
def test_an_update_reads_every_format(
    unlimited_service: MapsIndoorsService, tmp_path: Path, suffix: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"map id": seed.TUTORIAL_POI, "Pladser": 3, "name@da": "Printer"}
    path = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        path.write_text(f"\ufeff map id ;Pladser;name@da ;\n{seed.TUTORIAL_POI};3;Printer;\n")
    elif suffix == "parquet":
        pq.write_table(pa.Table.from_pylist([{**row, "Pladser": 3.0}, {"name@da": None}]).slice(0, 1), path)
    elif suffix == "geojson":
        feature = {"type": "Feature", "id": 1, "geometry": None, "properties": row}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    else:
        path.write_text(json.dumps(row))
    columns = {"map id": "id", "Pladser": "capacity"}
    assert update(str(path), columns=columns, min_rows=1) == {"updated": 1}
    after = unlimited_service.campus.geodata[seed.TUTORIAL_POI]
    assert (after["baseTypeProperties"]["capacity"], after["properties"]["name@da"]) == ("3", "Printer")


def test_an_unknown_column_is_told_once_beside_the_one_bad_longitude(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    rows = [
        {"id": seed.TUTORIAL_POI[:-3] + f"{n:03x}", "nam": "X", "lon": "9.95", "lat": 57.08}
        for n in range(408)
    ]
    rows[200]["lon"] = "9.9.5"
    with pytest.raises(InputError) as caught:
        update(rows)
    assert caught.value.problems == [
        "'nam' is not a field of geodata, and has no language as in 'nam@en'; did you mean 'name'?"
        " (408 rows: 1, 2, 3, …)",
        f"row 201 ({rows[200]['id']}): lon must be a number, not '9.9.5'",
    ]
    assert not sandbox.counters.requests


def test_a_column_of_the_wrong_type_is_told_once(unlimited_service: MapsIndoorsService) -> None:
    rows: list[dict[str, Any]] = [
        {"externalId": f"A-{n // 8}-0{n % 8 + 1}", "activefrom": f"{n + 1}.1.2026"} for n in range(16)
    ]
    rows[7]["capacity"] = "many"
    with pytest.raises(InputError) as caught:
        sync(rows)
    column, value = caught.value.problems
    assert "activefrom must be a date in ISO 8601" in column
    assert column.endswith("(16 rows: 1, 2, 3, …)")
    assert value == "row 8 (A-0-08): capacity must be a whole number, not 'many'"


@pytest.mark.parametrize("run", [sync, create, update])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": {"Etage": "parentFloor"}}, "'Etage' of columns or ignore is in no row"),
        ({"ignore": ["note"]}, "'note' of columns or ignore is in no row; did you mean 'notes'"),
        ({"min_rows": 2}, "fewer than min_rows 2"),
        ({"min_rows": "two"}, "'min_rows' must be a whole number"),
        ({"columns": ["a"]}, "columns must be an object"),
        ({"columns": {"notes": "id"}}, "has 'id' twice"),
    ],
)
def test_arguments_of_rows_are_checked(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, run: Any, options: Any, words: str
) -> None:
    row = {"id": seed.TUTORIAL_POI, "externalId": "R-1", "status": 3, "notes": "x"}
    with pytest.raises(InputError, match=words):
        run([row], **options)
    assert writes(sandbox) == 0


@pytest.mark.parametrize("own", ["rooms.12", 12, "12", "9b7d9c1e-5b43-4a55-8f2c-0d7c1f0d3c11"])
def test_a_features_own_id_is_an_id_only_when_it_can_be_one(
    unlimited_service: MapsIndoorsService, own: Any
) -> None:
    def feature(**properties: Any) -> dict[str, Any]:
        return {"type": "Feature", "id": own, "geometry": POI, "properties": {**PLACE, **properties}}

    assert sync([feature(externalId="D-1", name="Desk")])["create"] == 1
    assert sync([feature(externalId="D-1", name="Desk")])["unchanged"] == 1
    assert sync([feature(name="Desk")], columns={"id": "externalId"})["create"] == 1
    assert str(own) in by_external_id(unlimited_service)
    with pytest.raises(InputError, match="there is no object with id"):
        update([feature(name="Desk")])
    assert sync([{**feature(status=1), "id": seed.TUTORIAL_POI}])["update"] == 1


def test_a_tables_own_id_is_refused_with_the_way_out(unlimited_service: MapsIndoorsService) -> None:
    row = {**desk("D-1"), "id": 12}
    with pytest.raises(InputError, match="id must be a text of 24 hexadecimal digits, not 12"):
        sync([row])
    assert sync([row], ignore=["id"])["create"] == 1


def test_ids_to_delete_come_from_any_table(unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"
    path.write_text(f"nr;map_id\n1;{seed.TUTORIAL_POI}\n")
    operator = MapsIndoorsDeleteGeodataOperator(
        task_id="t", ids=str(path), source_format="csv", columns={"map_id": "id"}
    )
    assert operator.execute({}) == {"deleted": 1, "gone": 0}


@pytest.mark.parametrize("suffix", ["jsonl", "geojson", "geoparquet", "parquet"])
def test_an_export_of_the_map_is_a_source_without_changes(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, suffix: str
) -> None:
    found = by_external_id(unlimited_service)["A-0-01"]
    put(unlimited_service, {**found, "properties": {**found["properties"], "seatNo@generic": "7"}})
    path = str(tmp_path / f"map.{suffix}")
    MapsIndoorsExportGeodataOperator(task_id="t", output_path=path).execute({})
    rows = len(unlimited_service.campus.geodata)
    assert sync(path)["unchanged"] == rows
    assert update(path) == {"updated": rows}
    assert writes(sandbox) == 1


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("mode", "aply", "'mode' must be one of plan, apply, not 'aply'; did you mean 'apply'"),
        ("verify", "maybe", "'verify' must be true or false"),
        ("allow_distant", "", "'allow_distant' must be true or false"),
        ("restore", "1.5", "'restore' must be true or false"),
        ("batch_size", "0", "'batch_size' must be a whole number of at least 1"),
        ("max_changes", "None", "'max_changes' must be a whole number"),
        ("max_delete_ratio", "1.5", "'max_delete_ratio' must be a number from 0 to 1"),
        ("max_delete_ratio", "nan", "'max_delete_ratio' must be a number from 0 to 1"),
    ],
)
def test_a_rendered_text_that_is_no_value_is_refused(
    sandbox: Sandbox, name: str, given: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        sync([desk("D-1")], **{name: given})
    assert not sandbox.counters.requests


def test_rendered_texts_are_read_as_their_type(unlimited_service: MapsIndoorsService) -> None:
    options: dict[str, Any] = {
        "batch_size": "2",
        "max_changes": "3",
        "max_deletes": "0",
        "max_delete_ratio": "0.5",
        "verify": "False",
        "allow_distant": "true",
        "restore": "false",
        "min_rows": "3",
    }
    rows = [desk(f"D-{n}") for n in range(2)] + [desk("D-3", geometry="POINT (1 2)")]
    assert sync(rows, **options)["create"] == 3


@pytest.mark.parametrize(
    "field",
    [
        "externalId",
        "parentExternalId",
        "displayType",
        "categories",
        "status",
        "geometry",
        "baseType",
        "activeto",
    ],
)
def test_errors_stay_short_whatever_the_values(unlimited_service: MapsIndoorsService, field: str) -> None:
    long = "x" * 100_000
    rows = [desk(f"D-{n}", **{field: f"{n}{long}"}) for n in range(30)]
    rows += [desk(f"E-{n}", **{f"{n}{long}": 1}) for n in range(30)]
    with pytest.raises(InputError) as caught:
        sync(rows)
    assert len(str(caught.value)) < 4_000
    assert all(len(problem) < 500 for problem in caught.value.problems)


@pytest.mark.parametrize(
    "name",
    [
        "urn:ogc:def:crs:EPSG::25832",
        "EPSG:3857",
        "http://www.opengis.net/def/crs/EPSG/0/3857",
        "urn:ogc:def:crs:EPSG:9.9.1:4258",
        "local",
        None,
    ],
)
def test_a_file_in_another_reference_system_is_refused(sandbox: Sandbox, tmp_path: Path, name: Any) -> None:
    path = tmp_path / "rooms.geojson"
    crs = {"type": "name", "properties": {"name": name}}
    features = [{"type": "Feature", "geometry": POI, "properties": {"externalId": "A-0-P1"}}]
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    with pytest.raises(InputError, match="longitude and latitude are needed"):
        sync(str(path))
    assert not sandbox.counters.requests


@pytest.mark.parametrize(
    "crs",
    [
        None,
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        {"type": "name", "properties": {"name": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}},
        {"type": "name", "properties": {"name": "EPSG:4326"}},
    ],
)
def test_a_file_that_names_degrees_is_read(
    unlimited_service: MapsIndoorsService, tmp_path: Path, crs: Any
) -> None:
    path = tmp_path / "rooms.geojson"
    features = [{"type": "Feature", "geometry": POI, "properties": desk("D-1", geometry=None)}]
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    assert sync(str(path))["create"] == 1


def test_a_second_geometry_of_a_table_is_an_unknown_column(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    rows = [{"externalId": "A-0-01", "center": b"\1\1"}, {"externalId": "A-0-02", "center": b"\1\1"}]
    with pytest.raises(InputError, match=r"'center' is not a field of geodata.* \(2 rows: 1, 2\)"):
        sync(rows)
    assert sync(rows, ignore=["center"])["unchanged"] == 2


def test_geometries_that_are_not_wkb_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "point"}}}
    table = pa.table({"externalId": ["A-0-P1"], "geometry": [{"x": 12.57, "y": 55.78}]})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "rooms.parquet")
    with pytest.raises(InputError, match="has geometries as 'point'; write them as WKB"):
        sync(str(tmp_path / "rooms.parquet"))
    assert not sandbox.counters.requests


def test_ids_in_another_column_are_told_once(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "gone.csv"
    path.write_text("ID;nr\n" + "".join(f"a{n};{n}\n" for n in range(400)))
    words = r"has no 'id'; did you mean 'ID'\?.*\(400 rows: 1, 2, 3, …\)"
    with pytest.raises(InputError, match=words) as caught:
        MapsIndoorsDeleteGeodataOperator(task_id="t", ids=str(path)).execute({})
    assert len(caught.value.problems) == 1
    assert not sandbox.counters.requests


def test_rows_that_change_nothing_are_told(
    unlimited_service: MapsIndoorsService, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"id": seed.TUTORIAL_POI, "name": None}]
    with MapsIndoorsHook() as hook, caplog.at_level("WARNING"):
        update_rows(hook, rows, 500, logging.getLogger("task"))
    assert "1 of 1 rows have nothing but their id" in caplog.text
