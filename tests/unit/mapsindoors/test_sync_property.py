"""Any change, under every switch and with faults, gives the desired map and touches nothing else."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider.mapsindoors.geometry import same
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.server import Sandbox
from tests.unit.mapsindoors.running import RING, by_external_id, desk, sync

CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Reception", "Store", "Lab 3"]),
        "status": st.integers(0, 3),
        "capacity": st.integers(0, 9),
        "aliases": st.lists(st.sampled_from(["a", "b"]), unique=True),
        "Info@generic": st.sampled_from(["", "x"]),
        "geometry": st.just({"type": "Polygon", "coordinates": [RING]}),
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
        "error_style": st.sampled_from(["problem", "text"]),
        "delete_unknown": st.sampled_from(["ignore", "refuse"]),
        "delete_status": st.sampled_from([200, 204]),
        "max_items": st.sampled_from([None, 2]),
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
    ),
    max_size=3,
)


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.dictionaries(st.sampled_from([f"A-0-0{n}" for n in range(1, 9)]), CHANGES, max_size=5),
    made=st.integers(0, 4),
    gone=st.integers(0, 3),
    switches=SWITCHES,
    faults=FAULTS,
)
def test_any_change_is_applied_and_nothing_else_is(
    world: MapsIndoorsService,
    sandbox: Sandbox,
    changes: dict[str, dict[str, Any]],
    made: int,
    gone: int,
    switches: dict[str, Any],
    faults: list[Any],
) -> None:
    world.reset()
    world.rate_limit = None
    sandbox.faults.clear()
    for name, value in switches.items():
        setattr(world, name, value)
    for (kind, options), method in faults:
        sandbox.faults.add(kind, method=method, path="/geodata", **options)
    before = copy.deepcopy(by_external_id(world))
    places = [code for code, one in before.items() if one["baseType"] in ("room", "poi")]
    kept = [code for code in places if not code.startswith("C-1")] + [f"C-1-0{n}" for n in range(1, 9 - gone)]
    kept += ["C-1-P1", "C-1-P2", "C-1-P3"]
    rows = [{"externalId": code, **changes.get(code, {})} for code in kept]
    rows += [desk(f"D-{n}") for n in range(made)]
    scope = {"base_types": ["room", "poi"]}
    result = sync(rows, scope=scope, missing="delete", max_deletes=3)
    sandbox.faults.clear()
    assert (result["create"], result["delete"], result["failed"]) == (made, gone, 0)
    after = by_external_id(world)
    assert len(world.campus.geodata) == len(before) + 1 + made - gone
    for code, fields in changes.items():
        assert_changed(after.pop(code), before.pop(code), fields)
    for n in range(gone):
        del before[f"C-1-0{8 - n}"]
    assert {code: one for code, one in after.items() if not code.startswith("D-")} == before
    sandbox.clock.advance(10)
    assert sync(rows, scope=scope, missing="delete")["unchanged"] == len(rows)


def assert_changed(room: dict[str, Any], old: dict[str, Any], fields: dict[str, Any]) -> None:
    texts = {"name@en": fields.get("name"), "info@generic": fields.get("Info@generic") or None}
    expected = {**old["properties"], **{key: text for key, text in texts.items() if text}}
    assert {key: text for key, text in room["properties"].items() if text} == expected
    assert room["status"] == fields.get("status", 3)
    assert room["baseTypeProperties"]["administrativeid"] == old["externalId"]
    assert room["baseTypeProperties"].get("capacity", "") == str(fields.get("capacity", ""))
    assert sorted(room["aliases"]) == sorted(fields.get("aliases", []))
    wanted = fields.get("geometry", old["geometry"])
    assert room["geometry"]["coordinates"] == wanted["coordinates"]
    assert same(room["anchor"], old["anchor"]) is ("geometry" not in fields)
