"""Faults: lost responses, failed jobs and attempts that ended early double nothing, and lose nothing."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider.amigocloud.sync import execute
from airflow_provider.core import polling
from airflow_provider.errors import (
    AmbiguousWriteError,
    ProviderError,
    RequestRejectedError,
    ServerError,
    VerificationError,
)
from airflow_provider.sandbox.amigocloud.auth import Token
from airflow_provider.sandbox.amigocloud.seed import EDIT_PROJECT_TOKEN
from tests.support.desks import DESKS, desk
from tests.support.fake_clock import FakeClock
from tests.support.task_runner import TaskRunner

pytestmark = pytest.mark.slow  # nothing of it depends on versions

ROWS = [{"code": f"N-{n}", "label": "new"} for n in range(5)] + [
    {"code": f"D-{n}", "label": "changed"} for n in range(5)
]
DELETING = {"missing": "delete", "max_deletes": 25, "max_delete_ratio": 1.0}


def is_synced(found: dict[str, Any]) -> bool:
    """Return whether the dataset has exactly the rows of the source."""
    return found.keys() == {row["code"] for row in ROWS} and all(
        found[row["code"]]["label"] == row["label"] for row in ROWS
    )


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncate"])
@pytest.mark.parametrize("latency", [0.0, 0.3])
def test_a_lost_response_to_a_change_set_doubles_nothing(sandbox, service, sync, desks, kind, latency):
    service.job_latency = latency
    sandbox.faults.add(kind, method="POST", path="submit_changeset")
    result = sync(ROWS, batch_size=4, poll_interval=0.05, **DELETING)
    assert is_synced(desks())
    assert result["delete"] == 25


def test_responses_that_are_lost_again_and_again_end_the_attempt(sandbox, sync, desks):
    sandbox.faults.add("reset_before", method="POST", path="submit_changeset", times=None)
    runner = TaskRunner()
    with pytest.raises(AmbiguousWriteError):
        sync(ROWS, runner=runner, **DELETING)
    sandbox.faults.clear()
    sync(ROWS, runner=runner, **DELETING)
    assert is_synced(desks())


def test_a_failed_job_is_split_until_its_rows_are_written(service, sync, desks):
    service.job_failures = ["out of memory"]
    assert sync(ROWS, **DELETING)["update"] == 5
    assert is_synced(desks())


def test_a_change_set_that_is_half_done_is_completed(service, sync, desks):
    """The service applies the changes of a set one after the other."""
    service.store.db.execute(
        f"CREATE TRIGGER once BEFORE UPDATE ON dataset_{DESKS} WHEN new.code = 'D-3'"
        " AND (SELECT count(*) FROM gate) = 0 BEGIN SELECT RAISE(ABORT, 'not yet'); END"
    )
    service.store.db.execute("CREATE TABLE gate(n)")
    runner = TaskRunner()
    with pytest.raises(ProviderError, match="not yet"):
        sync(ROWS, runner=runner, **DELETING)
    assert {row["code"] for row in ROWS} <= desks().keys()
    service.store.db.execute("INSERT INTO gate VALUES (1)")
    sync(ROWS, runner=runner, **DELETING)
    assert is_synced(desks())


def test_the_next_attempt_waits_for_the_job_and_says_what_was_done(
    sandbox, service, sync, desks, capsys, monkeypatch
):
    runner = TaskRunner()
    sandbox.faults.add("status", status=500, path="me/jobs", times=None, after=1)
    monkeypatch.setattr("airflow_provider.core.polling.MAX_TOLERATED_FAILURES", 0)
    with pytest.raises(ServerError):
        sync(ROWS, runner=runner, batch_size=4, poll_interval=0.05, **DELETING)
    sandbox.faults.clear()
    result = sync(ROWS, runner=runner, poll_interval=0.05, **DELETING)
    text = capsys.readouterr().out
    assert "Earlier attempts of this task have written: create 4; job" in text
    assert (result["create"], result["unchanged"]) == (0, 5 + 3)
    assert is_synced(desks())
    sync(ROWS, runner=runner, **DELETING)
    assert "Earlier attempts" not in capsys.readouterr().out


def test_an_approved_plan_is_completed_by_the_next_attempt(sandbox, service, sync, desks, tmp_path):
    plan = str(tmp_path / "plan.json")
    sync(ROWS, mode="plan", plan_output=plan, **DELETING)
    sandbox.faults.add("status", status=401, path="submit_changeset", times=None, after=3)
    runner = TaskRunner()
    limits = {"max_deletes": 25, "max_delete_ratio": 1.0, "batch_size": 4}
    with pytest.raises(ProviderError):
        sync(plan=plan, runner=runner, **limits)
    sandbox.faults.clear()
    result = sync(plan=plan, runner=runner, **limits)
    assert (result["create"], result["update"], result["unchanged"]) == (0, 0, 10)
    assert is_synced(desks())


@pytest.mark.parametrize("repeated", ["replace", "ignore", "refuse", "add"])
@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_new_rows_are_not_doubled_whatever_a_repeated_insert_does(
    sandbox, service, sync, desks, repeated, kind
):
    service.repeated_insert = repeated
    sandbox.faults.add(kind, method="POST", path="submit_changeset")
    sync(ROWS, batch_size=4, **DELETING)
    assert is_synced(desks())


@pytest.mark.parametrize(("what", "error"), [("ignore", VerificationError), ("refuse", RequestRejectedError)])
def test_a_service_that_takes_no_updates_in_this_form_is_noticed(service, sync, desks, what, error):
    service.keyed_changes = what
    with pytest.raises(error, match="D-1"):
        sync([{"code": f"D-{n}", "label": "x"} for n in range(4)])
    assert desks()["D-1"]["label"] == "Desk 1"


FORMS = {
    "number_form": "text",
    "boolean_form": "text",
    "time_form": "T",
    "json_form": "text",
    "empty_geometry": "text",
}


@pytest.mark.parametrize("switch", FORMS)
def test_values_are_compared_whatever_their_form_in_replies(service, sync, desks, switch):
    setattr(service, switch, FORMS[switch])
    rows = [{**desk(n), "place": None if n == 3 else desk(n)["place"]} for n in range(6)]
    assert sync(rows)["update"] == 1
    assert sync(rows)["unchanged"] == 6


@pytest.mark.parametrize("may_read", [True, False])
def test_a_projects_token_is_enough_whether_it_may_read_jobs_or_not(service, sync, desks, connect, may_read):
    service.project_token_jobs = may_read
    conn_id = connect(password=EDIT_PROJECT_TOKEN)
    sync(ROWS, amigocloud_conn_id=conn_id, poll_interval=0.01, **DELETING)
    assert is_synced(desks())


@pytest.fixture
def blind(service, connect, monkeypatch) -> dict[str, Any]:
    """Return the arguments of a sync whose token may not read jobs; the dataset refuses a label.

    Its time goes by between polls only, so that a slow machine does not end the wait.
    """
    time = FakeClock()
    monkeypatch.setattr(polling, "clock", time)
    monkeypatch.setattr(execute, "clock", time)
    monkeypatch.setattr(execute, "wait_for", partial(polling.wait_for, sleep=time.sleep))
    service.store.db.execute(
        f"CREATE TRIGGER bad BEFORE UPDATE ON dataset_{DESKS} WHEN new.label = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'bad label'); END"
    )
    conn_id = connect(password=EDIT_PROJECT_TOKEN)
    return {"amigocloud_conn_id": conn_id, "timeout": 40.0, "poll_interval": 2.0}


BAD = [{"code": "D-1", "label": "bad"}, {"code": "D-2", "label": "good"}, {"code": "D-3", "label": "good"}]


def test_a_token_that_may_not_read_jobs_finds_the_rejected_row(sync, desks, blind):
    with pytest.raises(RequestRejectedError, match=r"row 1 \(D-1\): no effect within .* 2 updated"):
        sync(BAD, **blind)
    assert [desks()[f"D-{n}"]["label"] for n in range(1, 4)] == ["Desk 1", "good", "good"]


def test_a_token_that_may_not_read_jobs_leaves_the_rejected_row_out(sync, desks, blind, tmp_path):
    plan = tmp_path / "plan.json"
    result = sync([*BAD, {"code": "N-1"}], on_row_error="skip", plan_output=str(plan), **blind)
    assert (result["create"], result["update"], result["failed"]) == (1, 2, 1)
    failed = json.loads((tmp_path / "plan.json.failed.jsonl").read_text())
    assert (failed["row"], failed["key"]) == (1, "D-1")


def test_a_service_that_does_nothing_ends_the_wait(service, sync, blind):
    service.keyed_changes = "ignore"
    rows = [{"code": f"D-{n}", "label": "x"} for n in range(30)]
    with pytest.raises(TimeoutError, match=r"any of the last 17 change sets.*written: nothing"):
        sync(rows, on_row_error="skip", **blind)


def test_new_rows_are_not_doubled_by_a_job_that_is_slower_than_a_read(
    sandbox, service, sync, desks, monkeypatch, capsys
):
    """A lost response is followed by reads for a minute, in the sandbox's time."""
    monkeypatch.setattr(execute, "wait", lambda seconds: sandbox.clock.advance(seconds))
    service.repeated_insert, service.job_latency = "add", 30.0
    sandbox.faults.add("reset_after", method="POST", path="submit_changeset")
    assert sync([{"code": "N-1"}])["create"] == 1
    assert desks()["N-1"]
    assert "Reading for up to 60 s whether 1 new rows are written" in capsys.readouterr().out


def test_a_row_that_was_doubled_all_the_same_is_named(sandbox, service, sync, monkeypatch):
    monkeypatch.setattr(execute, "wait", lambda seconds: sandbox.clock.advance(seconds))
    service.repeated_insert, service.job_latency = "add", 90.0
    sandbox.faults.add("reset_after", method="POST", path="submit_changeset")
    monkeypatch.setattr(execute.JobWait, "ended", lambda *_: bool(sandbox.clock.advance(200)) or True)
    with pytest.raises(VerificationError, match="code is that of row .*, too"):
        sync([{"code": "N-1"}])


def test_no_secret_is_in_a_plan_a_log_or_an_error(sandbox, service, sync, connect, tmp_path, capsys):
    secret = "A:c@nary/with%signs&more=1 ä"
    service.tokens[secret] = Token(secret, "A")
    conn_id = connect(password=secret)
    plan = str(tmp_path / "plan.json")
    sandbox.faults.add("reset_after", method="POST", path="submit_changeset")
    sync(ROWS, amigocloud_conn_id=conn_id, plan_output=plan, **DELETING)
    sandbox.faults.add("status", status=400, path="submit_changeset", times=None)
    with pytest.raises(ProviderError) as caught:
        sync([{"code": "D-1", "label": "again"}], amigocloud_conn_id=conn_id)
    shown = capsys.readouterr()
    texts = [shown.out, shown.err, str(caught.value), *(path.read_text() for path in tmp_path.iterdir())]
    for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
        assert not any(form in text for text in texts)
