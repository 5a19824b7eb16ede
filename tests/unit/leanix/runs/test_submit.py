"""Submission: a run never starts twice; after a crash at any step, the next attempt resumes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.state.submission import Submission
from airflow_provider.errors import (
    AmbiguousWriteError,
    ApiError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    RunFailedError,
    RunTimeoutError,
    ServerError,
)
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.operators import LeanIXRunOperator, LeanIXStartRunOperator
from airflow_provider.leanix.runs import submit
from airflow_provider.sandbox.leanix.seed import tutorial_items
from tests.support.airflow_names import AirflowFailException, TaskDeferred
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND, OUTBOUND

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
MEMORY = pytest.mark.parametrize("remembers", [True, False], ids=["with-store", "marker-only"])


class Crash(BaseException):
    """A worker crash at this step."""


def run_operator(**arguments: Any) -> LeanIXRunOperator:
    arguments = {"task_id": "run", "poll_interval": 0.02, "timeout": 20, **arguments}
    return LeanIXRunOperator(**{**OUTBOUND, **arguments})


def die_once(monkeypatch: pytest.MonkeyPatch, owner: type, method: str, when: str) -> None:
    """Crash the worker before or after the first call of a method."""
    real = getattr(owner, method)
    died: list[bool] = []

    def step(*args: Any, **kwargs: Any) -> Any:
        if when == "before" and not died:
            died.append(True)
            raise Crash
        result = real(*args, **kwargs)
        if not died:
            died.append(True)
            raise Crash
        return result

    monkeypatch.setattr(owner, method, step)


STEPS = [
    (Submission, "intend"),
    (LeanIXHook, "create_run"),
    (Submission, "created"),
    (LeanIXHook, "start_run"),
    (LeanIXHook, "get_run_status"),
    (LeanIXHook, "get_run_stats"),
    (LeanIXHook, "download_results"),
]


@BOTH
@MEMORY
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("owner", "method"), STEPS, ids=[name for _, name in STEPS])
def test_crash_at_any_step_never_starts_a_second_run(
    leanix: Any,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    when: str,
    remembers: bool,
    deferrable: bool,
) -> None:
    if deferrable and method == "get_run_status":
        method = "get_run_stats"  # the triggerer has read the status already
    task = TaskRunner(remembers=remembers)
    arguments = {"output_path": str(tmp_path / "out.json"), "deferrable": deferrable}
    die_once(monkeypatch, owner, method, when)
    with pytest.raises(Crash):
        task.run(run_operator(**arguments))
    result = task.run(run_operator(**arguments))
    assert result["status"] == "FINISHED"
    assert result["results"]["bytes"] > 0
    assert (leanix.starts, leanix.peak_live) == (1, 1)
    assert len([run for run in leanix.runs if run.status != "CREATED"]) == 1
    assert len(leanix.runs) == 1


@BOTH
@MEMORY
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("owner", "method"), STEPS[:5], ids=[name for _, name in STEPS[:5]])
def test_a_service_that_lists_no_descriptions_never_gets_a_second_run(
    leanix: Any,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    when: str,
    remembers: bool,
    deferrable: bool,
) -> None:
    leanix.list_descriptions = False
    task = TaskRunner(remembers=remembers)
    if deferrable and method == "get_run_status":
        method = "get_run_stats"  # the triggerer has read the status already
    die_once(monkeypatch, owner, method, when)
    with pytest.raises(Crash):
        task.run(run_operator(deferrable=deferrable))
    started = leanix.starts
    if remembers:
        assert task.run(run_operator(deferrable=deferrable))["status"] == "FINISHED"
        assert leanix.starts == 1
        return
    with pytest.raises(AmbiguousWriteError, match="may have started a run") as caught:
        task.run(run_operator(deferrable=deferrable))
    assert isinstance(caught.value, AirflowFailException)
    assert leanix.starts == started


@BOTH
@MEMORY
@pytest.mark.parametrize("path", [r"/synchronizationRuns$", r"/start$"], ids=["create", "start"])
def test_lost_answer_never_starts_a_second_run(
    leanix: Any, sandbox: Any, path: str, remembers: bool, deferrable: bool
) -> None:
    fault = sandbox.faults.add("reset_after", method="POST", path=path)
    assert TaskRunner(remembers=remembers).run(run_operator(deferrable=deferrable))["status"] == "FINISHED"
    assert fault.hits == 1
    assert (leanix.starts, len(leanix.runs)) == (1, 1)


@BOTH
def test_lost_answer_and_a_crash_together(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    sandbox.faults.add("reset_after", method="POST", path=r"/synchronizationRuns$")
    die_once(monkeypatch, LeanIXHook, "list_runs", "before")
    task = TaskRunner()
    with pytest.raises(Crash):
        task.run(run_operator(deferrable=deferrable))
    task.run(run_operator(deferrable=deferrable))
    assert (leanix.starts, len(leanix.runs)) == (1, 1)


@BOTH
def test_a_dag_run_that_was_created_again_does_not_take_the_run_of_the_deleted_one(
    leanix: Any, sandbox: Any, deferrable: bool
) -> None:
    deleted = TaskRunner().run(run_operator(deferrable=deferrable))
    sandbox.faults.add("reset_after", method="POST", path=r"/synchronizationRuns$")
    created_again = TaskRunner().run(run_operator(deferrable=deferrable))
    assert created_again["run_id"] != deleted["run_id"]
    assert (leanix.starts, len(leanix.runs)) == (2, 2)


def test_the_log_names_the_configuration_that_is_run(leanix: Any, capsys: pytest.CaptureFixture[str]) -> None:
    TaskRunner().run(run_operator())
    logged = capsys.readouterr().out
    assert f"Created run {leanix.runs[0].id} of report/landscape/1.0.0/outbound" in logged
    assert f"Started run {leanix.runs[0].id}" in logged


def test_create_without_effect_is_sent_a_second_time(leanix: Any, sandbox: Any) -> None:
    sandbox.faults.add("html", status=504, method="POST", path=r"/synchronizationRuns$")
    assert TaskRunner().run(run_operator())["status"] == "FINISHED"
    assert (leanix.starts, len(leanix.runs)) == (1, 1)


@BOTH
@MEMORY
def test_live_run_of_an_earlier_attempt_is_waited_for(leanix: Any, remembers: bool, deferrable: bool) -> None:
    leanix.run_seconds = 0.3
    task = TaskRunner(remembers=remembers)
    assert isinstance(task.begin(run_operator(deferrable=True)), TaskDeferred)
    result = task.run(run_operator(deferrable=deferrable))
    assert result["run_id"] == leanix.runs[0].id
    assert len(leanix.runs) == 1


@BOTH
@MEMORY
@pytest.mark.parametrize("ending", ["FAILED", "STOPPED"])
def test_after_a_run_that_broke_comes_a_new_one(
    leanix: Any, remembers: bool, deferrable: bool, ending: str
) -> None:
    task = TaskRunner(remembers=remembers)
    leanix.ending = ending
    for _ in range(2):
        with pytest.raises(RunFailedError):
            task.run(run_operator(deferrable=deferrable))
    leanix.ending = "FINISHED"
    assert task.run(run_operator(deferrable=deferrable))["run_id"] == leanix.runs[2].id
    assert len({run.description for run in leanix.runs}) == 3
    assert leanix.peak_live == 1


@BOTH
def test_a_run_classified_as_failed_is_followed_by_a_new_run(leanix: Any, deferrable: bool) -> None:
    task, asked = TaskRunner(), {**INBOUND, "content": tutorial_items(), "deferrable": deferrable}
    leanix.bad_items = 1
    with pytest.raises(RunFailedError, match="more errors"):
        task.run(run_operator(**asked))
    leanix.bad_items = 0
    assert task.run(run_operator(**asked))["run_id"] == leanix.runs[1].id


def test_without_a_store_a_finished_run_is_classified_until_the_description_changes(
    leanix: Any,
) -> None:
    task, asked = TaskRunner(remembers=False), {**INBOUND, "content": tutorial_items()}
    leanix.bad_items = 1
    for _ in range(2):
        with pytest.raises(RunFailedError, match="more errors"):
            task.run(run_operator(**asked))
    assert len(leanix.runs) == 1
    leanix.bad_items = 0
    assert task.run(run_operator(**asked, description="once more"))["run_id"] == leanix.runs[1].id


def test_after_a_crash_while_a_run_broke_comes_a_new_one(leanix: Any) -> None:
    task = TaskRunner()
    leanix.ending = "FAILED"
    task.begin(run_operator(deferrable=True))
    leanix.ending = "FINISHED"
    assert task.run(run_operator())["run_id"] == leanix.runs[1].id


def test_run_stopped_at_the_deadline_is_followed_by_a_new_one(leanix: Any) -> None:
    task = TaskRunner()
    leanix.stuck_in = "IN_PROGRESS"
    with pytest.raises(RunFailedError, match="deadline"):
        task.run(run_operator(timeout=0.1))
    leanix.stuck_in = None
    assert task.run(run_operator())["run_id"] == leanix.runs[1].id
    assert leanix.peak_live == 1


def test_cleared_task_starts_a_new_run(leanix: Any) -> None:
    task = TaskRunner()
    first = task.run(run_operator())["run_id"]
    task.clear()
    second = task.run(run_operator())["run_id"]
    assert first != second


@BOTH
@MEMORY
def test_task_that_crashed_before_its_success_was_stored_resumes_the_same_run(
    leanix: Any, remembers: bool, deferrable: bool
) -> None:
    task = TaskRunner(remembers=remembers)
    first = task.run(run_operator(deferrable=deferrable))
    assert task.run(run_operator(deferrable=deferrable)) == first
    assert (leanix.starts, len(leanix.runs)) == (1, 1)


def test_start_task_cleared_while_its_run_is_live_resumes_it(leanix: Any) -> None:
    task = TaskRunner()
    leanix.stuck_in = "IN_PROGRESS"
    start = LeanIXStartRunOperator(task_id="start", **OUTBOUND)
    first = task.run(start)
    task.clear()
    assert task.run(start) == first
    leanix.runs[0].stuck_in = None
    task.clear()
    assert task.run(start) != first
    assert leanix.peak_live == 1


@MEMORY
def test_changed_input_stops_the_old_run_and_starts_a_new_one(leanix: Any, remembers: bool) -> None:
    task = TaskRunner(remembers=remembers)
    leanix.stuck_in = "IN_PROGRESS"
    inbound = {**INBOUND, "content": tutorial_items(), "deferrable": True}
    task.begin(run_operator(**inbound))
    leanix.stuck_in = None
    result = task.run(run_operator(**{**inbound, "content": tutorial_items()[:1]}))
    assert [run.status for run in leanix.runs] == ["STOPPED", "FINISHED"]
    assert (result["processed"], leanix.peak_live) == (1, 1)


@MEMORY
def test_a_superseded_run_has_ended_before_the_new_one_starts(leanix: Any, remembers: bool) -> None:
    leanix.stop_seconds, leanix.stuck_in = 0.3, "IN_PROGRESS"
    task = TaskRunner(remembers=remembers)
    task.begin(run_operator(deferrable=True))
    leanix.stuck_in = None
    assert task.run(run_operator(description="changed"))["status"] == "FINISHED"
    assert ([run.status for run in leanix.runs], leanix.peak_live) == (["STOPPED", "FINISHED"], 1)


@MEMORY
def test_no_run_starts_beside_a_superseded_one_that_does_not_stop(
    leanix: Any, monkeypatch: pytest.MonkeyPatch, remembers: bool
) -> None:
    monkeypatch.setattr(submit, "SUPERSEDED_SECONDS", 0.2)
    leanix.stop_seconds, leanix.stuck_in = float("inf"), "IN_PROGRESS"
    task = TaskRunner(remembers=remembers)
    task.begin(run_operator(deferrable=True))
    for _ in range(2):
        with pytest.raises(RunTimeoutError, match="no new run was created") as caught:
            task.run(run_operator(description="changed"))
        assert (caught.value.run_id, caught.value.status) == (leanix.runs[0].id, "IN_PROGRESS")
    assert leanix.starts == len(leanix.runs) == 1
    leanix.stuck_in = leanix.runs[0].stuck_in = None
    assert task.run(run_operator(description="changed"))["status"] == "FINISHED"
    assert leanix.peak_live == 1


@BOTH
@pytest.mark.parametrize("status", [400, 409])
def test_a_start_that_was_done_already_is_no_error(
    leanix: Any, sandbox: Any, status: int, deferrable: bool
) -> None:
    leanix.second_start_status = status
    sandbox.faults.add("reset_after", method="POST", path="/start$")
    assert TaskRunner().run(run_operator(deferrable=deferrable))["status"] == "FINISHED"
    assert leanix.starts == 1


def test_two_tasks_never_take_each_others_run(leanix: Any) -> None:
    ids = {TaskRunner(task_id=name, remembers=False).run(run_operator())["run_id"] for name in ("a", "b")}
    assert len(ids) == 2


@MEMORY
def test_changed_input_leaves_the_live_runs_of_other_tasks_alone(leanix: Any, remembers: bool) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    TaskRunner(task_id="other").begin(run_operator(deferrable=True))
    task = TaskRunner(remembers=remembers)
    task.begin(run_operator(deferrable=True))
    leanix.stuck_in = None
    task.run(run_operator(description="changed"))
    assert [run.status for run in leanix.runs] == ["IN_PROGRESS", "STOPPED", "FINISHED"]


@BOTH
def test_a_run_that_is_only_said_to_be_unknown_is_not_replaced(
    leanix: Any, sandbox: Any, deferrable: bool
) -> None:
    leanix.run_seconds = 0.3
    task = TaskRunner()
    task.begin(run_operator(deferrable=True))
    sandbox.faults.add("html", status=404, path="/status$")
    assert task.run(run_operator(deferrable=deferrable))["run_id"] == leanix.runs[0].id
    assert (leanix.starts, len(leanix.runs)) == (1, 1)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_run_that_the_service_no_longer_has_is_replaced(leanix: Any, status: int) -> None:
    leanix.unknown_run_status, leanix.stuck_in = status, "IN_PROGRESS"
    task = TaskRunner()
    task.begin(run_operator(deferrable=True))
    leanix.machine.runs.clear()
    leanix.machine.live.clear()
    leanix.stuck_in = None
    assert task.run(run_operator())["status"] == "FINISHED"


def test_a_run_that_may_not_be_read_is_not_replaced(leanix: Any) -> None:
    task = TaskRunner()
    task.begin(run_operator(deferrable=True))
    leanix.allowed = False
    with pytest.raises(PermissionDeniedError):
        task.run(run_operator())
    leanix.allowed = True
    assert task.run(run_operator())["run_id"] == leanix.runs[0].id
    assert leanix.starts == 1


@pytest.mark.parametrize(
    "error",
    [NotFoundError(404), PermissionDeniedError(403), RequestRejectedError(400)],
    ids=lambda e: e.status,
)
def test_the_list_confirms_or_corrects_that_a_run_is_unknown(error: ApiError) -> None:
    def unknown(run_id: str) -> str:
        raise error

    rows = [{"id": "other", "status": "FAILED"}, {"id": "r", "status": "FINISHED"}]
    hook: Any = SimpleNamespace(get_run_status=unknown, list_runs=lambda: rows)
    assert [submit._status_or_none(hook, run_id) for run_id in ("r", "nowhere")] == ["FINISHED", None]


def test_forgotten_run_is_replaced(leanix: Any) -> None:
    task = TaskRunner()
    task.begin(run_operator(deferrable=True))
    leanix.machine.runs.clear()
    leanix.machine.live.clear()
    assert task.run(run_operator())["status"] == "FINISHED"


def test_error_event_is_raised_by_the_task_as_it_was(leanix: Any, sandbox: Any) -> None:
    leanix.stuck_in = "PENDING"
    task = TaskRunner()
    operator = run_operator(deferrable=True)
    deferral = task.begin(operator)
    sandbox.faults.add("html", status=502, path="/status$", times=None)
    with pytest.raises(ProviderError, match="502"):
        task.resume(operator, deferral)
    sandbox.faults.clear()
    leanix.runs[0].stuck_in = None
    assert task.run(operator)["run_id"] == leanix.runs[0].id


@pytest.mark.parametrize("kind", [LeanIXRunOperator, LeanIXStartRunOperator])
def test_a_missing_store_is_logged_in_one_line_per_process(
    leanix: Any, kind: type, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    TaskRunner(remembers=False).run(kind(task_id="run", **OUTBOUND))
    assert (caplog.text + "".join(capsys.readouterr())).count("No task state store here") == 1


# The marker


def test_users_text_stays_in_front_of_the_marker_within_500_characters() -> None:
    marker = TaskRunner().submission().marker
    assert len(marker) <= 32
    assert submit.append_marker("Nightly", marker) == f"Nightly {marker}"
    assert submit.append_marker(None, marker) == marker
    long = submit.append_marker("x" * 500, marker)
    assert len(long) == 500
    assert long.startswith("xxx")
    assert long.endswith(f"… {marker}")


@pytest.mark.parametrize(
    ("status", "generation", "then"),
    [("FINISHED", 3, 3), ("IN_PROGRESS", 0, 0), ("CREATED", 1, 1), ("FAILED", 3, 4), ("STOPPED", 0, 1)],
)
def test_a_run_that_is_found_by_its_marker_decides_the_next_marker(
    status: str, generation: int, then: int
) -> None:
    submission = TaskRunner().submission()
    request = submission.marker.rpartition(".")[0]
    rows = [{"id": "r", "status": status, "description": f"Nightly {request}.{generation}"}]
    hook: Any = SimpleNamespace(list_runs=lambda: rows)
    found = submit._find_run_by_marker(hook, submission)
    assert found == (None if status in ("FAILED", "STOPPED") else ("r", status))
    assert submission.marker == f"{request}.{then}"


def test_a_run_that_the_service_does_not_start_is_an_error(leanix: Any, sandbox: Any) -> None:
    sandbox.faults.add("status", status=400, path="/start$", body={"errors": ["not today"]}, times=None)
    with pytest.raises(RequestRejectedError, match=r"does not start run \S+, which is CREATED") as caught:
        TaskRunner().run(run_operator())
    assert (caught.value.status, caught.value.code) == (400, "")


def test_started_run_with_the_latest_marker_is_selected() -> None:
    def row(run_id: str, status: str, mark: str) -> dict[str, str]:
        return {"id": run_id, "status": status, "description": f"text {mark}"}

    rows = [
        row("other", "FINISHED", "airflow:bb.0"),
        row("old", "FAILED", "airflow:aa.0"),
        row("idle", "CREATED", "airflow:aa.1"),
        row("live", "PENDING", "airflow:aa.1"),
        row("twin", "CREATED", "airflow:aa.1"),
        {"id": "none", "status": "PENDING"},
        row("odd", "PENDING", "airflow:aa.x"),
    ]
    assert submit.select_marked_run(rows, "airflow:aa.0") == (1, "live", "PENDING")
    assert submit.select_marked_run(rows[:2], "airflow:aa.0") == (0, "old", "FAILED")
    assert submit.select_marked_run(rows[:2], "airflow:aa.1") is None
    assert submit.select_marked_run([], "airflow:aa.0") is None


@pytest.mark.parametrize("run_id", [None, "", ["a"], "a\n2026 INFO done", "x" * 2000])
def test_a_run_of_this_task_whose_id_cannot_be_used_is_an_error(run_id: Any) -> None:
    """To leave it out would start a second run."""
    rows = [{"id": run_id, "status": "PENDING", "description": "text airflow:aa.1"}]
    with pytest.raises(ServerError, match="the list of runs has one whose id cannot be used"):
        submit.select_marked_run(rows, "airflow:aa.0")
    with pytest.raises(ServerError, match="the list of runs has one whose id cannot be used"):
        submit.live_run_ids(rows, "airflow:aa")


def test_markers_of_other_requests_and_earlier_generations_are_not_selected() -> None:
    def select(description: str, marker: str = "airflow:aa-1.2") -> Any:
        return submit.select_marked_run([{"id": 7, "status": None, "description": description}], marker)

    assert select("x airflow:aa-1.2") == (2, "7", "")
    assert select("x airflow:aa-1.10") == (10, "7", "")
    assert select("of airflow:aa-1.5, once more airflow:aa-1.7") == (7, "7", "")
    assert select("airflow:aa-1 once more airflow:aa-1.2") == (2, "7", "")
    assert select("x airflow:aa-1airflow:aa-1.2") is None
    others = ("x airflow:aa-1.1", "x airflow:aa-2.2", "airflow:aa-1.2 x", "airflow:aa-1airflow:aa-1.2")
    for other in ("", *others):
        assert select(other) is None


def test_live_runs_of_a_task_are_found_by_its_marker() -> None:
    statuses = ("SEQUENTIALIZED", "PENDING", "IN_PROGRESS", "CREATED", "FINISHED", "FAILED", "STOPPED")
    rows: list[dict[str, Any]] = [
        {"id": number, "status": status, "description": "x airflow:aa-1.0"}
        for number, status in enumerate(statuses)
    ]
    rows += [{"id": 9, "status": "PENDING", "description": "airflow:bb"}, {"id": 10, "status": "PENDING"}]
    assert submit.live_run_ids(rows, "airflow:aa-") == ["0", "1", "2"]


def test_a_text_is_cut_only_where_the_marker_needs_the_room() -> None:
    assert submit.append_marker("x" * 494, "12345") == "x" * 494 + " 12345"
    assert submit.append_marker("x" * 495, "12345") == "x" * 493 + "… 12345"
    assert submit.append_marker("  x  ", "12345") == "x 12345"


WANTED = "check that the workspace of the API token has the"
KEY = "report/landscape/1.0.0/outbound/partial"


@pytest.mark.parametrize(
    ("said", "workspace", "group", "message"),
    [
        ("", None, None, f"refused; {WANTED} processor configuration {KEY}"),
        ("", None, "nightly", f"refused; {WANTED} execution group 'nightly'"),
        (
            "It is not there.",
            "w1",
            None,
            f"It is not there; {WANTED} processor configuration {KEY}, and that lxWorkspace w1 is its id",
        ),
    ],
)
@pytest.mark.parametrize("kind", [NotFoundError, PermissionDeniedError, RequestRejectedError])
def test_a_refused_create_says_what_the_service_said_and_what_to_check(
    kind: type[ApiError], said: str, workspace: str | None, group: str | None, message: str
) -> None:
    asked: list[Any] = []

    def create_run(ldif: Any, *, execution_group: Any) -> str:
        asked.append((ldif, execution_group))
        raise kind(400, "", said)

    ldif = prepare(make_header(**OUTBOUND, lx_workspace=workspace), None)
    with pytest.raises(kind) as caught:
        submit._send_create(SimpleNamespace(create_run=create_run), ldif, group)  # type: ignore[arg-type]
    assert asked == [(ldif, group)]
    assert caught.value.message == message
