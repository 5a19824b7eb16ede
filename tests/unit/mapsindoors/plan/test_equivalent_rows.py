"""Equivalent rows: rows that describe the map as it is have an empty plan."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider.mapsindoors.geodata.wkt_wkb import to_wkb
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples
from tests.support.mapsindoors_sync import by_external_id, put, restore, sync, writes

CODES = ["BLD-A", "A-0", "A-0-01", "A-0-02", "A-0-P1", "A-0-P2", "A-0-D", "C-1-03", "AALBORG-1-0"]
HOLE = [[12.57008, 55.78042], [12.57012, 55.78042], [12.57012, 55.78044], [12.57008, 55.78042]]
DETAILS = [
    {"key": "mail", "detailType": "email", "value": "desk@nordhoj.example", "active": True},
    {"key": "phone", "detailType": "phone", "value": "+45 1234", "displayText": {"en": "Call"}},
]


def enriched(unlimited_service: MapsIndoorsService) -> dict[str, dict[str, Any]]:
    """Add all possible fields to some objects, as the service stores them, and return the objects."""
    restore(unlimited_service)
    found = by_external_id(unlimited_service)
    room, poi = copy.deepcopy(found["A-0-01"]), copy.deepcopy(found["A-0-P1"])
    room["geometry"]["coordinates"].append(HOLE)
    room["baseTypeProperties"] |= {"capacity": "4", "activefrom": "2015-01-16T07:09:00Z", "obstacle": "false"}
    room |= {"aliases": ["front desk", "entrée"], "additionalDetails": DETAILS, "status": 1}
    room["displaySetting"] = {"name": "default", "labelZoomFrom": 18, "polygon": {"fillColor": "#00ff00"}}
    room["properties"] |= {"info@generic": "Ünïcode & <b>", "description@en": ""}
    poi["categories"] = [seed.new_id("category", "WORK"), seed.new_id("category", "FOOD")]
    put(unlimited_service, room, poi)
    return by_external_id(unlimited_service)


def shape(draw: Any, stored: dict[str, Any]) -> dict[str, Any]:
    """Return an equivalent geometry: any first corner, any winding, rounded."""
    shift = draw(st.floats(-9e-8, 9e-8))
    if stored["type"] == "Point":
        x, y = stored["coordinates"]
        return {"type": "Point", "coordinates": [x + shift, y - shift]}
    rings = []
    for ring in stored["coordinates"]:
        start = draw(st.integers(0, len(ring) - 2))
        corners = [[x + shift, y - shift] for x, y in [*ring[start:-1], *ring[:start]]]
        corners = corners[::-1] if draw(st.booleans()) else corners
        rings.append([*corners, corners[0]])
    return {"type": stored["type"], "coordinates": rings}


def geometry(draw: Any, stored: dict[str, Any]) -> dict[str, Any]:
    """Return columns for a geometry: an object, text, binary, or longitude and latitude."""
    given = shape(draw, stored)
    boxed = {**given, "bbox": [0, 0, 1, 1]}
    ways: list[dict[str, Any]] = [
        {"geometry": to_wkb(given)},
        {"geometry": boxed},
        {"geometry": json.dumps(boxed)},
    ]
    if given["type"] == "Point":
        ways.append(dict(zip(("lng", "lat"), map(str, given["coordinates"]), strict=True)))
    return dict(draw(st.sampled_from(ways)))


def texts(draw: Any, thing: dict[str, Any]) -> dict[str, Any]:
    """Return columns, or a member ``properties``, for an object's texts; keys have no case."""
    out: dict[str, Any] = {}
    for key, value in thing["properties"].items():
        name = draw(st.sampled_from([key, key.upper(), key.title()]))
        name = "name" if key == "name@en" and draw(st.booleans()) else name
        out[name if "@" in name or name == "name" else key] = value
    out["Nothing@en"] = draw(st.sampled_from(["", None]))
    if draw(st.booleans()) and "name" not in out:
        return {"properties": out}
    return out


def numbers(draw: Any, thing: dict[str, Any]) -> dict[str, Any]:
    """Return columns, or a member, for base type properties, as texts or as typed values."""
    given = dict(thing["baseTypeProperties"])
    meant = {
        "capacity": [4, "4", 4.0],
        "obstacle": [False, "false"],
        "activefrom": ["2015-01-16T07:09:00Z", "2015-01-16T08:09:00+01:00", "2015-01-16 07:09Z"],
    }
    for key, values in meant.items():
        if key in given:
            given[key] = draw(st.sampled_from(values))
    if thing["baseType"] == "floor" or draw(st.booleans()):
        return {"baseTypeProperties": given}
    return given


def references(draw: Any, thing: dict[str, Any], unlimited_service: MapsIndoorsService) -> dict[str, Any]:
    """Return references to parent, display type and categories, by id, key or name."""
    out: dict[str, Any] = {}
    parent = unlimited_service.campus.geodata.get(thing.get("parentId", ""))
    if parent is not None:
        ways: list[dict[str, Any]] = [{}, {"parentId": parent["id"]}]
        if parent.get("externalId"):
            ways.append({"parentExternalId": parent["externalId"]})
        if parent["baseType"] == "floor":
            building = unlimited_service.campus.geodata[parent["parentId"]]
            index = parent["baseTypeProperties"]["administrativeid"]
            ways += [{"parentBuilding": building[by], "parentFloor": index} for by in ("id", "externalId")]
        out |= draw(st.sampled_from(ways))
    if kind := thing.get("displayTypeId"):
        name = unlimited_service.campus.display_types[kind]["name"]
        out |= draw(
            st.sampled_from([{"displayTypeId": kind}, {"displayType": name}, {"displayType": name.upper()}])
        )
    if groups := thing.get("categories"):
        known = [unlimited_service.campus.categories[one] for one in draw(st.permutations(groups))]
        by = draw(st.sampled_from(["id", "key", "name"]))
        said = [one["name"]["da"] if by == "name" else one[by] for one in known]
        out["categories"] = draw(st.sampled_from([said, ";".join(said)]))
    return out


def varied_row(draw: Any, thing: dict[str, Any], unlimited_service: MapsIndoorsService) -> dict[str, Any]:
    """Return an object as an equivalent row, which may leave out fields."""
    row: dict[str, Any] = {"externalId": thing["externalId"]}
    row |= references(draw, thing, unlimited_service)
    for part in (texts, numbers):
        row |= part(draw, thing) if draw(st.booleans()) else {}
    if draw(st.booleans()):
        row |= geometry(draw, thing["geometry"])
    if draw(st.booleans()):
        row["baseType"] = thing["baseType"]
    if draw(st.booleans()):
        row["status"] = draw(st.sampled_from([thing["status"], str(thing["status"])]))
    aliases = thing.get("aliases") or []
    row["aliases"] = draw(st.sampled_from([None, aliases[::-1], ";".join(aliases)]))
    row["additionalDetails"] = draw(st.sampled_from([None, (thing.get("additionalDetails") or [])[::-1]]))
    setting = thing.get("displaySetting") or {}
    row["displaySetting"] = draw(
        st.sampled_from([None, {}, setting, {key: setting[key] for key in list(setting)[:1]}])
    )
    return {key: row[key] for key in draw(st.permutations(list(row)))}


@pytest.mark.slow
@settings(
    max_examples=examples(40),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), codes=st.lists(st.sampled_from(CODES), unique=True, min_size=1))
def test_equivalent_rows_have_an_empty_plan(
    unlimited_service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, data: Any, codes: list[str]
) -> None:
    things = enriched(unlimited_service)
    before, sent = copy.deepcopy(unlimited_service.campus.geodata), writes(sandbox)
    rows = [varied_row(data.draw, things[code], unlimited_service) for code in codes]
    path = tmp_path / "plan.json"
    result = sync(rows, mode="plan", plan_output=str(path))
    assert json.loads(path.read_text())["changes"] == []
    assert (result["unchanged"], result["failed"]) == (len(rows), 0)
    assert sync(rows, missing="ignore")["unchanged"] == len(rows)
    assert (unlimited_service.campus.geodata, writes(sandbox)) == (before, sent)
