"""Places: far ones are refused, anchors move with their geometry, and surfaces are checked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata import geometry
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsCreateGeodataOperator,
    MapsIndoorsExportGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import RING, by_external_id, desk, put, sync, writes

MOVED = {"type": "Polygon", "coordinates": [[[x + 0.0007, y] for x, y in RING]]}
HOLE = [[12.5701, 55.7801], [12.5702, 55.7801], [12.5702, 55.7802], [12.5701, 55.7801]]


def run(kind: str, service: MapsIndoorsService, row: dict[str, Any], **options: Any) -> Any:
    """Write a row with an operator; an update is about the POI A-0-P1."""
    if kind == "sync":
        return sync([desk("D-1", **row)], **options)
    if kind == "create":
        rows = [desk("D-1", **row)]
        return MapsIndoorsCreateGeodataOperator(task_id="t", geodata=rows, **options).execute({})
    rows = [{"id": by_external_id(service)["A-0-P1"]["id"], **row}]
    return MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows, **options).execute({})


FAR = [
    {"lon": 1.25705, "lat": 55.7805},
    {"lon": 12.5705, "lat": 5.57805},
    {"lon": 0, "lat": 0},
    {"lon": "0.0", "lat": "0,0"},
    {"lon": 12.7505, "lat": 55.7805},
    {"lon": 9.95688874041662, "lat": 57.0859076569953},
    {"geometry": "POINT (-12.5705 55.7805)"},
]


@pytest.mark.parametrize("kind", ["sync", "create", "update"])
@pytest.mark.parametrize("place", FAR)
def test_a_place_far_from_its_venue_is_refused_unless_allowed(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, kind: str, place: dict[str, Any]
) -> None:
    place = {**({} if "geometry" in place else {"geometry": None}), **place}
    with pytest.raises(InputError, match=r"row 1 \(.*geometry is .* km away from the venue.*allow_distant"):
        run(kind, unlimited_service, place)
    assert writes(sandbox) == 0
    run(kind, unlimited_service, place, allow_distant="True")
    assert writes(sandbox) == 1


def test_a_far_place_is_named_with_its_distance(unlimited_service: MapsIndoorsService) -> None:
    with pytest.raises(InputError) as caught:
        run("sync", unlimited_service, {"geometry": None, "lon": 12.7505, "lat": 55.7805})
    (problem,) = caught.value.problems
    away = re.search(r"geometry is (\d+) km away from the venue, at \[12.7505, 55.7805\]", problem)
    assert away
    assert 10 <= int(away[1]) <= 12  # 0.18 degrees at a latitude of 55.78


@pytest.mark.parametrize("kind", ["sync", "create", "update"])
def test_a_swapped_place_is_named_as_such(unlimited_service: MapsIndoorsService, kind: str) -> None:
    place = {"geometry": None, "lat": 12.5705, "lon": 55.7805}
    with pytest.raises(InputError, match="longitude and latitude swapped"):
        run(kind, unlimited_service, place)


def test_one_corner_that_slipped_is_seen(unlimited_service: MapsIndoorsService) -> None:
    ring = [list(position) for position in RING]
    ring[0][0] = ring[-1][0] = 12.05704
    row = {"externalId": "A-0-01", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    with pytest.raises(InputError, match=r"at \[12.05704, 55.7804\]"):
        sync([row])
    anchor = {"type": "Point", "coordinates": [0, 0]}
    with pytest.raises(InputError, match="anchor is .* km away"):
        sync([{"externalId": "A-0-01", "anchor": anchor}])


def test_a_place_near_its_venue_and_one_that_is_there_already_are_accepted(
    unlimited_service: MapsIndoorsService,
) -> None:
    far = {"type": "Point", "coordinates": [13.5, 55.78]}
    poi = by_external_id(unlimited_service)["A-0-P1"]
    put(unlimited_service, {**poi, "geometry": far, "anchor": far})
    rows = [
        {"externalId": "A-0-P1", "geometry": far, "name": "X"},
        desk("D-1", geometry="POINT (12.6 55.79)"),
    ]
    result = sync(rows)
    assert (result["create"], result["update"]) == (1, 1)


def test_a_new_venue_may_be_anywhere_but_nowhere(unlimited_service: MapsIndoorsService) -> None:
    def tree(x: float, y: float, poi_x: float) -> list[dict[str, Any]]:
        shape = {"type": "Polygon", "coordinates": [[[x, y], [x + 0.01, y], [x + 0.01, y + 0.01], [x, y]]]}
        return [
            {"externalId": "V", "baseType": "venue", "name": "V", "geometry": shape},
            desk("V-1", parentExternalId="V", geometry=None, lon=poi_x, lat=y),
        ]

    with pytest.raises(InputError, match=r"row 2 \(V-1\): geometry is .* km away"):
        sync(tree(24.9, 60.1, 2.49))
    assert sync(tree(24.9, 60.1, 24.9))["create"] == 2


# Surfaces


@pytest.mark.parametrize("kind", ["sync", "update"])
@pytest.mark.parametrize(
    ("rings", "words"),
    [
        ([[RING[0], RING[2], RING[0], RING[0]]], "a ring without area"),
        ([RING, HOLE], "a hole that is not inside of its ring"),
        ([RING[:-1]], "an open ring"),
    ],
)
def test_a_surface_that_is_none_is_refused_by_row(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, kind: str, rings: Any, words: str
) -> None:
    room = by_external_id(unlimited_service)["A-0-01"]
    row = {"geometry": {"type": "Polygon", "coordinates": rings}}
    with pytest.raises(InputError, match=f"row 1 .*geometry has {words}"):
        if kind == "sync":
            sync([{"externalId": "A-0-01", **row}])
        else:
            MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=[{"id": room["id"], **row}]).execute({})
    assert writes(sandbox) == 0


def test_a_surface_that_is_on_the_map_already_stops_nothing(unlimited_service: MapsIndoorsService) -> None:
    room = by_external_id(unlimited_service)["A-0-01"]
    shape = {"type": "Polygon", "coordinates": [RING, HOLE]}
    put(unlimited_service, {**room, "geometry": shape})
    assert sync([{"externalId": "A-0-01", "geometry": shape, "name": "X"}])["update"] == 1


# Anchors


def is_inside(room: dict[str, Any]) -> bool:
    (rings,) = geometry.polygons(room["geometry"])
    x, y = room["anchor"]["coordinates"]
    return geometry.contains(rings, (x, y))


@pytest.mark.parametrize("derive", [True, False])
@pytest.mark.parametrize("kind", ["export", "row", "no anchor", "update"])
def test_a_moved_object_does_not_keep_its_old_anchor(
    unlimited_service: MapsIndoorsService, tmp_path: Path, kind: str, derive: bool
) -> None:
    unlimited_service.derive_anchor_on_put = derive
    room = by_external_id(unlimited_service)["A-0-01"]
    row: Any = {"externalId": "A-0-01", "geometry": MOVED}
    if kind == "export":
        path = tmp_path / "map.geojson"
        MapsIndoorsExportGeodataOperator(task_id="t", output_path=str(path)).execute({})
        document = json.loads(path.read_text())
        for feature in document["features"]:
            if feature["id"] == room["id"]:
                feature["geometry"] = MOVED
        path.write_text(json.dumps(document))
        assert sync(str(path))["update"] == 1
    elif kind == "update":
        rows = [{"id": room["id"], "geometry": MOVED, "anchor": room["anchor"]}]
        MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=rows).execute({})
    else:
        assert sync([row if kind == "no anchor" else {**row, "anchor": room["anchor"]}])["update"] == 1
    after = by_external_id(unlimited_service)["A-0-01"]
    assert after["anchor"] != room["anchor"]
    assert is_inside(after)


def test_another_anchor_is_kept_as_the_row_wants_it(unlimited_service: MapsIndoorsService) -> None:
    anchor = {"type": "Point", "coordinates": [12.5712, 55.78045]}
    assert sync([{"externalId": "A-0-01", "geometry": MOVED, "anchor": anchor}])["update"] == 1
    assert by_external_id(unlimited_service)["A-0-01"]["anchor"] == anchor


def test_a_restore_resets_geometry_and_anchor_exactly(
    unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    before = by_external_id(unlimited_service)["A-0-01"]
    backup = str(tmp_path / "backup.jsonl")
    sync([{"externalId": "A-0-02", "name": "X"}], backup=backup)
    put(unlimited_service, {**before, "geometry": {**MOVED, "bbox": [0, 0, 1, 1]}})
    assert sync(backup, restore=True)["update"] == 2
    assert by_external_id(unlimited_service)["A-0-01"] == before
