"""Plans: written, reviewed, applied unless the dataset or the plan was changed; and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider.amigocloud.sync.sync import Sync
from airflow_provider.errors import InputError, PlanRejectedError
from tests.support.desks import DESKS, desk

pytestmark = pytest.mark.slow  # nothing of it depends on versions

ROWS: list[dict[str, Any]] = [
    {"code": "N-1", "label": "<b>New</b> & more", "place": "POINT(12.6 -50)"},
    {"code": "D-1", "label": "Other"},
    {"code": "D-2", "place": "POINT(12.7 -50)"},
    *(desk(number) for number in range(3, 30)),
]
DELETING = {"missing": "delete", "max_deletes": 1}


@pytest.fixture
def plan(sync, tmp_path) -> str:
    """Return the path of a plan with one change of each kind."""
    path = str(tmp_path / "plan.json")
    result = sync(ROWS, mode="plan", plan_output=path, missing="delete")
    assert (result["create"], result["update"], result["delete"], result["plan"]) == (1, 2, 1, path)
    return path


def test_planning_writes_nothing_to_the_dataset(sandbox, service, plan):
    assert sandbox.counters.total("submit_change") == 0
    document = json.loads(Path(plan).read_text())
    assert document["counts"] == {"create": 1, "update": 2, "delete": 1}
    assert (document["dataset"], document["key"], document["compared"]) == (str(DESKS), "code", 30)
    assert document["state"] == service.store.master(DESKS)
    assert [change["key"] for change in document["changes"]] == ["N-1", "D-1", "D-2", "D-0"]
    assert [change["name"] for change in document["changes"]] == [
        *("<b>New</b> & more", "Other", "Desk 2", "Desk 0"),
    ]
    assert document["changes"][1]["fields"] == {"label": ["Desk 1", "Other"]}


def test_the_page_shows_the_changes_on_a_map(plan):
    page = Path(plan.replace(".json", ".html")).read_text()
    assert "<script" not in page
    assert "&lt;b&gt;New&lt;/b&gt; &amp; more" in page
    assert "<b>New</b> & more" not in page
    for kind in ("create", "update", "moved", "delete"):
        assert f'class="{kind}"><b>1</b>' in page
    for number in range(1, 5):
        assert f'id="change-{number}"' in page
        assert f'href="#change-{number}"' in page
    assert '<circle class="old"' in page


def test_an_approved_plan_is_applied(sync, desks, plan):
    result = sync(plan=plan, max_deletes=1)
    assert (result["create"], result["update"], result["delete"], result["plan"]) == (1, 2, 1, plan)
    found = desks()
    assert found["D-1"]["label"] == "Other"
    assert "D-0" not in found
    assert sync(ROWS, missing="delete")["unchanged"] == 30


def test_a_plan_is_applied_within_the_limits(sync, desks, plan):
    with pytest.raises(PlanRejectedError, match="1 deletions are more than max_deletes=0"):
        sync(plan=plan)
    with pytest.raises(PlanRejectedError, match="4 changes are more than max_changes=3"):
        sync(plan=plan, max_deletes=1, max_changes=3)
    assert len(desks()) == 30


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "UPDATE {} SET label = 'x' WHERE code = 'D-1'",
            r"update .*1 \(D-1\): label was 'Desk 1', now it is 'x'",
        ),
        ("UPDATE {} SET seats = 77 WHERE code = 'D-2'", r"\(D-2\): another field was changed"),
        ("UPDATE {} SET seats = 77 WHERE code = 'D-0'", r"delete .* \(D-0\): was changed"),
        ("DELETE FROM {} WHERE code = 'D-1'", r"\(D-1\): is not there"),
        ("INSERT INTO {} (amigo_id, code) VALUES ('own', 'N-1')", r"code is that of row own, too"),
    ],
)
def test_a_plan_is_rejected_when_one_of_its_rows_was_changed(sync, service, desks, plan, sql, words):
    service.store.write(sql.format(f"dataset_{DESKS}"))
    before = desks()
    with pytest.raises(PlanRejectedError, match=words) as caught:
        sync(plan=plan, max_deletes=1)
    assert ("is that of row" in str(caught.value)) is ("is that of row" in words)
    assert desks() == before


def test_a_plan_is_applied_when_other_rows_were_changed(sync, service, desks, plan):
    service.store.write(f"UPDATE dataset_{DESKS} SET label = 'x' WHERE code = 'D-20'")
    assert sync(plan=plan, max_deletes=1)["update"] == 2
    assert desks()["D-20"]["label"] == "x"


def test_a_row_that_is_changed_between_plan_and_apply_is_noticed(sandbox, sync, service, desks):
    pages = service._pages

    def change(page: int) -> None:
        if page == pages + 2:  # after the state was chosen
            service.before_page = None
            service.store.write(f"UPDATE dataset_{DESKS} SET label = 'theirs' WHERE code = 'D-1'")

    service.before_page = change
    with pytest.raises(PlanRejectedError, match="label was 'Desk 1', now it is 'theirs'"):
        sync([{"code": "D-1", "label": "ours"}])
    assert desks()["D-1"]["label"] == "theirs"
    assert sandbox.counters.total("submit_change") == 0
    assert sync([{"code": "D-1", "label": "ours"}])["update"] == 1


def test_an_altered_plan_is_rejected(sync, desks, plan):
    text = Path(plan).read_text()
    for old, new in (('"label":"Other"', '"label":"Else"'), (f'"dataset": "{DESKS}"', '"dataset": "2001"')):
        assert old in text
        Path(plan).write_text(text.replace(old, new))
        with pytest.raises(PlanRejectedError, match="was altered"):
            sync(plan=plan, max_deletes=1)
    Path(plan).write_text(text[:-9])
    with pytest.raises(InputError, match="is not a plan of this version"):
        sync(plan=plan, max_deletes=1)
    assert desks()["D-1"] == desk(1)


@pytest.fixture
def skipping(sync, tmp_path) -> Path:
    """Return the path of a plan that leaves out two rows, one of them without a key."""
    path = tmp_path / "skipping.json"
    rows = [*ROWS, {"label": "no key"}, {"code": "D-5", "seats": "many"}]
    sync(rows, mode="plan", plan_output=str(path), on_row_error="skip", missing="delete")
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failed", []),
        ("failed", [{"row": 32, "key": "D-1", "reasons": ["x"]}]),
        ("failed", [{"why": 1}]),
        ("failed", [1]),
        ("counts", {"create": 0, "update": 1, "delete": 0}),
        ("counts", {}),
        ("unchanged", 1),
        ("compared", 10_000),
    ],
)
def test_whatever_of_a_plan_is_altered_it_is_rejected(sync, desks, skipping, name, value):
    document = msgspec.json.decode(skipping.read_bytes(), type=dict[str, msgspec.Raw])
    skipping.write_bytes(msgspec.json.encode(document))
    with pytest.raises(PlanRejectedError, match="rows without a match are left out"):
        sync(plan=str(skipping), max_deletes=5)
    before = desks()
    skipping.write_bytes(msgspec.json.encode({**document, name: value}))
    with pytest.raises(PlanRejectedError, match="was altered"):
        sync(plan=str(skipping), max_deletes=5)
    assert desks() == before


def test_a_plan_for_another_dataset_or_key_is_rejected(sync, plan):
    with pytest.raises(PlanRejectedError, match="is for another dataset, 4001"):
        sync(plan=plan, dataset=2001, key="number")
    with pytest.raises(PlanRejectedError, match="is by another key, code"):
        sync(plan=plan, key="label")


def test_the_state_before_a_sync_is_restored(sync, service, desks):
    before = desks()
    result = sync(ROWS, **DELETING)
    assert desks() != before
    with pytest.raises(PlanRejectedError, match="1 deletions are more than max_deletes=0"):
        sync(restore=result["state_before"])
    restored = sync(restore=result["state_before"], max_deletes=1)
    assert (restored["create"], restored["update"], restored["delete"]) == (1, 2, 1)
    assert desks() == before
    assert sync(restore=result["state_before"])["unchanged"] == 30


def test_a_restore_can_be_planned_and_approved(sync, desks, tmp_path):
    before = desks()
    state = sync(ROWS, **DELETING)["state_before"]
    path = str(tmp_path / "back.json")
    sync(restore=state, mode="plan", plan_output=path)
    assert desks() != before
    sync(plan=path, max_deletes=1)
    assert desks() == before


OTHERS = [
    "UPDATE {} SET label = 'theirs' WHERE code = 'D-9'",
    "INSERT INTO {} (amigo_id, code) VALUES ('own', 'NEW')",
    "DELETE FROM {} WHERE code = 'D-9'",
    "UPDATE {} SET label = 'theirs' WHERE code = 'D-1'",
]


@pytest.mark.parametrize("sql", OTHERS)
def test_a_restore_never_reverts_what_its_plan_does_not_show(sync, service, desks, tmp_path, sql):
    state = sync([{"code": "D-1", "label": "wrong"}])["state_before"]
    path = str(tmp_path / "back.json")
    sync(restore=state, mode="plan", plan_output=path)
    service.store.write(sql.format(f"dataset_{DESKS}"))
    before = desks()
    with pytest.raises(PlanRejectedError, match="was changed since the plan was made.*Nothing was written"):
        sync(plan=path)
    assert desks() == before


def test_a_restore_of_one_run_is_rejected_when_rows_change_while_it_is_planned(
    sync, service, desks, monkeypatch
):
    state = sync([{"code": "D-1", "label": "wrong"}])["state_before"]
    write_plan = Sync._write_plan

    def change(self: Any, *arguments: Any) -> None:
        write_plan(self, *arguments)
        service.store.write(OTHERS[0].format(f"dataset_{DESKS}"))

    monkeypatch.setattr(Sync, "_write_plan", change)
    with pytest.raises(PlanRejectedError, match="would revert changes that the plan does not show"):
        sync(restore=state)
    assert (desks()["D-9"]["label"], desks()["D-1"]["label"]) == ("theirs", "wrong")


def test_a_restore_plan_that_is_done_stays_done_and_later_work_is_kept(sync, service, desks, tmp_path):
    state = sync([{"code": "D-1", "label": "wrong"}])["state_before"]
    path = str(tmp_path / "back.json")
    sync(restore=state, mode="plan", plan_output=path)
    assert sync(plan=path)["update"] == 1
    service.store.write(OTHERS[0].format(f"dataset_{DESKS}"))
    result = sync(plan=path)
    assert (result["update"], result["unchanged"]) == (0, 30)
    assert (desks()["D-9"]["label"], desks()["D-1"]["label"]) == ("theirs", "Desk 1")


@pytest.mark.parametrize(("column", "restores"), [("label", False), ("place", False), ("label", True)])
def test_a_plan_whose_column_was_dropped_is_rejected(sync, service, plan, tmp_path, column, restores):
    if restores:
        plan, made = str(tmp_path / "back.json"), sync([{"code": "D-1", "label": "wrong"}])
        sync(restore=made["state_before"], mode="plan", plan_output=plan)
    service.store.drop_column(DESKS, column)
    with pytest.raises(PlanRejectedError, match=f"has no field '{column}' any more. Nothing was written"):
        sync(plan=plan, max_deletes=1)


@pytest.mark.parametrize("switch", ["refused", "missing", "latest"])
def test_a_state_that_is_gone_is_not_restored(sync, service, desks, switch):
    state = sync([{"code": "D-1", "label": "Other"}])["state_before"]
    service.readable_states, service.unknown_state = 1, switch
    with pytest.raises(PlanRejectedError, match=f"the state {state} cannot be restored"):
        sync(restore=state)
    assert desks()["D-1"]["label"] == "Other"
