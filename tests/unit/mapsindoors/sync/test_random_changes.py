"""Any change, under every switch and with faults, gives the desired map and touches nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider.mapsindoors.geodata.geometry import is_same_place
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.hypothesis_sizes import examples
from tests.support.mapsindoors_sync import RING, SQUARE, by_external_id, desk, restore, sync

CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Reception", "Store", "Lab 3"]),
        "status": st.integers(0, 3),
        "capacity": st.integers(0, 9),
        "aliases": st.lists(st.sampled_from(["a", "b"]), unique=True),
        "Info@generic": st.sampled_from(["", "x"]),
        "geometry": st.just({"type": "Polygon", "coordinates": [RING]}),
        "parentExternalId": st.sampled_from(["A-0", "A-1", "C-1"]),
        "displayType": st.sampled_from(["Lab", "Office"]),
        "categories": st.lists(st.sampled_from(["WORK", "FOOD"]), unique=True),
        "displaySetting": st.just({"labelZoomFrom": 19}),
    },
)
SWITCHES = st.fixed_dictionaries(
    {
        "nested_put": st.sampled_from(["merge", "replace"]),
        "batch_mode": st.sampled_from(["atomic", "stop-at-first", "skip-bad"]),
        "post_status": st.sampled_from([200, 201]),
        "decimals": st.sampled_from([None, 7, 8]),
        "lower_case_keys": st.booleans(),
        "stale_seconds": st.sampled_from([0.0, 5.0]),
        "derive_anchor_on_put": st.booleans(),
        "error_style": st.sampled_from(["problem", "text", "vague"]),
        "delete_unknown": st.sampled_from(["ignore", "refuse"]),
        "delete_status": st.sampled_from([200, 204]),
        "max_items": st.sampled_from([None, 2]),
        "put_unknown_status": st.sampled_from([400, 404]),
        "delete_children": st.sampled_from(["cascade", "leave", "refuse"]),
        "put_checks_dataset": st.booleans(),
        "require_token": st.booleans(),
        "token_seconds": st.sampled_from([120, 86_400]),
    }
)
FAULTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("reset_before", {}),
                ("reset_after", {}),
                ("truncate", {}),
                ("status", {"status": 503}),
                ("status", {"status": 500}),
                ("html", {"status": 502}),
            ]
        ),
        st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        st.integers(0, 2),
    ),
    max_size=3,
)


@pytest.mark.long
@pytest.mark.slow
@settings(
    max_examples=examples(30),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.dictionaries(st.sampled_from([f"A-0-0{n}" for n in range(1, 9)]), CHANGES, max_size=5),
    made=st.integers(0, 4),
    gone=st.integers(0, 3),
    missing=st.sampled_from(["delete", "deactivate"]),
    switches=SWITCHES,
    faults=FAULTS,
)
def test_any_change_is_applied_and_nothing_else_is(
    unlimited_service: MapsIndoorsService,
    sandbox: Sandbox,
    changes: dict[str, dict[str, Any]],
    made: int,
    gone: int,
    missing: str,
    switches: dict[str, Any],
    faults: list[Any],
) -> None:
    restore(unlimited_service)
    sandbox.faults.clear()
    for name, value in switches.items():
        setattr(unlimited_service, name, value)
    for (kind, options), method, after in faults:
        sandbox.faults.add(kind, method=method, path="/geodata", after=after, **options)
    before = copy.deepcopy(by_external_id(unlimited_service))
    places = [code for code, one in before.items() if one["baseType"] in ("room", "poi")]
    kept = [code for code in places if not code.startswith("C-1")] + [f"C-1-0{n}" for n in range(1, 9 - gone)]
    kept += ["C-1-P1", "C-1-P2", "C-1-P3"]
    rows = [{"externalId": code, **changes.get(code, {})} for code in kept]
    rows += [desk(f"D-{n}", parentExternalId=f"N-{n}" if n % 2 else "A-0") for n in range(made)]
    rows += [room(f"N-{n}") for n in range(1, made, 2)]
    options = {"scope": {"base_types": ["room", "poi"]}, "missing": missing, "max_deletes": 3}
    result = sync(rows, **options)
    sandbox.faults.clear()
    created = made + made // 2
    assert (result["create"], result[missing], result["failed"]) == (created, gone, 0)
    after = by_external_id(unlimited_service)
    deleted = gone if missing == "delete" else 0
    assert len(unlimited_service.campus.geodata) == len(before) + 1 + created - deleted
    for code, fields in changes.items():
        assert_changed(after.pop(code), before.pop(code), fields, before)
    for n in range(gone):
        old = before.pop(f"C-1-0{8 - n}")
        left = after.pop(old["externalId"], None)
        if deleted:
            assert left is None
        else:  # The service rounds what it stores.
            assert left == {**old, "status": 2, "anchor": left and left["anchor"]}
            assert is_same_place(left["anchor"], old["anchor"])
    for n in range(made):
        parent = after[f"N-{n}" if n % 2 else "A-0"]
        assert after[f"D-{n}"]["parentId"] == parent["id"]
    assert {code: one for code, one in after.items() if code[:2] not in ("D-", "N-")} == before
    sandbox.clock.advance(10)
    assert sync(rows, **options)["unchanged"] == len(rows)


def room(code: str) -> dict[str, Any]:
    """Return a row for a new room."""
    return desk(code, baseType="room", displayTypeId="Office", geometry=SQUARE)


def assert_changed(
    room: dict[str, Any], old: dict[str, Any], fields: dict[str, Any], others: dict[str, Any]
) -> None:
    texts = {"name@en": fields.get("name"), "info@generic": fields.get("Info@generic") or None}
    expected = {**old["properties"], **{key: text for key, text in texts.items() if text}}
    assert {key: text for key, text in room["properties"].items() if text} == expected
    assert room["status"] == fields.get("status", 3)
    assert room["baseTypeProperties"]["administrativeid"] == old["externalId"]
    assert room["baseTypeProperties"].get("capacity", "") == str(fields.get("capacity", ""))
    assert sorted(room["aliases"]) == sorted(fields.get("aliases", []))
    wanted = fields.get("geometry", old["geometry"])
    assert room["geometry"]["coordinates"] == wanted["coordinates"]
    parent = fields.get("parentExternalId")
    assert room["parentId"] == (others[parent]["id"] if parent else old["parentId"])
    kind = fields.get("displayType")
    assert room["displayTypeId"] == (seed.new_id("type", kind) if kind else old["displayTypeId"])
    wanted_groups = (
        {seed.new_id("category", key) for key in fields["categories"]} if "categories" in fields else None
    )
    assert set(room.get("categories", [])) == (
        set(old.get("categories", [])) if wanted_groups is None else wanted_groups
    )
    assert room.get("displaySetting", {}) == {
        **old.get("displaySetting", {}),
        **fields.get("displaySetting", {}),
    }
    assert is_same_place(room["anchor"], old["anchor"]) is ("geometry" not in fields)
