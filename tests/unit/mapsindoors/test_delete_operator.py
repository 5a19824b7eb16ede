"""MapsIndoorsDeleteGeodataOperator: behaviour over TCP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.mapsindoors.operators import MapsIndoorsDeleteGeodataOperator
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox

POI, FLOOR = seed.TUTORIAL_POI, seed.TUTORIAL_FLOOR


def delete(ids: Any, **options: Any) -> dict[str, int]:
    return MapsIndoorsDeleteGeodataOperator(task_id="t", ids=ids, **options).execute({})


@pytest.mark.parametrize("children", ["cascade", "leave", "refuse"])
def test_leaves_go_before_their_parents(service: MapsIndoorsService, children: Any) -> None:
    service.delete_children = children
    before = len(service.campus.geodata)
    assert delete([FLOOR, POI, POI, "f" * 24]) == {"deleted": 2, "gone": 1}
    assert len(service.campus.geodata) == before - 2


def test_a_second_run_finds_nothing_to_delete(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    delete([POI])
    assert delete([POI]) == {"deleted": 0, "gone": 1}
    assert sandbox.counters.total("DELETE") == 1


def test_ids_come_from_a_file(service: MapsIndoorsService, tmp_path: Path) -> None:
    path = tmp_path / "gone.jsonl"
    path.write_text(json.dumps({"id": POI}))
    assert delete(str(path)) == {"deleted": 1, "gone": 0}


def test_a_parent_whose_children_stay_is_refused(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    with pytest.raises(PlanRejectedError, match="1 objects below it"):
        delete([FLOOR])
    with pytest.raises(PlanRejectedError, match="more than max_deletes=1"):
        delete([FLOOR, POI], max_deletes=1)
    assert sandbox.counters.total("DELETE") == 0


@pytest.mark.parametrize("base_type", ["zone", "Room", ""])
def test_an_object_of_an_unknown_base_type_is_named_and_stays(
    base_type: str, service: MapsIndoorsService, sandbox: Sandbox
) -> None:
    geodata = service.campus.geodata
    service.campus.geodata = {**geodata, POI: {**geodata[POI], "baseType": base_type}}
    with pytest.raises(PlanRejectedError, match=f"nothing was deleted: .*{POI} \\('{base_type}'\\)"):
        delete([POI])
    assert sandbox.counters.total("DELETE") == 0


@pytest.mark.parametrize("name", ["max_deletes", "batch_size"])
def test_limits_that_are_no_numbers_are_refused_before_any_request(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' must be a whole number"):
        delete([POI], **{name: "many"})
    assert not sandbox.counters.requests


def test_what_is_no_id_is_named_before_any_request(sandbox: Sandbox) -> None:
    with pytest.raises(InputError) as caught:
        delete([POI, "", 7])
    assert caught.value.problems == ["row 2: '' is not an id", "row 3: 7 is not an id"]
    assert not sandbox.counters.requests


def test_ids_in_capitals_or_with_blanks_are_found_and_unknown_ones_named(
    service: MapsIndoorsService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert delete([f"\u200b{POI.upper()}\u00a0", POI, "A-0-01"]) == {"deleted": 1, "gone": 1}
    assert "1 of 2 ids are not in the solution: A-0-01" in "".join(capsys.readouterr())


def test_a_row_with_an_empty_id_has_no_other_column_named_id(tmp_path: Path) -> None:
    path = tmp_path / "gone.jsonl"
    path.write_text('{"id": null}')
    with pytest.raises(InputError, match="has no 'id'; name its column"):
        delete(str(path))
