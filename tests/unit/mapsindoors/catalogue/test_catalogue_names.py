"""Names of display types and categories: renamed, reused, taken by somebody else, and never that of two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PartialWriteError, PlanRejectedError, VerificationError
from airflow_provider.mapsindoors.catalogue.kinds import Kind
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsSyncCategoriesOperator,
    MapsIndoorsSyncDisplayTypesOperator,
)
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.mapsindoors.seed import SERVICES
from airflow_provider.sandbox.server import Sandbox

NAMES = {"name@en": "X", "name@da": "X"}
OPERATORS: dict[str, Any] = {
    "display_types": MapsIndoorsSyncDisplayTypesOperator,
    "categories": MapsIndoorsSyncCategoriesOperator,
}


class Solution:
    """One list of the emulated solution, with the operator that syncs it."""

    def __init__(self, service: MapsIndoorsService, kind: str) -> None:
        self.service, self.kind = service, kind
        self.key = "name" if kind == "display_types" else "key"
        self.old = "Office" if kind == "display_types" else "FOOD"
        self.other = "Lab" if kind == "display_types" else "WORK"

    def run(self, source: Any = None, **options: Any) -> dict[str, Any]:
        return dict(OPERATORS[self.kind](task_id="t", source=source, **options).execute({}))

    def entries(self) -> dict[str, dict[str, Any]]:
        return dict(getattr(self.service.campus, self.kind))

    def put(self, entry: dict[str, Any]) -> None:
        """Store an entry as somebody would in the CMS."""
        setattr(self.service.campus, self.kind, {**self.entries(), entry["id"]: entry})

    def add(self, key: str, object_id: str = "a" * 24) -> None:
        texts = {"properties": dict(NAMES)} if self.key == "name" else {"name": {"en": "X", "da": "X"}}
        self.put({"id": object_id, self.key: key, **texts})

    def id_of(self, key: str) -> str:
        return next(one for one, entry in self.entries().items() if entry[self.key] == key)

    def keys(self) -> list[str]:
        return sorted(entry[self.key] for entry in self.entries().values())


@pytest.fixture(params=list(OPERATORS))
def solution(request: pytest.FixtureRequest, unlimited_service: MapsIndoorsService) -> Solution:
    return Solution(unlimited_service, request.param)


@pytest.fixture
def types(unlimited_service: MapsIndoorsService) -> Solution:
    return Solution(unlimited_service, "display_types")


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that lets somebody edit the solution after the first read of a task."""

    def after_read(edit: Callable[[], None]) -> None:
        for name in ("list_display_types", "list_categories"):
            original = getattr(MapsIndoorsHook, name)
            edits = [edit]

            def read(hook: MapsIndoorsHook, original: Any = original, edits: Any = edits) -> Any:
                found = original(hook)
                if edits:
                    edits.pop()()
                return found

            monkeypatch.setattr(MapsIndoorsHook, name, read)

    return after_read


def writes(sandbox: Sandbox) -> int:
    return sum(
        count
        for name, count in sandbox.counters.requests.items()
        if ("displaytypes" in name or "categories" in name) and not name.startswith("mapsindoors GET")
    )


def test_a_row_that_two_entries_fit_names_neither_without_an_id(solution: Solution, sandbox: Sandbox) -> None:
    solution.service.catalogue_unique = False
    first = solution.id_of(solution.old)
    solution.add(solution.old)
    row = {solution.key: solution.old, "name@en": "Changed", "name@da": "Changed"}
    with pytest.raises(InputError, match=f"'{solution.old}' is that of 2 ") as caught:
        solution.run([row])
    assert any(f": {', '.join(ids)}" in str(caught.value) for ids in ((first, "a" * 24), ("a" * 24, first)))
    assert writes(sandbox) == 0
    assert solution.run([{**row, "id": first}])["update"] == 1


def test_a_property_that_an_entry_has_in_two_spellings_is_not_changed(
    types: Solution, sandbox: Sandbox
) -> None:
    texts = {**NAMES, "Owner@generic": "a", "owner@GENERIC": "b"}
    types.put({"id": "a" * 24, "name": "Twice", "properties": texts})
    with pytest.raises(InputError, match="properties key 'owner@generic' is on the object more than once"):
        types.run([{"name": "Twice", "owner@generic": "c"}])
    assert writes(sandbox) == 0


def test_rows_may_have_ids_and_no_names(solution: Solution) -> None:
    rows = [{"id": solution.id_of(key), "name@en": "Changed"} for key in (solution.old, solution.other)]
    assert solution.run(rows)["update"] == 2


def test_a_plan_lists_updates_before_creations(solution: Solution, tmp_path: Path) -> None:
    rows = [
        {solution.key: "New", **NAMES},
        {"id": solution.id_of(solution.old), solution.key: "Former"},
        {solution.key: "Newer", **NAMES},
    ]
    solution.run(rows, mode="plan", plan_output=str(tmp_path / "plan.json"))
    changes = json.loads((tmp_path / "plan.json").read_text())["changes"]
    assert [(change["operation"], change["key"]) for change in changes] == [
        *(("update", "Former"), ("create", "New"), ("create", "Newer")),
    ]


# -- renames ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("is_new_first", [True, False])
def test_a_name_that_a_rename_frees_is_that_of_a_new_entry(
    solution: Solution, unique: bool, is_new_first: bool
) -> None:
    solution.service.catalogue_unique = unique
    key, renamed = solution.key, solution.id_of(solution.old)
    rows = [{"id": renamed, key: "Former"}, {key: solution.old, **NAMES}]
    rows = rows[::-1] if is_new_first else rows
    result = solution.run(rows, batch_size=1)
    assert (result["create"], result["update"]) == (1, 1)
    assert solution.entries()[renamed][key] == "Former"
    assert solution.keys().count(solution.old) == 1
    assert solution.run(rows)["unchanged"] == 2


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("unique", [True, False])
def test_renames_wait_for_the_names_that_others_free(types: Solution, size: int, unique: bool) -> None:
    types.service.catalogue_unique = unique
    office, lab, printer = map(types.id_of, ("Office", "Lab", "Printer"))
    rows = [{"id": office, "name": "Lab"}, {"id": lab, "name": "Printer"}, {"id": printer, "name": "Copier"}]
    assert types.run([*rows, {"name": "Office", **NAMES}], batch_size=size)["update"] == 3
    assert [types.entries()[one]["name"] for one in (office, lab, printer)] == ["Lab", "Printer", "Copier"]
    assert types.keys().count("Office") == 1


def test_a_swap_of_names_is_refused_before_the_first_write(solution: Solution, sandbox: Sandbox) -> None:
    key, one, other = solution.key, solution.old, solution.other
    rows = [{"id": solution.id_of(one), key: other}, {"id": solution.id_of(other), key: one}]
    with pytest.raises(InputError) as raised:
        solution.run(rows)
    assert f"row 1 ({other}): {key} '{other}' is that of" in str(raised.value)
    assert f"row 2 ({one}): {key} '{one}' is that of" in str(raised.value)
    assert "third name" in str(raised.value)
    assert writes(sandbox) == 0


@pytest.mark.parametrize("keys", [("N1", "N2"), ("N1", "N1"), ("N1", "n1")])
@pytest.mark.parametrize("skip", [True, False])
def test_two_rows_of_one_id_are_refused_whatever_their_names(
    solution: Solution, keys: tuple[str, str], skip: bool
) -> None:
    rows = [{"id": solution.id_of(solution.old), solution.key: key} for key in keys]
    if skip:
        result = solution.run(rows, on_row_error="skip")
        assert (result["update"], result["failed"]) == (1, 1)
        return
    with pytest.raises(InputError, match=r"row 2 .* is about the same .* as row 1"):
        solution.run(rows)


@pytest.mark.parametrize("broken", [{"name@da": ""}, {"name@sv": "X"}])
def test_a_name_is_not_reused_when_the_row_that_frees_it_is_left_out(
    types: Solution, broken: dict[str, str]
) -> None:
    types.service.catalogue_unique = False
    rows = [{"id": types.id_of("Office"), "name": "Former", **broken}, {"name": "Office", **NAMES}]
    result = types.run(rows, on_row_error="skip")
    assert (result["create"], result["update"], result["failed"]) == (0, 0, 2)
    assert types.keys().count("Office") == 1


def test_a_name_is_not_reused_when_the_service_refuses_its_rename(types: Solution) -> None:
    types.service.catalogue_unique = False
    bad = {"displayRules": [{"name": "near", "labelType": 5}]}
    rows = [
        {"id": types.id_of("Office"), "name": "Former", **bad},
        {"id": types.id_of("Lab"), "name": "Office"},
        {"name": "Lab", **NAMES},
        {"name": "Other", **NAMES},
    ]
    with pytest.raises(PartialWriteError) as raised:
        types.run(rows)
    assert "row 2 (Office): name 'Office' is still that of display type" in str(raised.value)
    assert "row 3 (Lab): name 'Lab' is still that of display type" in str(raised.value)
    assert (types.keys().count("Office"), types.keys().count("Lab")) == (1, 1)
    assert types.keys().count("Other") == 1


def test_a_row_with_an_id_needs_no_name(solution: Solution) -> None:
    row = {"id": solution.id_of(solution.old), "description@en": "D"}
    assert solution.run([row])["update"] == 1
    assert solution.entries()[row["id"]][solution.key] == solution.old
    assert solution.run([row])["unchanged"] == 1
    with pytest.raises(InputError, match=f"{solution.key} is empty; leave it out"):
        solution.run([{**row, solution.key: " "}])


# -- plans --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("twin", ["Stand", "stand", "STAND "])
@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("is_rename", [True, False])
def test_a_plan_is_refused_when_somebody_has_taken_a_name(
    solution: Solution, sandbox: Sandbox, tmp_path: Path, twin: str, unique: bool, is_rename: bool
) -> None:
    solution.service.catalogue_unique = unique
    path = str(tmp_path / "plan.json")
    identity = {"id": solution.id_of(solution.old)} if is_rename else NAMES
    solution.run([{solution.key: "Stand", **identity, "description@en": "D"}], mode="plan", plan_output=path)
    solution.add(twin)
    with pytest.raises(PlanRejectedError, match=f"there is a .* '{twin.strip()}' now, {'a' * 24}"):
        solution.run(plan=path)
    assert writes(sandbox) == 0


def test_a_plan_with_a_rename_and_its_reuse_is_applied_and_resumed(
    solution: Solution, tmp_path: Path
) -> None:
    path, key = str(tmp_path / "plan.json"), solution.key
    rows = [{"id": solution.id_of(solution.old), key: "Former"}, {key: solution.old, **NAMES}]
    solution.run(rows, mode="plan", plan_output=path)
    renamed = {**solution.entries()[rows[0]["id"]], key: "Former"}
    solution.put(renamed)  # What an attempt did that was killed after its first request.
    assert solution.run(plan=path)["create"] == 1
    assert solution.run(plan=path)["create"] == 0
    assert solution.keys().count(solution.old) == 1


def test_an_edit_between_the_read_and_the_update_is_kept(
    solution: Solution, between: Callable[..., None]
) -> None:
    entry = solution.entries()[solution.id_of(solution.old)]
    field = "properties" if solution.key == "name" else "name"
    member = "name@da" if solution.key == "name" else "da"
    between(lambda: solution.put({**entry, field: {**entry[field], member: "CMS"}}))
    rows = [{solution.key: solution.old, "description@en": "D"}, {solution.key: "New", **NAMES}]
    assert solution.run(rows)["update"] == 1
    after = solution.entries()[entry["id"]]
    assert after[field][member] == "CMS"
    assert after["properties"]["description@en"] == "D"


@pytest.mark.parametrize("what", ["owned", "gone", "taken"])
def test_a_change_of_what_is_updated_ends_the_task_before_the_first_write(
    types: Solution, sandbox: Sandbox, between: Callable[..., None], what: str
) -> None:
    entry = types.entries()[types.id_of("Office")]

    def edit() -> None:
        if what == "owned":
            types.put({**entry, "properties": {**entry["properties"], "name@da": "CMS"}})
        elif what == "taken":
            types.add("bureau")
        else:
            left = {one: found for one, found in types.entries().items() if one != entry["id"]}
            types.service.campus.display_types = left

    between(edit)
    rows = [{"id": entry["id"], "name": "Bureau", "name@da": "Bureau"}, {"name": "New", **NAMES}]
    reason = {"owned": "'Bureau' was changed", "gone": "'Bureau' is gone", "taken": "there is another"}
    with pytest.raises(PlanRejectedError, match=reason[what]):
        types.run(rows)
    assert writes(sandbox) == 0


def test_the_work_for_a_plan_grows_with_its_rows(
    types: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = str(tmp_path / "plan.json"), 0
    original = Kind.key_of

    def counted(kind: Kind, entry: Any) -> str:
        nonlocal calls
        calls += 1
        return original(kind, entry)

    monkeypatch.setattr(Kind, "key_of", counted)
    types.service.catalogue_unique = False
    rows = [{"name": f"T{n}", **NAMES} for n in range(300)]
    types.run(rows, mode="plan", plan_output=path)
    types.run(plan=path)
    types.run(plan=path)
    assert 0 < calls < 20 * len(rows)


# -- late reads, refused creations ----------------------------------------------------------------------


def test_a_new_entry_that_reads_do_not_show_is_not_to_be_created_again(solution: Solution) -> None:
    solution.service.stale_seconds = 60
    with pytest.raises(VerificationError, match=r"has returned its id.*Wait some minutes"):
        solution.run([{solution.key: "St", **NAMES}])


@pytest.mark.parametrize("count", [1, 2])
def test_what_an_earlier_attempt_has_made_unseen_is_found_after_the_refusal(
    solution: Solution, count: int
) -> None:
    rows = [{solution.key: f"St{n}", **NAMES} for n in range(count)]
    solution.service.stale_seconds = 5
    solution.run(rows, verify=False)
    before = solution.keys()
    assert solution.run(rows)["create"] == count
    assert solution.keys() == before


def test_what_somebody_else_has_made_is_no_creation(solution: Solution) -> None:
    solution.service.stale_seconds = 5
    solution.run([{solution.key: "St", **NAMES, "description@en": "Other"}], verify=False)
    with pytest.raises(PartialWriteError, match="once only"):
        solution.run([{solution.key: "St", **NAMES, "description@en": "Own"}])


# -- rows that could not be meant -----------------------------------------------------------------------


def test_display_rules_that_are_empty_are_refused_where_there_are_rules(types: Solution) -> None:
    for empty in ([], "[]"):
        with pytest.raises(InputError, match=r"row 1 \(Office\): displayRules is empty"):
            types.run([{"name": "Office", "displayRules": empty}])
    assert types.run([{"name": "New", **NAMES, "displayRules": []}])["create"] == 1
    assert types.run([{"name": "New", "displayRules": []}])["unchanged"] == 1


def test_a_name_that_rows_of_geodata_cannot_have_is_refused(solution: Solution) -> None:
    other = solution.id_of(solution.other)
    for row in (
        {solution.key: other.upper(), **NAMES},
        {"id": solution.id_of(solution.old), solution.key: other},
    ):
        with pytest.raises(InputError, match=f"is the id of .* {other}"):
            solution.run([row])
    if solution.key == "key":
        for row in ({"key": "A;B", **NAMES}, {"id": SERVICES, "key": "A;B"}):
            with pytest.raises(InputError, match="key 'A;B' has a semicolon"):
                solution.run([row])
        solution.add("C;D")
        assert solution.run([{"key": "C;D", "name@en": "E"}])["update"] == 1
    else:
        assert solution.run([{"name": "A;B", **NAMES}])["create"] == 1


@pytest.mark.parametrize(("given", "stored"), [("0", False), ("1", True), (0, False), ("TRUE", True)])
def test_a_switch_of_a_table_is_true_or_false(types: Solution, given: Any, stored: bool) -> None:
    types.run([{"name": "New", **NAMES, "visible": given}])
    made = types.entries()[types.id_of("New")]
    assert made["displayRules"] == [{"name": "default", "visible": stored}]


# -- defaults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("default", ["description", "description@en", "Description@EN"])
@pytest.mark.parametrize("own", ["description", "description@en", "Description@EN"])
def test_a_text_of_a_row_wins_over_the_default_of_its_language(
    solution: Solution, default: str, own: str
) -> None:
    defaults = {default: "default", "description@da": "standard"}
    solution.run([{solution.key: "New", **NAMES, own: "own"}], defaults=defaults)
    made = solution.entries()[solution.id_of("New")]["properties"]
    assert (made["description@en"], made["description@da"]) == ("own", "standard")


@pytest.mark.parametrize("own", [{"name": "own"}, {"name@EN": "own"}, {"name": {"en": "own"}}])
@pytest.mark.parametrize(
    "default", [{"name": "default"}, {"name@en": "default"}, {"name": {"EN": "default"}}]
)
def test_a_name_of_a_category_wins_over_the_default_of_its_language(
    unlimited_service: MapsIndoorsService, own: dict[str, Any], default: dict[str, Any]
) -> None:
    categories = Solution(unlimited_service, "categories")
    default = {**default, "name@da": "standard"} if isinstance(default.get("name@en"), str) else default
    row = {"key": "NEW", **own} if "name@da" in default else {"key": "NEW", **own, "name@da": "standard"}
    categories.run([row], defaults=default)
    assert categories.entries()[categories.id_of("NEW")]["name"] == {"en": "own", "da": "standard"}


def test_a_language_of_defaults_that_the_solution_lacks_is_refused(solution: Solution) -> None:
    with pytest.raises(InputError, match="has the language 'sv'"):
        solution.run([{solution.key: "New", **NAMES}], defaults={"name@sv": "Ny"})
