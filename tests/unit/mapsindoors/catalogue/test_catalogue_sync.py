"""Display types and categories in step with rows, against the sandbox under both settings of its switches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    PartialWriteError,
    PlanRejectedError,
    VerificationError,
)
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsSyncCategoriesOperator,
    MapsIndoorsSyncDisplayTypesOperator,
    MapsIndoorsSyncGeodataOperator,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.mapsindoors.seed import SERVICES
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import desk
from tests.support.mapsindoors_sync import sync as sync_geodata

STAND = {
    "name": "Stand",
    "name@en": "Stand",
    "name@da": "Stand",
    "zoomFrom": 18,
    "iconUrl": "https://x.org/i",
}
EVENTS = {"key": "EVENTS", "name@en": "Events", "name@da": "Begivenheder", "description@en": "What is on"}
KINDS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "display types": (MapsIndoorsSyncDisplayTypesOperator, STAND, "displaytypes"),
    "categories": (MapsIndoorsSyncCategoriesOperator, EVENTS, "categories"),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(unlimited_service: MapsIndoorsService) -> Callable[..., dict[str, Any]]:
    def call(kind: str, source: Any = None, **options: Any) -> dict[str, Any]:
        return dict(KINDS[kind][0](task_id="t", source=source, **options).execute({}))

    return call


def entries(service: MapsIndoorsService, kind: str) -> dict[str, dict[str, Any]]:
    found = service.campus.display_types if kind == "display types" else service.campus.categories
    return {entry.get("key") or entry["name"]: entry for entry in found.values()}


def new_row(kind: str, number: int) -> dict[str, Any]:
    name = "name" if kind == "display types" else "key"
    return {**KINDS[kind][1], name: f"N-{number}"}


def writes(sandbox: Sandbox) -> int:
    return sum(
        count
        for name, count in sandbox.counters.requests.items()
        if ("displaytypes" in name or "categories" in name) and not name.startswith("mapsindoors GET")
    )


def test_a_new_row_is_created_and_a_second_run_writes_nothing(
    run: Any, unlimited_service: MapsIndoorsService, kind: str
) -> None:
    row = KINDS[kind][1]
    result = run(kind, [row])
    counts = {"create": 1, "update": 0, "delete": 0, "deactivate": 0, "unchanged": 0, "failed": 0}
    assert {name: result[name] for name in counts} == counts
    assert result["plan"] is None
    made = entries(unlimited_service, kind)[row.get("key") or row["name"]]
    if kind == "display types":
        assert made["displayRules"] == [{"name": "default", "zoomFrom": 18, "iconUrl": "https://x.org/i"}]
        assert made["properties"] == {"name@en": "Stand", "name@da": "Stand"}
    else:
        assert made["name"] == {"en": "Events", "da": "Begivenheder"}
        assert made["properties"] == {"description@en": "What is on"}
    again = run(kind, [row])
    assert (again["create"], again["update"], again["unchanged"]) == (0, 0, 1)


@pytest.mark.parametrize("mode", ["fields", "members", "replace"])
def test_what_a_row_does_not_own_stays_whatever_an_update_does_to_it(
    run: Any, unlimited_service: MapsIndoorsService, mode: Any
) -> None:
    unlimited_service.catalogue_put = mode
    types = entries(unlimited_service, "display types")
    unlimited_service.campus.display_types = {
        **unlimited_service.campus.display_types,
        types["Office"]["id"]: {
            **types["Office"],
            "aliases": ["bureau"],
            "displayRules": [*types["Office"]["displayRules"], {"name": "near", "zoomFrom": 20}],
            "propertyTemplates": [{"text": "x", "type": "y"}],
        },
    }
    before = entries(unlimited_service, "display types")["Office"]
    rows = [{"name": "Office", "name@en": "Bureau", "zoomTo": "20", "labelVisible": "false"}]
    assert run("display types", rows)["update"] == 1
    rule = {**before["displayRules"][0], "zoomTo": 20, "labelVisible": False}
    assert entries(unlimited_service, "display types")["Office"] == {
        **before,
        "displayRules": [rule, before["displayRules"][1]],
        "properties": {**before["properties"], "name@en": "Bureau"},
    }
    category = entries(unlimited_service, "categories")["FOOD"]
    assert run("categories", [{"key": "FOOD", "name": {"da": "Mad"}}])["update"] == 1
    assert entries(unlimited_service, "categories")["FOOD"] == {
        **category,
        "name": {"en": "Food and drink", "da": "Mad"},
    }


def test_geodata_rows_name_what_a_sync_before_has_created(
    run: Any, unlimited_service: MapsIndoorsService
) -> None:
    run("display types", [STAND])
    run("categories", [EVENTS])
    row = desk("S-1", displayType="stand", categories=["EVENTS"])
    del row["displayTypeId"]
    result = MapsIndoorsSyncGeodataOperator(task_id="t", source=[row]).execute({})
    assert result["create"] == 1
    made = next(one for one in unlimited_service.campus.geodata.values() if one.get("externalId") == "S-1")
    assert made["displayTypeId"] == entries(unlimited_service, "display types")["Stand"]["id"]


def test_what_the_service_returns_is_a_source_without_a_difference(
    run: Any, unlimited_service: MapsIndoorsService, kind: str
) -> None:
    rule = {"name": "near", "zoomFrom": 19.5, "labelStyle": {"textSize": 12, "textColor": "#fff"}}
    types = entries(unlimited_service, "display types")
    office = {**types["Office"], "displayRules": [rule, {"name": "far"}], "aliases": ["a", "b"]}
    unlimited_service.campus.display_types = {
        **unlimited_service.campus.display_types,
        office["id"]: {**office, "propertyTemplates": [{"text": "x", "type": "y"}]},
    }
    rows = list(entries(unlimited_service, kind).values())
    result = run(kind, rows)
    assert (result["create"], result["update"], result["unchanged"]) == (0, 0, len(rows))
    copies = [
        {**row, **({"name": "Copy"} if kind == "display types" else {"key": "COPY"})} for row in rows[:1]
    ]
    for copy in copies:
        del copy["id"]
    assert run(kind, copies)["create"] == 1


def test_a_display_rule_without_members_is_created(run: Any, unlimited_service: MapsIndoorsService) -> None:
    rows = [{"name": "Lab", "displayRules": [{"name": "near"}]}]
    assert run("display types", rows)["update"] == 1
    rules = entries(unlimited_service, "display types")["Lab"]["displayRules"]
    assert [rule["name"] for rule in rules] == ["default", "near"]
    assert run("display types", rows)["unchanged"] == 1


# -- problems -----------------------------------------------------------------------------------------


def test_all_problems_are_reported_at_once_before_the_first_write(
    run: Any, sandbox: Sandbox, unlimited_service: MapsIndoorsService
) -> None:
    rows = [
        STAND,
        {"name": "Hall", "name@en": "Hall"},
        {"name": "Gate", "name@en": "Gate", "name@da": "Port", "zoomFrom": "near"},
        {"name": "Lift", "name@en": "Lift", "name@da": "Lift", "name@sv": "Hiss"},
        {"name": "office", "name@en": "Office", "name@da": "Kontor"},
        {"name@en": "Nameless", "name@da": "Navnløs"},
        {"name": "Printer", "name@da": ""},
        {"name": "Coffee", "zoomFrom": 23},
        {**STAND},
        {"name": "Lab", "id": SERVICES},
        {**STAND, "name": "Stall", "zoomfrom": 3},
    ]
    with pytest.raises(InputError) as raised:
        run("display types", rows)
    text = str(raised.value)
    for part in (
        "row 2 (Hall): has no name@da; a display type needs a name in every language",
        "row 3 (Gate): zoomFrom must be a number, not 'near'",
        "'name@sv' has the language 'sv', which the solution does not have",
        "row 5 (office): name 'office' differs from 'Office' of display type",
        "row 6: has no name",
        "row 7 (Printer): has no name@da",
        "row 8 (Coffee): zoomFrom 23 is above zoomTo 22 in the display rule 'default'",
        "row 9 (Stand): is about the same display type as row 1",
        f"row 10 (Lab): there is no display type with id {SERVICES}",
        "'zoomfrom' is no field of a display type; did you mean 'zoomFrom'?",
    ):
        assert part in text
    assert writes(sandbox) == 0


@pytest.mark.parametrize(
    ("kind", "row", "problem"),
    [
        ("categories", {"key": "A", "name": 3.5, "zoomFrom": 3}, "'zoomFrom' is no field of a category"),
        ("categories", {"key": True}, "key must be a text"),
        ("categories", {"key": "A", "name": [1]}, "name must be a text"),
        ("categories", {"key": "A", "properties": "x"}, "properties must be an object"),
        ("categories", {"key": "A", "name@en": "A", "name": {"en": "B"}}, "name.en is given twice"),
        ("display types", {"name": "A", "displayRules": [{"zoomFrom": 1}]}, "each with its name"),
        ("display types", {"name": "A", "displayRules": [{"name": "d", "zoomfrom": 1}]}, "did you mean"),
        ("display types", {"name": "A", "displayRules": [{"name": "d", "visible": "x"}]}, "at d.visible"),
        ("display types", {"name": "A", "displayRules": [{"name": "d"}, {"name": "d"}]}, "twice"),
        ("display types", {"name": "A", "labelZoomFrom": 9, "labelZoomTo": 8}, "nothing would be shown"),
        ("display types", {"name": "A", "propertyTemplates": [1]}, "list of objects"),
        ("display types", {"name": "A", "visible": "maybe"}, "must be true or false"),
        ("display types", [], "is not an object, but list"),
    ],
)
def test_a_wrong_value_is_refused_before_the_first_request(
    run: Any, sandbox: Sandbox, kind: str, row: Any, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        run(kind, [row])
    assert sum(sandbox.counters.requests.values()) == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"mode": "plan"}, "mode='plan' needs plan_output"),
        ({"mode": "sync"}, "'mode' must be one of"),
        ({"missing": "delete"}, "delete it in the CMS"),
        ({"on_row_error": "warn"}, "'on_row_error' must be one of"),
        ({"max_changes": "many"}, "'max_changes' must be"),
        ({"max_changes": "None"}, "'max_changes' must be"),
        ({"batch_size": 0}, "'batch_size' must be"),
        ({"plan": "x.json"}, "exactly one of 'source' and 'plan'"),
        ({"plan_output": ""}, "'plan_output' is empty"),
        ({"defaults": {"name": "A"}}, "which no two"),
        ({"defaults": {"zoom": 1}}, "is no field"),
        ({"defaults": "{}"}, "defaults"),
    ],
)
def test_a_wrong_argument_is_refused_before_the_first_request(
    run: Any, sandbox: Sandbox, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        run("display types", [STAND], **options)
    assert sum(sandbox.counters.requests.values()) == 0


def test_rows_with_problems_are_left_out_on_demand(
    run: Any, unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    rows = [STAND, {"name": "Hall", "name@en": "Hall"}]
    result = run("display types", rows, on_row_error="skip", plan_output=plan)
    assert (result["create"], result["failed"]) == (1, 1)
    failure = json.loads(Path(f"{plan}.failed.jsonl").read_text())
    assert (failure["row"], failure["key"]) == (2, "Hall")
    assert "Hall" not in entries(unlimited_service, "display types")


def test_defaults_fill_what_a_row_does_not_have(run: Any, unlimited_service: MapsIndoorsService) -> None:
    defaults = {"zoomFrom": 17, "visible": True, "NAME@DA": "Ukendt"}
    run("display types", [{"name": "Hall", "name@en": "Hall", "zoomFrom": 19}], defaults=defaults)
    made = entries(unlimited_service, "display types")["Hall"]
    assert made["displayRules"] == [{"name": "default", "zoomFrom": 19, "visible": True}]
    assert made["properties"] == {"name@en": "Hall", "name@da": "Ukendt"}


def test_a_row_with_an_id_renames(run: Any, unlimited_service: MapsIndoorsService) -> None:
    assert run("categories", [{"id": SERVICES, "key": "HELP"}])["update"] == 1
    assert unlimited_service.campus.categories[SERVICES]["key"] == "HELP"
    with pytest.raises(InputError, match="key 'FOOD' is that of category"):
        run("categories", [{"id": SERVICES, "key": "FOOD"}])


def test_what_has_no_row_stays_and_is_named_in_the_log(
    run: Any, unlimited_service: MapsIndoorsService, capsys: pytest.CaptureFixture[str]
) -> None:
    run("categories", [{"key": "FOOD", "name@en": "Food"}])
    assert len(unlimited_service.campus.categories) == 3
    logged = capsys.readouterr().out
    assert "2 categories have no row and stay as they are: SERVICES, WORK" in logged
    assert "Written: update 1" in logged


# -- plans --------------------------------------------------------------------------------------------


def test_a_plan_is_written_with_a_page_and_exactly_it_is_applied(
    run: Any, unlimited_service: MapsIndoorsService, tmp_path: Path, kind: str
) -> None:
    path = str(tmp_path / "plan.json")
    row = {**new_row(kind, 1), "name@en": "<b>Stand</b>"}
    planned = run(kind, [row], mode="plan", plan_output=path)
    assert planned["create"] == 1
    assert planned["plan"] == path
    assert "N-1" not in entries(unlimited_service, kind)
    page = (tmp_path / "plan.html").read_text()
    assert "&lt;b&gt;Stand&lt;/b&gt;" in page
    assert f"Plan for the {kind} of Nordhøj Campus" in page
    assert run(kind, plan=path)["create"] == 1
    assert "N-1" in entries(unlimited_service, kind)
    assert run(kind, plan=path)["create"] == 0


def test_a_plan_is_refused_when_something_has_changed_since(
    run: Any, sandbox: Sandbox, unlimited_service: MapsIndoorsService, tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    run("categories", [EVENTS, {"key": "FOOD", "name@en": "Food"}], mode="plan", plan_output=path)
    run("categories", [{"key": "FOOD", "name@da": "Spise"}, {**EVENTS, "name@en": "Other"}])
    before = writes(sandbox)
    with pytest.raises(PlanRejectedError) as raised:
        run("categories", plan=path)
    assert "category 'FOOD' was changed" in str(raised.value)
    assert "there is a category 'EVENTS' now" in str(raised.value)
    assert writes(sandbox) == before


@pytest.mark.parametrize("what", ["altered", "counts", "kind", "solution", "limit"])
def test_a_plan_that_does_not_fit_is_refused(
    run: Any, sandbox: Sandbox, unlimited_service: MapsIndoorsService, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "plan.json"
    run("categories", [EVENTS], mode="plan", plan_output=str(path))
    document = json.loads(path.read_text())
    if what == "altered":
        document["changes"][0]["wanted"]["name"]["en"] = "Evil"
    elif what == "counts":
        document["counts"]["create"] = 0
    path.write_text(json.dumps(document))
    if what == "solution":
        unlimited_service.campus.dataset = {**unlimited_service.campus.dataset, "id": "f" * 24}
    options = {"max_changes": 0} if what == "limit" else {}
    reason = {"kind": "is for categories, not display types", "solution": "another solution"}
    with pytest.raises(PlanRejectedError, match=reason.get(what, "altered|max_changes=0")):
        run("display types" if what == "kind" else "categories", plan=str(path), **options)
    assert writes(sandbox) == 0


# -- lost responses, rejections, late reads --------------------------------------------------------------


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("stale", [0.0, 5.0])
def test_a_lost_response_creates_nothing_twice(
    run: Any, sandbox: Sandbox, unlimited_service: MapsIndoorsService, kind: str, unique: bool, stale: float
) -> None:
    unlimited_service.catalogue_unique, unlimited_service.stale_seconds = unique, stale
    before = len(entries(unlimited_service, kind))
    sandbox.faults.add("reset_after", method="POST", path=KINDS[kind][2], times=1)
    assert run(kind, [new_row(kind, n) for n in range(3)])["create"] == 3
    found = unlimited_service.campus.display_types if kind == "display types" else None
    assert len(found or unlimited_service.campus.categories) == before + 3


def test_a_request_that_did_not_arrive_is_sent_again(
    run: Any, sandbox: Sandbox, unlimited_service: MapsIndoorsService, kind: str
) -> None:
    sandbox.faults.add("reset_before", method="POST", path=KINDS[kind][2], times=1)
    assert run(kind, [new_row(kind, 1)])["create"] == 1
    sandbox.faults.add("reset_before", method="POST", path=KINDS[kind][2], times=None)
    with pytest.raises(AmbiguousWriteError):
        run(kind, [new_row(kind, 2)])


@pytest.mark.parametrize("mode", ["atomic", "stop-at-first", "skip-bad"])
@pytest.mark.parametrize("style", ["problem", "vague"])
def test_a_row_that_only_the_service_refuses_does_not_stop_the_others(
    run: Any, unlimited_service: MapsIndoorsService, mode: Any, style: Any
) -> None:
    unlimited_service.batch_mode, unlimited_service.error_style = mode, style
    bad = {**new_row("display types", 2), "displayRules": [{"name": "near", "labelType": 5}]}
    rows = [new_row("display types", 1), bad, new_row("display types", 3), {"name": "Lab", "zoomTo": 21}]
    rows.append({"name": "Office", "displayRules": [{"name": "near", "labelType": 5}]})
    with pytest.raises(PartialWriteError) as raised:
        run("display types", rows)
    assert "row 2 (N-2)" in str(raised.value)
    assert "row 5 (Office)" in str(raised.value)
    made = entries(unlimited_service, "display types")
    assert {"N-1", "N-3"} <= made.keys()
    assert "N-2" not in made
    assert made["Lab"]["displayRules"][0]["zoomTo"] == 21
    result = run("display types", rows, on_row_error="skip")
    assert (result["unchanged"], result["failed"]) == (3, 2)


def test_a_write_that_the_service_does_not_show_fails_the_verification(
    run: Any, sandbox: Sandbox, unlimited_service: MapsIndoorsService, kind: str
) -> None:
    unlimited_service.stale_seconds = 3600
    with pytest.raises(VerificationError, match="does not exist"):
        run(kind, [new_row(kind, 1)])
    sandbox.clock.advance(3600)
    unlimited_service.stale_seconds = 0
    assert run(kind, [new_row(kind, 1)], verify="False")["unchanged"] == 1


def test_large_sources_are_sent_in_batches(run: Any, sandbox: Sandbox, kind: str) -> None:
    result = run(kind, [new_row(kind, n) for n in range(25)], batch_size="10")
    assert (result["create"], writes(sandbox)) == (25, 3)


def test_a_csv_file_is_a_source(run: Any, unlimited_service: MapsIndoorsService, tmp_path: Path) -> None:
    file = tmp_path / "types.csv"
    file.write_text("Type;Name@EN;name@da;zoomFrom;visible;note\nHall;Hall;Hal;18;true;x\nLab;;;19;;\n")
    result = run("display types", str(file), columns={"Type": "name"}, ignore=["note"])
    assert (result["create"], result["update"]) == (1, 1)
    assert entries(unlimited_service, "display types")["Lab"]["displayRules"][0]["zoomFrom"] == 19


def test_a_plan_for_geodata_is_named(run: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    path = str(tmp_path / "plan.json")
    rooms = [{"externalId": "A-0-01", "name": "Q"}]
    sync_geodata(rooms, mode="plan", plan_output=path)
    with pytest.raises(InputError, match="is not a plan of this kind: it is a plan for geodata"):
        run("display types", plan=path)
    assert writes(sandbox) == 0
