"""MapsIndoorsExportGeodataOperator: behaviour over TCP."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import IncompleteExportError, InputError, ProviderError
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry, to_wkb
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsSyncGeodataOperator,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import put


def export(path: Path, **options: Any) -> dict[str, Any]:
    operator = MapsIndoorsExportGeodataOperator(task_id="t", output_path=str(path), **options)
    return operator.execute({})


def test_every_object_is_in_the_file_as_the_service_sent_it(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    path = tmp_path / "map.jsonl"
    made = export(path)
    objects = [json.loads(line) for line in path.read_text().splitlines()]
    assert {one["id"]: one for one in objects} == service.campus.geodata
    assert (made["uri"], made["format"], made["rows"]) == (str(path), "jsonl", 101)
    assert made["bytes"] == path.stat().st_size == made["files"][0]["bytes"]
    assert made["requests"] == 2


def test_the_export_can_be_limited_and_packed(service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "map.jsonl.gz"
    made = export(path, base_types=["poi", "area"], root_element=seed.VENUE)
    kinds = {json.loads(line)["baseType"] for line in gzip.decompress(path.read_bytes()).splitlines()}
    assert kinds == {"poi", "area"}
    assert made["rows"] == 30


@pytest.mark.parametrize("suffix", ["geojson", "geojson.gz", "geoparquet", "parquet", "jsonl"])
def test_an_export_read_back_is_the_same_map(
    service: MapsIndoorsService, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"map.{suffix}"
    assert export(path)["rows"] == 101
    sync = MapsIndoorsSyncGeodataOperator(task_id="t", source=str(path), match_on="id")
    assert sync.execute({})["unchanged"] == 101


def test_a_backup_puts_back_what_was_changed(service: MapsIndoorsService, tmp_path: Path) -> None:
    before = dict(service.campus.geodata)
    backup = str(tmp_path / "backup.jsonl")
    rows = [{"externalId": "A-0-01", "name": "Wrong", "aliases": ["x"], "status": 0}]
    MapsIndoorsSyncGeodataOperator(task_id="t", source=rows, backup=backup).execute({})
    assert service.campus.geodata != before
    MapsIndoorsSyncGeodataOperator(task_id="t", source=backup, match_on="id").execute({})
    assert service.campus.geodata == before


def test_fields_that_the_service_may_add_one_day_do_not_stop_a_backup(service: MapsIndoorsService) -> None:
    row = {**service.campus.geodata[seed.TUTORIAL_POI], "selectable": True}
    sync = MapsIndoorsSyncGeodataOperator(task_id="t", source=[row], match_on="id")
    assert sync.execute({})["unchanged"] == 1


def test_other_tools_can_read_the_table(service: MapsIndoorsService, tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    import shapely

    path = tmp_path / "map.geoparquet"
    export(path, base_types="poi")
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["columns"]["geometry"] == {"encoding": "WKB", "geometry_types": ["Point"]}
    row = next(one for one in table.to_pylist() if one["id"] == seed.TUTORIAL_POI)
    assert shapely.from_wkb(row["geometry"]).x == 9.95688874041662


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("geometry", {"type": "LineString", "coordinates": [[12.5, 55.7], [12.6, 55.8]]}),
        ("geometry", {"type": "GeometryCollection", "geometries": []}),
        ("geometry", {"type": ["Point"], "coordinates": [12.5, 55.7]}),
        ("geometry", {"type": "Polygon", "coordinates": [[["a", "b"]]]}),
        ("geometry", {"type": "Point", "coordinates": 7}),
        ("geometry", "POINT (12.5 55.7)"),
        ("status", "active"),
    ],
)
def test_an_object_that_fits_into_no_table_is_named(
    service: MapsIndoorsService, tmp_path: Path, field: str, odd: Any
) -> None:
    put(service, {**service.campus.geodata[seed.TUTORIAL_POI], field: odd})
    path = tmp_path / "map.geoparquet"
    with pytest.raises(
        IncompleteExportError, match=f"object {seed.TUTORIAL_POI}: {field} .*Export to .jsonl"
    ):
        MapsIndoorsExportGeodataOperator(task_id="t", output_path=str(path)).execute({})
    assert list(tmp_path.iterdir()) == []
    lines = tmp_path / "map.jsonl"
    MapsIndoorsExportGeodataOperator(task_id="t", output_path=str(lines), base_types="poi").execute({})
    assert seed.TUTORIAL_POI in lines.read_text()


def test_all_kinds_of_shapes_survive_as_binary() -> None:
    ring = [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 0.0]]
    for shape in (
        {"type": "Point", "coordinates": [1.0, 2.0]},
        {"type": "Polygon", "coordinates": [ring, ring]},
        {"type": "MultiPolygon", "coordinates": [[ring], [ring]]},
    ):
        assert parse_geometry(to_wkb(shape)) == shape


@pytest.mark.parametrize("body", ["null", "[1]", '[{"id": 7}]', "[" * 5000])
def test_an_answer_that_is_no_map_is_not_exported(
    service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, body: str
) -> None:
    options: dict[str, Any] = {"body": body, "content_type": "application/json", "status": 200}
    sandbox.faults.add("status", path="geodata", times=None, **options)
    with pytest.raises(ProviderError):
        export(tmp_path / "map.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_nothing(
    service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.faults.add("truncate", path="geodata", times=None)
    with pytest.raises(ProviderError):
        export(tmp_path / "map.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": Path("map.txt")}, "must end in one of .jsonl"),
        ({"path": Path("map.geoparquet.gz")}, "must end in one of .jsonl"),
        ({"path": Path("map.jsonl"), "base_types": ["desk"]}, "unknown types: desk"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    sandbox: Sandbox, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        export(**options)
    assert not sandbox.counters.requests
