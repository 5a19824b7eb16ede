"""LeanIX tasks: the same result in sync and in deferred mode, and the truth about how a run ended."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from airflow_provider.core import polling
from airflow_provider.core.http import reply, retry, sync_transport
from airflow_provider.core.http.retry import backoff_seconds as real_wait
from airflow_provider.errors import (
    ApiError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    RunFailedError,
)
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif import upload
from airflow_provider.leanix.operators import (
    LeanIXFetchResultsOperator,
    LeanIXRunOperator,
    LeanIXStartRunOperator,
)
from airflow_provider.leanix.runs import wait
from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID, tutorial_items
from tests.support.airflow_names import TaskDeferred
from tests.support.budgets import forget_tokens
from tests.support.task_runner import TaskRunner, first_event, rebuild_trigger
from tests.support.wait import until

from .conftest import INBOUND, OUTBOUND


class Hours:
    """A clock that moves on while somebody sleeps, or waits for an answer that never comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        self.perform = sync_transport.Transport._perform
        monkeypatch.setattr(polling, "clock", self)
        monkeypatch.setattr(wait, "clock", self)
        monkeypatch.setattr(sync_transport, "clock", self)
        monkeypatch.setattr(wait, "wait_for", partial(polling.wait_for, sleep=self.sleep))
        monkeypatch.setattr(sync_transport.Transport.__init__, "__defaults__", (self.sleep,))
        monkeypatch.setattr(retry, "backoff_seconds", real_wait)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def unanswered(self, sender: sync_transport.Transport, request: Any) -> Any:
        if not request.url.endswith(("/status", "/stop")):
            return self.perform(sender, request)
        self.sleep(sender._timeout()[1])
        return reply.NoResponse(sent=True, reason="the read timed out")


BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def run_operator(**arguments: Any) -> LeanIXRunOperator:
    return LeanIXRunOperator(**{"task_id": "run", "poll_interval": 0.02, "timeout": 20, **arguments})


@BOTH
def test_outbound_run_stores_the_ldif_byte_for_byte(
    leanix: Any, task: TaskRunner, tmp_path: Any, deferrable: bool
) -> None:
    leanix.queue_seconds = leanix.run_seconds = 0.05
    target = tmp_path / "landscape.json"
    result = task.run(run_operator(**OUTBOUND, output_path=str(target), deferrable=deferrable))
    manifest = result.pop("results")
    assert result == {
        "run_id": leanix.runs[0].id,
        "status": "FINISHED",
        "processed": 65,
        "errors": 0,
        "warnings": 0,
    }
    assert target.read_bytes() == leanix.runs[0].result
    assert (manifest["format"], manifest["rows"]) == ("ldif", 65)
    assert manifest["uri"] == str(target)
    assert manifest["bytes"] == target.stat().st_size


@BOTH
def test_inbound_run_writes_the_items_of_the_tutorial(
    leanix: Any, task: TaskRunner, deferrable: bool
) -> None:
    operator = run_operator(**INBOUND, content=tutorial_items(), deferrable=deferrable)
    result = task.run(operator)
    assert (result["processed"], result["errors"], result["results"]) == (2, 0, None)
    assert leanix.fact_sheets["28db27b1-fc55-4e44"].relations == ["b6992b1d-4e4d", "cd4fab6c-4336"]


@BOTH
def test_items_can_be_stored_one_a_line(
    leanix: Any, task: TaskRunner, tmp_path: Any, deferrable: bool
) -> None:
    target = tmp_path / "applications.jsonl"
    arguments = {"output_path": str(target), "output_format": "jsonl", "deferrable": deferrable}
    manifest = task.run(run_operator(**OUTBOUND, **arguments))["results"]
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert rows == json.loads(leanix.runs[0].result)["content"]
    assert (manifest["format"], manifest["rows"]) == ("jsonl", 65)


def test_result_is_the_same_in_both_modes_and_small(leanix: Any, tmp_path: Any) -> None:
    results = []
    for deferrable in (False, True):
        operator = run_operator(**OUTBOUND, output_path=str(tmp_path / "out.json"), deferrable=deferrable)
        result = TaskRunner().run(operator)
        result["run_id"] = result["results"]["seconds"] = None
        results.append(result)
    assert results[0] == results[1]
    assert len(json.dumps(results[0])) < 1000


def test_dag_test_resumes_without_the_deferrals_arguments(leanix: Any) -> None:
    task = TaskRunner(forgets_arguments=True)
    operator = run_operator(**INBOUND, content=tutorial_items(), deferrable=True)
    assert task.run(operator)["processed"] == 2
    task.clear()
    assert task.run(operator)["run_id"] == leanix.runs[1].id


def test_wanted_fields_reach_the_service(leanix: Any, task: TaskRunner) -> None:
    operator = run_operator(
        **{**OUTBOUND, "processing_mode": "PARTIAL"},
        lx_workspace=WORKSPACE_ID,
        description="Nightly",
        custom_fields={"site": "north"},
    )
    task.run(operator)
    header = leanix.runs[0].header
    assert header["processingMode"] == "partial"
    assert header["lxWorkspace"] == WORKSPACE_ID
    assert header["customFields"] == {"site": "north"}
    assert header["description"].startswith("Nightly airflow:")


def test_dry_run_changes_nothing(leanix: Any, task: TaskRunner) -> None:
    assert task.run(run_operator(**INBOUND, content=tutorial_items(), test_run=True))["status"] == "FINISHED"
    assert leanix.runs[0].test
    assert "b6992b1d-4e4d" not in leanix.fact_sheets


@BOTH
@pytest.mark.parametrize("ending", ["FAILED", "STOPPED"])
def test_run_that_breaks_fails_the_task(leanix: Any, task: TaskRunner, ending: str, deferrable: bool) -> None:
    leanix.ending = ending
    with pytest.raises(RunFailedError) as caught:
        task.run(run_operator(**OUTBOUND, fail_on="failed", deferrable=deferrable))
    assert (caught.value.run_id, caught.value.status) == (leanix.runs[0].id, ending)


@BOTH
def test_finished_run_with_failed_items_fails_the_task_and_names_them(
    leanix: Any, task: TaskRunner, tmp_path: Any, deferrable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    leanix.bad_items = 1
    operator = run_operator(
        **INBOUND, content=tutorial_items(), output_path=str(tmp_path / "out.json"), deferrable=deferrable
    )
    with pytest.raises(RunFailedError, match=r"item b6992b1d-4e4d.*The item was refused") as caught:
        task.run(operator)
    assert "1 errors" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fail_on", "max_errors", "bad", "doubtful", "fails"),
    [
        ("failed", 0, 2, 0, False),
        ("errors", 0, 0, 2, False),
        ("errors", 1, 1, 0, False),
        ("errors", 1, 2, 0, True),
        ("warnings", 0, 0, 1, True),
        ("warnings", 5, 2, 0, False),
    ],
)
def test_fail_on_decides(
    leanix: Any, task: TaskRunner, fail_on: str, max_errors: int, bad: int, doubtful: int, fails: bool
) -> None:
    leanix.bad_items, leanix.doubtful_items = bad, doubtful
    operator = run_operator(**INBOUND, content=tutorial_items(), fail_on=fail_on, max_errors=max_errors)
    if fails:
        with pytest.raises(RunFailedError):
            task.run(operator)
    else:
        result = task.run(operator)
        assert (result["errors"], result["warnings"]) == (bad, doubtful)


def test_run_that_processed_nothing_fails_unless_allowed(leanix: Any) -> None:
    leanix.processes_nothing = True
    content = tutorial_items()
    with pytest.raises(RunFailedError, match="nothing of the 2 items"):
        TaskRunner().run(run_operator(**INBOUND, content=content))
    assert (
        TaskRunner().run(run_operator(**INBOUND, content=content, allow_unprocessed=True))["processed"] == 0
    )


@pytest.mark.parametrize("content", [None, [], tutorial_items()], ids=["none", "empty", "items"])
def test_the_log_says_how_many_items_a_run_gets(
    leanix: Any, capsys: pytest.CaptureFixture[str], content: Any
) -> None:
    TaskRunner().run(run_operator(**INBOUND, content=content))
    logged = capsys.readouterr().out
    assert f"of cmdb/campus/1.0.0/inbound/partial with {len(content or [])} items" in logged
    assert ("The content has no items" in logged) is not bool(content)


@BOTH
def test_deadline_stops_the_run_and_fails_the_task(
    leanix: Any, task: TaskRunner, sandbox: Any, deferrable: bool
) -> None:
    leanix.stuck_in = "PENDING"
    with pytest.raises(RunFailedError, match="deadline; it was stopped"):
        task.run(run_operator(**OUTBOUND, timeout=0.3, deferrable=deferrable))
    assert leanix.runs[0].status == "STOPPED"
    assert sandbox.counters.total("/stop") == 1


@BOTH
def test_a_run_that_goes_on_after_its_stop_is_not_called_stopped(
    leanix: Any, task: TaskRunner, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    monkeypatch.setattr(wait, "_STOP_SECONDS", 0.2)
    leanix.stuck_in, leanix.stop_seconds = "PENDING", float("inf")
    with pytest.raises(
        RunFailedError, match="ended as PENDING: .* the stop was accepted, but .* was PENDING"
    ):
        task.run(run_operator(**OUTBOUND, timeout=0.3, deferrable=deferrable))
    leanix.runs[0].stuck_in = None
    assert task.run(run_operator(**OUTBOUND, deferrable=deferrable))["run_id"] == leanix.runs[0].id
    assert leanix.starts == 1


@BOTH
def test_deadline_stops_the_run_also_when_its_status_cannot_be_read(
    leanix: Any, task: TaskRunner, sandbox: Any, deferrable: bool
) -> None:
    leanix.stuck_in = "PENDING"
    sandbox.faults.add("html", status=502, path="/status$", times=None)
    with pytest.raises(RunFailedError, match="STOPPED: it was UNKNOWN at the deadline; it was stopped"):
        task.run(run_operator(**OUTBOUND, timeout=0.02, deferrable=deferrable))
    assert leanix.runs[0].status == "STOPPED"


@pytest.mark.parametrize("answered", ["never", "502"])
def test_waiting_on_a_worker_ends_seconds_after_the_deadline_though_the_service_is_down(
    leanix: Any, task: TaskRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch, answered: str
) -> None:
    now = Hours(monkeypatch)
    leanix.stuck_in = "IN_PROGRESS"
    began, options = now(), {"service": "leanix", "path": "/(status|stop)$", "times": None}
    if answered == "502":
        sandbox.faults.add("html", status=502, **options)
    else:
        monkeypatch.setattr(
            sync_transport.Transport, "_perform", lambda sender, request: now.unanswered(sender, request)
        )
    with pytest.raises(RunFailedError, match="deadline; it could not be stopped"):
        task.run(run_operator(**OUTBOUND, timeout=40, poll_interval=5, deferrable=False))
    assert 40 <= now() - began < 50


@BOTH
def test_run_that_ended_at_the_deadline_is_taken(
    leanix: Any, task: TaskRunner, sandbox: Any, deferrable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:

    leanix.stuck_in = "PENDING"
    real = wait.stop_at_deadline

    def late(hook: Any, run_id: str) -> str:
        leanix.runs[0].stuck_in = None
        return real(hook, run_id)

    monkeypatch.setattr(wait, "stop_at_deadline", late)
    assert task.run(run_operator(**OUTBOUND, timeout=0.3, deferrable=deferrable))["status"] == "FINISHED"
    assert sandbox.counters.total("/stop") == 0


def test_a_deadline_holds_in_a_fresh_process_that_gets_no_token(
    leanix: Any, task: TaskRunner, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    operator = run_operator(**OUTBOUND, timeout=0.1, deferrable=True)
    deferral = task.begin(operator)
    event = asyncio.run(first_event(rebuild_trigger(deferral.trigger)))
    forget_tokens()
    now = Hours(monkeypatch)
    began = now()
    sandbox.faults.add("html", status=502, path="/oauth2/token$", times=None)
    with pytest.raises(RunFailedError, match="it was UNKNOWN at the deadline; it could not be stopped"):
        operator.execute_complete(task.context(), event=event, **deferral.kwargs)
    assert now() - began < 10


def test_a_run_that_ends_while_it_is_to_be_stopped_is_taken(
    leanix: Any, task: TaskRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    real = LeanIXHook.stop_run

    def late(hook: LeanIXHook, run_id: str) -> bool:
        leanix.runs[0].stuck_in = None
        return real(hook, run_id)

    monkeypatch.setattr(LeanIXHook, "stop_run", late)
    assert task.run(run_operator(**OUTBOUND, timeout=0.1))["status"] == "FINISHED"


@BOTH
def test_a_failed_run_says_where_to_look(leanix: Any, task: TaskRunner, deferrable: bool) -> None:
    leanix.ending = "FAILED"
    with pytest.raises(RunFailedError, match=r"sync log: http://.*/admin/synclog$"):
        task.run(run_operator(**OUTBOUND, deferrable=deferrable))


@BOTH
def test_a_run_that_cannot_be_watched_is_said_to_go_on(
    leanix: Any,
    task: TaskRunner,
    sandbox: Any,
    deferrable: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    sandbox.faults.add("status", status=403, path="/status$", times=None)
    with pytest.raises(PermissionDeniedError):
        task.run(run_operator(**OUTBOUND, deferrable=deferrable))
    assert "it may still be live, and a retry resumes it" in caplog.text + "".join(capsys.readouterr())


def test_results_that_the_storage_refuses_are_not_blamed_on_the_credentials(
    leanix: Any, task: TaskRunner, sandbox: Any, tmp_path: Any
) -> None:
    sandbox.faults.add("status", status=403, service="storage", times=None)
    with pytest.raises(PermissionDeniedError, match="has it expired"):
        task.run(run_operator(**OUTBOUND, output_path=str(tmp_path / "o.json")))


def test_what_a_run_complains_of_is_told_without_secrets(leanix: Any, task: TaskRunner) -> None:
    content = [{"type": "ITComponent", "id": leanix.api_token, "data": {}}]
    with pytest.raises(RunFailedError, match=r"item \*\*\*") as caught:
        task.run(run_operator(**INBOUND, content=content))
    assert leanix.api_token not in str(caught.value)


@BOTH
def test_unknown_status_is_waited_on_and_logged_once(
    leanix: Any,
    task: TaskRunner,
    sandbox: Any,
    deferrable: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leanix.run_seconds, leanix.shown_status = 1e6, "REINDEXING"

    def finish() -> None:
        until(lambda: sandbox.counters.total("/status") > 3)
        sandbox.clock.advance(1e6)

    with ThreadPoolExecutor(1) as pool:
        finished = pool.submit(finish)
        assert task.run(run_operator(**OUTBOUND, deferrable=deferrable))["status"] == "FINISHED"
        finished.result()
    logged = caplog.text + "".join(capsys.readouterr())
    assert logged.count("unknown status REINDEXING") == 1


@BOTH
def test_token_that_ends_while_waiting_is_renewed(
    leanix: Any, task: TaskRunner, sandbox: Any, deferrable: bool
) -> None:
    leanix.run_seconds = 0.3
    operator = run_operator(**OUTBOUND, deferrable=deferrable)
    sandbox.faults.add("status", status=401, path="/status$", after=1)
    assert task.run(operator)["status"] == "FINISHED"
    assert sandbox.counters.tokens_issued["leanix"] == 2
    assert len(leanix.runs) == 1


@BOTH
@pytest.mark.parametrize("kind", ["status", "reset_before", "html", "truncate"])
def test_bad_polls_are_sat_out(
    leanix: Any, task: TaskRunner, sandbox: Any, deferrable: bool, kind: str
) -> None:
    leanix.run_seconds = 0.1
    options = {"status": 429, "headers": {"Retry-After": "0"}} if kind == "status" else {}
    fault = sandbox.faults.add(kind, path="/status$", times=3, **options)
    assert task.run(run_operator(**OUTBOUND, deferrable=deferrable))["status"] == "FINISHED"
    assert fault.hits == 3


@BOTH
def test_403_while_waiting_ends_at_once(
    leanix: Any, task: TaskRunner, sandbox: Any, deferrable: bool
) -> None:
    leanix.run_seconds = 60
    fault = sandbox.faults.add("status", status=403, path="/status$", times=None)
    with pytest.raises(PermissionDeniedError):
        task.run(run_operator(**OUTBOUND, deferrable=deferrable))
    assert fault.hits == 1


def test_unknown_configuration_and_wrong_workspace_are_refused(leanix: Any, task: TaskRunner) -> None:
    with pytest.raises(NotFoundError, match="No processor configuration found"):
        task.run(run_operator(**{**OUTBOUND, "connector_version": "9.9.9"}))
    with pytest.raises(InputError, match=f"lxWorkspace.*is for workspace {WORKSPACE_ID}"):
        task.run(run_operator(**OUTBOUND, lx_workspace="another"))
    assert leanix.runs == []


@pytest.mark.parametrize("known", [True, False])
def test_a_workspace_that_cannot_be_compared_is_a_warning(
    leanix: Any, task: TaskRunner, capsys: pytest.CaptureFixture[str], monkeypatch: Any, known: bool
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_LEANIX_DEFAULT"])
    connection["extra"] = {"workspace_id": WORKSPACE_ID if known else ""}
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", json.dumps(connection))
    leanix.token_claims = False
    forget_tokens()
    task.run(run_operator(**OUTBOUND, lx_workspace=WORKSPACE_ID))
    assert capsys.readouterr().out.count("cannot be compared: the API token") == (not known)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refused_create_says_what_to_check(leanix: Any, task: TaskRunner, status: int) -> None:
    leanix.unknown_configuration_status = status
    wanted = (
        "check that the workspace of the API token has the processor configuration report/landscape/9.9.9"
    )
    with pytest.raises(ApiError, match=wanted):
        task.run(run_operator(**{**OUTBOUND, "connector_version": "9.9.9"}))
    leanix.token_claims = False
    leanix.wrong_workspace_status = status
    forget_tokens()
    with pytest.raises((ApiError, InputError), match="lxWorkspace"):
        task.run(run_operator(**OUTBOUND, lx_workspace="another"))
    with pytest.raises(ApiError, match="has the execution group 'nightly'"):
        task.run(run_operator(**OUTBOUND, execution_group="nightly"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"connector_id": ""}, "connectorId"),
        ({"processing_direction": "sideways"}, "processingDirection"),
        ({"processing_mode": "full"}, "must be partial in an outbound run"),
        ({"content": tutorial_items()}, "takes no content"),
        ({"fail_on": "never"}, "fail_on"),
        ({"output_path": ""}, "output_path"),
        ({"output_path": "/tmp/"}, "output_path"),
        ({"output_path": "o.xml", "output_format": "xml"}, "output_format"),
        ({"timeout": 0}, "timeout"),
        ({**INBOUND, "content": [{"type": "A", "data": {}}]}, "item 1: 'id'"),
        ({**INBOUND, "content": "/no/such/file.jsonl"}, "no file"),
        ({**INBOUND, "content": "items.xlsx"}, "must end in"),
        ({**INBOUND, "processing_mode": "full"}, "fewer than 1; a full run deletes"),
        ({**INBOUND, "content": tutorial_items(), "min_content": 3}, "2 items, fewer than 3"),
    ],
)
def test_bad_input_is_named_before_any_request(
    leanix: Any, sandbox: Any, task: TaskRunner, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        task.run(run_operator(**{**OUTBOUND, **change}))
    assert sandbox.counters.total() == 0


def test_submitting_takes_three_requests(leanix: Any, sandbox: Any, task: TaskRunner) -> None:
    deferral = task.begin(run_operator(**OUTBOUND, deferrable=True))
    assert isinstance(deferral, TaskDeferred)
    assert sandbox.counters.total() == 3


def test_start_returns_the_id_and_results_are_fetched_later(
    leanix: Any, task: TaskRunner, tmp_path: Any
) -> None:
    run_id = task.run(LeanIXStartRunOperator(task_id="start", **OUTBOUND))
    target = tmp_path / "out.json"
    fetch = LeanIXFetchResultsOperator(task_id="fetch", run_id=run_id, output_path=str(target))
    manifest = TaskRunner(task_id="fetch").run(fetch)
    assert manifest["bytes"] == target.stat().st_size == len(leanix.runs[0].result)


def test_results_of_a_run_that_is_not_finished_are_refused(
    leanix: Any, task: TaskRunner, tmp_path: Any
) -> None:
    leanix.stuck_in = "IN_PROGRESS"
    run_id = task.run(LeanIXStartRunOperator(task_id="start", **OUTBOUND))
    fetch = LeanIXFetchResultsOperator(task_id="fetch", run_id=run_id, output_path=str(tmp_path / "o.json"))
    with pytest.raises(RunFailedError, match="IN_PROGRESS"):
        TaskRunner(task_id="fetch").run(fetch)
    empty = LeanIXFetchResultsOperator(task_id="fetch", run_id=run_id, output_path="")
    with pytest.raises(InputError, match="output_path"):
        TaskRunner(task_id="fetch").run(empty)


def test_killed_task_stops_its_run_once(leanix: Any, sandbox: Any, task: TaskRunner) -> None:
    leanix.stuck_in = "PENDING"
    operator = run_operator(**OUTBOUND, deferrable=True)
    operator.on_kill()
    task.begin(operator)
    operator.on_kill()
    assert leanix.runs[0].status == "STOPPED"
    assert sandbox.counters.total("/stop") == 1


def test_service_that_refuses_to_start_is_an_error(leanix: Any, sandbox: Any, task: TaskRunner) -> None:
    sandbox.faults.add("status", status=400, path="/start$", body={"errors": ["not today"]})
    with pytest.raises(RequestRejectedError, match="does not start run"):
        task.run(run_operator(**OUTBOUND))


def test_content_may_be_a_file(leanix: Any, tmp_path: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    items = tutorial_items()
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, items)))
    whole = {"connectorType": "cmdb", "lxVersion": "1.0.0", "content": items}
    (tmp_path / "b.json").write_text(json.dumps(whole))
    rows = [{**item, "data": json.dumps(item["data"])} for item in items]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "c.parquet")
    for name in ("a.jsonl", "b.json", "c.parquet"):
        assert TaskRunner().run(run_operator(**INBOUND, content=str(tmp_path / name)))["processed"] == 2
    assert leanix.runs[0].content == leanix.runs[1].content == leanix.runs[2].content == items


def test_points_of_a_metric_may_have_the_same_id(leanix: Any) -> None:
    points = [{"type": "ITComponent", "id": "m", "data": {"name": f"n{number}"}} for number in range(3)]
    with pytest.raises(InputError, match="the same type and id"):
        TaskRunner().run(run_operator(**INBOUND, content=points))
    assert TaskRunner().run(run_operator(**INBOUND, content=points, allow_duplicates=True))["processed"] == 3
    assert leanix.runs[0].content == points


def test_a_table_with_columns_of_its_own_needs_no_reshaping(
    leanix: Any, task: TaskRunner, tmp_path: Any
) -> None:
    path = tmp_path / "components.csv"
    path.write_text("Schl\u00fcssel;name;note\n7;Gatsby;x\n8;Hugo;\n", encoding="cp1252")
    rows = {"columns": {"Schl\u00fcssel": "id"}, "ignore": ["note"], "encoding": "cp1252", "min_rows": "2"}
    with pytest.raises(InputError, match="'type' is missing"):
        task.run(run_operator(**INBOUND, content=str(path), **rows))
    path.write_text("Schl\u00fcssel;type;name;note\n7;ITComponent;Gatsby;x\n", encoding="cp1252")
    assert (
        TaskRunner().run(run_operator(**INBOUND, content=str(path), **{**rows, "min_rows": 1}))["processed"]
        == 1
    )
    assert leanix.runs[0].content == [{"type": "ITComponent", "id": "7", "data": {"name": "Gatsby"}}]


@BOTH
def test_a_task_that_release_0_1_0_has_deferred_resumes(
    leanix: Any, task: TaskRunner, tmp_path: Any, deferrable: bool
) -> None:
    content: Any = tutorial_items() if deferrable else str(tmp_path / "gone.jsonl")
    operator = run_operator(**INBOUND, content=tutorial_items(), processing_mode="full", deferrable=True)
    deferral = task.begin(operator)
    deferral.kwargs.pop("facts")
    operator.content = content
    assert task.resume(operator, deferral)["processed"] == 2


@pytest.mark.parametrize(
    ("ldif", "said"),
    [
        ({"contents": []}, "'content' is meant"),
        (
            {"connectorId": "other", "content": []},
            "'connectorId' is 'other', but the task's argument is 'campus'",
        ),
        ("text", "no list 'content'"),
        ({"content": [1]}, "no object"),
    ],
)
def test_ldif_file_that_is_not_what_the_task_says_is_refused(
    leanix: Any, sandbox: Any, task: TaskRunner, tmp_path: Any, ldif: Any, said: str
) -> None:
    path = tmp_path / "ldif.json"
    path.write_text(json.dumps(ldif))
    with pytest.raises(InputError, match=said):
        task.run(run_operator(**INBOUND, content=str(path)))
    assert sandbox.counters.total() == 0


def test_constructors_only_assign(leanix: Any, sandbox: Any) -> None:
    operator = run_operator(**{**OUTBOUND, "connector_id": "{{ nothing }}"}, content="{{ var.value.none }}")
    assert operator.content == "{{ var.value.none }}"
    assert set(operator.template_fields) <= set(vars(operator))
    assert sandbox.counters.total() == 0


@BOTH
def test_no_secret_is_in_any_log_error_result_or_trigger(
    leanix: Any,
    sandbox: Any,
    tmp_path: Any,
    deferrable: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from urllib.parse import quote, quote_plus

    secret = leanix.api_token
    caplog.set_level("DEBUG")
    seen: list[str] = []
    sandbox.faults.add("status", status=500, body=f"failed with {secret} {quote(secret)}", times=1, after=1)
    operator = run_operator(**OUTBOUND, output_path=str(tmp_path / "o.json"), deferrable=deferrable)
    task = TaskRunner()
    try:
        deferral = task.begin(operator)
        if isinstance(deferral, TaskDeferred):
            seen += [repr(deferral.trigger.serialize()), repr(deferral.kwargs)]
            deferral = task.resume(operator, deferral)
        seen.append(repr(deferral))
    except ProviderError as error:
        seen.append(f"{error} {error!r}")
    sandbox.faults.add("status", status=400, body=f"bad {quote_plus(secret)} sig=abcdef", times=None)
    with pytest.raises(ProviderError) as caught:
        TaskRunner().run(run_operator(**{**OUTBOUND, "description": "again"}, deferrable=deferrable))
    seen += [f"{caught.value} {caught.value!r}", repr(task.store), caplog.text, *capsys.readouterr()]
    tokens = list(leanix._tokens)
    for text in seen:
        for hidden in (secret, quote(secret), quote_plus(secret), quote(secret, safe=""), *tokens, "sig=abc"):
            assert hidden not in text
        assert "sig=" not in text.replace("sig=***", "")


def test_large_content_goes_through_the_storage_without_credentials(
    leanix: Any, sandbox: Any, task: TaskRunner, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeanIXHook, "upload_above", 10_000)
    path = tmp_path / "items.jsonl"
    rows = [{"type": "ITComponent", "id": f"i{n}", "data": {"name": f"n{n}"}} for n in range(500)]
    path.write_text("\n".join(map(json.dumps, rows)))
    lost = sandbox.faults.add("reset_after", service="storage", method="PUT")
    assert task.run(run_operator(**INBOUND, content=str(path)))["processed"] == 500
    assert lost.hits == 1
    assert leanix.runs[0].content == rows
    assert leanix.runs[0].description.startswith("airflow:")
    assert sandbox.counters.requests["leanix POST /services/integration-api/v1/synchronizationRuns"] == 0


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "in-blocks"])
def test_signature_of_an_upload_link_is_in_no_log_error_or_memory(
    leanix: Any,
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from urllib.parse import quote

    signature = "Zm9v+bar/c2lnbmF0dXJl/MDEyMzQ1Njc4OQ=="
    link = f"{sandbox.leanix.around.storage_origin}/leanix/blobs/b?sp=w&sig={quote(signature, safe='')}"
    said = f"the input {link} ({signature}) cannot be fetched"
    caplog.set_level("DEBUG")
    monkeypatch.setattr(LeanIXHook, "upload_above", 0)
    monkeypatch.setattr(upload, "MAX_SINGLE_PUT_BYTES", 10**9 if whole else 0)
    sandbox.faults.add("status", path="storages/azure$", status=200, body={"SAS": link}, times=None)
    sandbox.faults.add("status", service="storage", status=500, body=said, times=1)
    sandbox.faults.add("status", service="storage", status=201, times=None)
    sandbox.faults.add("status", path="withUrlInput", status=422, body={"errors": [said]}, times=None)
    task = TaskRunner()
    with pytest.raises(RequestRejectedError, match="cannot be fetched") as caught:
        task.run(run_operator(**INBOUND, content=tutorial_items()))
    everything = [f"{caught.value} {caught.value!r}", repr(task.store), caplog.text, *capsys.readouterr()]
    for text in everything:
        assert signature not in text
        assert quote(signature, safe="") not in text
        assert signature[:12] not in text


def test_very_large_content_goes_up_in_blocks_and_only_a_lost_one_is_sent_again(
    leanix: Any, sandbox: Any, task: TaskRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeanIXHook, "upload_above", 10_000)
    monkeypatch.setattr(upload, "MAX_SINGLE_PUT_BYTES", 10_000)
    monkeypatch.setattr(upload, "BLOCK_BYTES", 7_001)
    rows = [{"type": "ITComponent", "id": f"i{n}", "data": {"name": f"n{n}"}} for n in range(500)]
    lost = sandbox.faults.add("reset_after", service="storage", method="PUT", after=1, times=2)
    assert task.run(run_operator(**INBOUND, content=rows))["processed"] == 500
    assert leanix.runs[0].content == rows
    length = len(next(iter(leanix.storage.blobs.values())).data)
    assert sandbox.counters.total("PUT") == -(-length // 7_001) + 1 + lost.hits


def test_lost_answer_to_a_create_from_the_storage_starts_one_run(
    leanix: Any, sandbox: Any, task: TaskRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeanIXHook, "upload_above", 0)
    sandbox.faults.add("reset_after", path="withUrlInput", method="POST")
    assert task.run(run_operator(**INBOUND, content=tutorial_items()))["processed"] == 2
    assert (leanix.starts, len(leanix.runs)) == (1, 1)


def test_full_run_that_shrank_too_much_is_refused(leanix: Any, sandbox: Any) -> None:
    from airflow.sdk import Asset

    from tests.support.state_store import FakeAssetStateStores

    asset = Asset("landscape")
    stores = FakeAssetStateStores()

    def run(count: int, **more: Any) -> Any:
        content = [{"type": "ITComponent", "id": f"i{n}", "data": {"name": "n"}} for n in range(count)]
        arguments = {**INBOUND, "processing_mode": "full", "content": content, "outlets": [asset], **more}
        task = TaskRunner()
        task.extra_context = {"asset_state_store": stores}
        return task.run(run_operator(**arguments))

    run(10, deferrable=True)
    run(5)
    with pytest.raises(InputError, match="has 2 items, the last full run had 5.*1 or None accepts any"):
        run(2)
    assert run(2, max_shrink=None)["processed"] == 2
    assert run(1)["processed"] == 1
