"""Actions: IoTStudioInvokeActionOperator and its trigger, over TCP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG

from airflow_provider.core import polling
from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    RequestRejectedError,
    RunFailedError,
    ServerError,
)
from airflow_provider.iotstudio import actions
from airflow_provider.iotstudio.actions import done_query
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.operators import IoTStudioInvokeActionOperator
from airflow_provider.iotstudio.triggers import IoTStudioActionTrigger
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.records import Entry
from airflow_provider.sandbox.server import Sandbox
from tests.support.airflow_names import TaskDeferred
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner

from .conftest import THING

POST = "iotstudio POST /spaces/{space}/things/{thing}/actions/{name}"
ACTIONS = "iotstudio GET /spaces/{space}/things/{thing}/actions/{name}"


@pytest.fixture(autouse=True)
def without_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "SEARCH_DELAYS", (0.0, 0.0))


@pytest.fixture
def wait_on_the_sandbox(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Advance the sandbox's clock instead of waiting."""
    monkeypatch.setattr(polling, "clock", sandbox.clock.now)
    original = polling.wait_for

    def wait_for(*args: Any, **options: Any) -> Any:
        return original(*args, **options, sleep=sandbox.clock.advance)

    monkeypatch.setattr("airflow_provider.iotstudio.operators.wait_for", wait_for)
    monkeypatch.setattr("airflow_provider.iotstudio.operators.clock", sandbox.clock.now)


def operator(**arguments: Any) -> IoTStudioInvokeActionOperator:
    wanted = {"thing_id": THING, "action": "updateFirmware", "input": "v2.0.0", "deferrable": False}
    return IoTStudioInvokeActionOperator(task_id="invoke", **{**wanted, **arguments})


def context(store: FakeStateStore | None = None, try_number: int = 1, **more: Any) -> Any:
    ti = SimpleNamespace(try_number=try_number, dag_id="d", task_id="invoke", run_id="r", map_index=-1)
    return {"ti": ti, "task_state_store": store, **more}


def requested(service: IoTStudioService) -> list[Entry]:
    return service.space.things[THING].actions


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_an_action_is_requested_and_waited_for(service: IoTStudioService) -> None:
    service.device_seconds = 30
    result = operator().execute(context(FakeStateStore()))
    assert result == {"action_id": requested(service)[0].uid, "status": "completed", "output": {"ok": True}}
    assert requested(service)[0].payload == {"input": "v2.0.0"}


def test_without_waiting_the_request_is_enough(service: IoTStudioService, sandbox: Sandbox) -> None:
    result = operator(wait=False).execute(context(FakeStateStore()))
    assert result == {"action_id": requested(service)[0].uid, "status": "pending", "output": None}


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_failure_status_fails_the_task_and_a_retry_requests_the_action_again(
    service: IoTStudioService,
) -> None:
    service.device_answers = {"updateFirmware": ("Failed", "no space left")}
    store = FakeStateStore()
    with pytest.raises(RunFailedError, match="no space left") as caught:
        operator().execute(context(store))
    assert caught.value.status == "Failed"
    service.device_answers = {}
    assert operator().execute(context(store, 2))["status"] == "completed"
    assert len(requested(service)) == 2


@pytest.mark.usefixtures("wait_on_the_sandbox")
@pytest.mark.parametrize("remembers", [True, False], ids=["with-store", "without"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_each_retry_after_a_failure_requests_the_action_until_it_is_done(
    service: IoTStudioService, remembers: bool, deferrable: bool
) -> None:
    task = TaskRunner(remembers=remembers)
    task.extra_context = {"dag_run": SimpleNamespace(start_date=datetime.now(UTC))}
    arguments = {"deferrable": deferrable, "poll_interval": 0.02}
    service.device_answers, service.device_seconds = {"updateFirmware": ("failed", "busy")}, 0
    for _ in range(2):
        with pytest.raises(RunFailedError, match="busy"):
            task.run(operator(**arguments))
    service.device_answers = {}
    assert task.run(operator(**arguments))["status"] == "completed"
    assert [entry.status for entry in requested(service)] == ["failed", "failed", "completed"]


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_retry_after_the_action_was_done_requests_it_not_again(service: IoTStudioService) -> None:
    service.device_seconds = 0
    task = TaskRunner()
    first = task.run(operator())
    # The worker died before Airflow recorded the success.
    assert task.run(operator()) == first
    task.clear()
    assert task.run(operator()) != first
    assert len(requested(service)) == 2


@pytest.mark.usefixtures("wait_on_the_sandbox")
@pytest.mark.parametrize("lost", [False, True])
def test_a_single_404_of_the_requests_ends_no_action(
    service: IoTStudioService, sandbox: Sandbox, lost: bool
) -> None:
    sandbox.faults.add("stray_404", path="/actions/updateFirmware$", method="GET", after=int(lost))
    if lost:
        sandbox.faults.add("reset_after", path="/actions/updateFirmware$", method="POST")
    assert operator().execute(context(FakeStateStore()))["status"] == "completed"
    assert len(requested(service)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"action": "updateFirmwre"},
            "does not declare the action 'updateFirmwre'; did you mean 'updateFirmware'",
        ),
        ({"action": "open"}, "does not declare the action 'open'; it has updateFirmware, reboot"),
        ({"thing_id": "01GQ2E9M2Y45BX9EW0F2BM0XXX"}, "answered 404: Item not found$"),
    ],
    ids=["like", "other", "thing"],
)
def test_an_action_that_the_thing_lacks_is_named_with_those_it_has(
    service: IoTStudioService, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotFoundError, match=said):
        operator(**arguments).execute(context(FakeStateStore()))
    assert requested(service) == []


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_devices_may_name_their_statuses(service: IoTStudioService) -> None:
    service.device_answers = {"updateFirmware": ("installed", None)}
    assert (
        operator(success_statuses=["installed"]).execute(context(FakeStateStore()))["status"] == "installed"
    )


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_an_unknown_status_is_polled_until_the_deadline_and_a_retry_resumes(
    service: IoTStudioService,
) -> None:
    service.device_answers = {"updateFirmware": ("half-way", None)}
    store = FakeStateStore()
    with pytest.raises(RunFailedError, match="was not finished after 60 s") as caught:
        operator(timeout=60).execute(context(store))
    assert caught.value.status == "half-way"
    requested(service)[0].status = "completed"
    assert operator(timeout=60).execute(context(store, 2))["action_id"] == caught.value.run_id
    assert len(requested(service)) == 1


@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_after_a_lost_response_the_request_is_found_and_not_repeated(
    service: IoTStudioService, sandbox: Sandbox, kind: str
) -> None:
    for version in ("v2.0.0", "v1.0.0"):
        operator(input=version).execute(context(FakeStateStore()))
    earlier = {entry.uid for entry in requested(service)}
    sandbox.faults.add(kind, method="POST", path="/actions/")
    result = operator().execute(context(FakeStateStore()))
    assert len(requested(service)) == 3
    assert result["action_id"] not in earlier


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_request_that_never_arrived_is_sent_again(service: IoTStudioService, sandbox: Sandbox) -> None:
    sandbox.faults.add("reset_before", method="POST", path="/actions/")
    operator().execute(context(FakeStateStore()))
    assert len(requested(service)) == 1


def test_two_requests_without_a_response_are_an_ambiguous_write(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    lost = sandbox.faults.add("reset_before", method="POST", path="/actions/", times=None)
    with pytest.raises(AmbiguousWriteError):
        operator().execute(context(FakeStateStore()))
    assert lost.hits == 2


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_retry_resumes_the_request_of_an_earlier_attempt(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    store = FakeStateStore()
    worker = operator(deferrable=True)
    with pytest.raises(TaskDeferred):
        worker.execute(context(store))
    result = operator().execute(context(store, 2))
    assert result["action_id"] == requested(service)[0].uid
    assert sandbox.counters.requests[POST] == 1


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_request_of_an_attempt_that_died_before_storing_its_id_is_found(
    service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator().execute(context(FakeStateStore()))
    store = FakeStateStore()
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider.core.state.submission.Submission.created", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            operator().execute(context(store))
    assert operator().execute(context(store, 2))["action_id"] == requested(service)[1].uid
    assert len(requested(service)) == 2


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_without_a_state_store_a_retry_finds_what_was_requested_since_the_run_began(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    from datetime import timedelta

    first = operator().execute(context())["action_id"]
    began = datetime.fromtimestamp(sandbox.clock.now(), UTC)
    again = operator().execute(context(None, 2, dag_run=SimpleNamespace(start_date=began)))
    assert again["action_id"] == first
    later = SimpleNamespace(start_date=began + timedelta(hours=1))
    assert operator().execute(context(None, 2, dag_run=later))["action_id"] != first


@pytest.mark.usefixtures("wait_on_the_sandbox")
@pytest.mark.parametrize("status", ["Installing", "installed", "failed", " Failed"])
def test_without_a_state_store_a_request_is_resumed_whatever_its_status_unless_it_has_failed(
    service: IoTStudioService, sandbox: Sandbox, status: str
) -> None:
    service.device_seconds = None
    began = SimpleNamespace(start_date=datetime.fromtimestamp(sandbox.clock.now(), UTC))
    arguments = {"success_statuses": ["installed"], "timeout": 5}
    with pytest.raises(RunFailedError, match="not finished"):
        operator(**arguments).execute(context(dag_run=began))
    requested(service)[0].status = status
    with pytest.raises(RunFailedError) if status != "installed" else nullcontext():
        operator(**arguments).execute(context(None, 2, dag_run=began))
    assert len(requested(service)) == (2 if "ailed" in status else 1)


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_an_action_that_rolled_off_is_reported_and_not_requested_again(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    service.device_seconds = None
    store = FakeStateStore()
    sandbox.faults.add("status", method="GET", path=r"/actions/updateFirmware/\w+$", status=404, times=None)
    for number in (1, 2):
        with pytest.raises(NotFoundError, match="rolled off"):
            operator().execute(context(store, number))
    assert sandbox.counters.requests[POST] == 1


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_request_that_may_have_rolled_off_is_not_sent_again(
    service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator(input="v1").execute(context(FakeStateStore()))
    store = FakeStateStore()
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider.core.state.submission.Submission.created", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            operator().execute(context(store))
    with IoTStudioHook() as hook:
        for number in range(100):
            hook.invoke_action(THING, "updateFirmware", f"other {number}")
    before = sandbox.counters.requests[POST]
    with pytest.raises(AmbiguousWriteError, match="keeps the last 100"):
        operator().execute(context(store, 2))
    assert sandbox.counters.requests[POST] == before


@pytest.mark.usefixtures("wait_on_the_sandbox")
@pytest.mark.parametrize(("status", "sent"), [(429, 2), (503, 2), (500, 1), (502, 1)])
def test_after_an_ambiguous_status_the_request_is_searched_and_a_limit_is_waited_for(
    service: IoTStudioService, sandbox: Sandbox, status: int, sent: int
) -> None:
    # Only a 429 and a 503 guarantee that the service has not acted; after others the action list is read.
    headers = {"Retry-After": "0"}
    sandbox.faults.add("status", method="POST", path="/actions/", status=status, headers=headers)
    polls = sandbox.counters.requests[ACTIONS]
    operator().execute(context(FakeStateStore()))
    assert len(requested(service)) == 1
    assert (sandbox.counters.requests[ACTIONS] - polls > 1) is (sent == 1)


def test_a_refused_action_names_the_scope(service: IoTStudioService, sandbox: Sandbox) -> None:
    service.client.policies = ["spaces/other/#"]
    with pytest.raises(PermissionDeniedError, match=r"needs the scope thing\."):
        operator().execute(context(FakeStateStore()))
    assert requested(service) == []


def test_an_unknown_action_fails_without_a_retry(service: IoTStudioService) -> None:
    with pytest.raises(NotFoundError, match="Item not found"):
        operator(action="fly").execute(context(FakeStateStore()))
    with pytest.raises(RequestRejectedError, match="must be of type string"):
        operator(input=5).execute(context(FakeStateStore()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"thing_id": ""}, "'thing_id' is empty"),
        ({"input": {1, 2}}, "is a set, which has no JSON form"),
        ({"timeout": 0}, "'timeout' must be a number of seconds above 0"),
        ({"success_statuses": "completed"}, "must be a list of texts"),
        ({"failure_statuses": "['failed']"}, "render_template_as_native_obj"),
        ({"success_statuses": []}, "'success_statuses' is empty"),
        ({"success_statuses": ["done", ""]}, "'success_statuses' must be a list of texts"),
        ({"success_statuses": ["Done"], "failure_statuses": ["done"]}, "in success_statuses and in failure"),
        ({"thing_id": float("nan")}, "'thing_id' is empty"),
        ({"thing_id": None}, "'thing_id' is missing"),
        ({"action": " "}, "'action' is empty"),
        ({"timeout": "soon"}, "'timeout' must be a number"),
        ({"poll_interval": "-1"}, "'poll_interval' must be a number of seconds above 0"),
        ({"wait": "maybe"}, "'wait' must be true or false"),
        ({"input": b"v2"}, "'input' is binary"),
        ({"input": float("nan")}, "'input' is NaN"),
        ({"input": {"at": datetime(2026, 1, 1)}}, "without a time zone"),
        ({"done_when": {}}, "'done_when'"),
        ({"done_when": {"setpoint": None}}, "'done_when'"),
        ({"done_when": {"setpoint": ">=20"}}, "gte:20"),
        ({"done_when": {"setpoint": "gte:20"}, "wait": False}, "'done_when' needs wait=True"),
        ({"space": ""}, "'space' is empty"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        operator(**arguments).execute(context(FakeStateStore()))
    assert sandbox.counters.total("iotstudio") == 0


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_rendered_arguments_are_read_as_their_types(service: IoTStudioService) -> None:
    assert operator(wait="False").execute(context(FakeStateStore()))["status"] == "pending"
    rendered = {"wait": "true", "timeout": "60", "poll_interval": "0.5"}
    assert operator(**rendered).execute(context(FakeStateStore()))["status"] == "completed"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"delay": np.int64(5)}, {"delay": 5}),
        ({"factor": Decimal("0.5")}, {"factor": 0.5}),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"at": "2026-01-01T00:00:00Z"}),
        ({"day": date(2026, 1, 1)}, {"day": "2026-01-01"}),
        ((1, 2), [1, 2]),
    ],
)
def test_an_input_of_any_scalar_is_sent_as_json(service: IoTStudioService, given: Any, sent: Any) -> None:
    service.space.things[THING].fields["actions"] = {"any": {}}
    operator(action="any", input=given, wait=False).execute(context(FakeStateStore()))
    assert requested(service)[0].payload == {"input": sent}


@pytest.mark.usefixtures("wait_on_the_sandbox")
@pytest.mark.parametrize(
    ("status", "hint"), [("canceled", "did you mean 'cancelled'"), ("done", "completed, failed, error")]
)
def test_an_unknown_status_is_logged_when_first_seen(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str], status: str, hint: str
) -> None:
    service.device_answers = {"updateFirmware": (status, None)}
    with pytest.raises(RunFailedError) as caught:
        operator(timeout=60).execute(context(FakeStateStore()))
    logged = [line for line in capsys.readouterr().out.splitlines() if f"the status '{status}'" in line]
    assert len(logged) == 1
    assert hint in logged[0]
    assert "ended as" not in str(caught.value)
    assert f"timed out, its last status is {status}" in str(caught.value)


async def test_an_unknown_status_is_logged_in_the_triggerer(
    service: IoTStudioService, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    service.device_seconds = None
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True, timeout=600, poll_interval=0.02).execute(context(FakeStateStore()))
    requested(service)[0].status = "canceled"
    trigger, before = deferred.value.trigger, sandbox.counters.total("")
    running = asyncio.ensure_future(anext(aiter(trigger.run())))
    while sandbox.counters.total("") < before + 5:
        await asyncio.sleep(0.01)
    trigger.deadline = 0.0
    assert (await running).payload["status"] == "timeout"
    assert capsys.readouterr().out.count("did you mean 'cancelled'") == 1


def position(service: IoTStudioService, value: float) -> None:
    service.space.things[THING].status["setpoint"] = value


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_condition_ends_an_action_whose_device_sets_no_status(
    service: IoTStudioService, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.device_seconds = None
    position(service, 10)
    moves = iter([10, 15, 20, 20, 20])
    advance = sandbox.clock.advance

    def move(seconds: float) -> None:
        advance(seconds)
        position(service, next(moves))

    monkeypatch.setattr(sandbox.clock, "advance", move)
    result = operator(done_when={"setpoint": "gte:20"}, success_statuses=[]).execute(
        context(FakeStateStore())
    )
    assert result == {"action_id": requested(service)[0].uid, "status": "pending", "output": None}


@pytest.mark.usefixtures("wait_on_the_sandbox")
def test_a_failure_counts_beside_a_condition(service: IoTStudioService) -> None:
    service.device_answers = {"updateFirmware": ("failed", "stuck")}
    position(service, 10)
    with pytest.raises(RunFailedError, match="stuck"):
        operator(done_when={"setpoint": "gte:20"}).execute(context(FakeStateStore()))


@pytest.mark.parametrize("retried", [False, True])
async def test_a_condition_ends_a_deferred_action(service: IoTStudioService, retried: bool) -> None:
    service.device_seconds = None
    position(service, 10)
    store, arguments = (
        FakeStateStore(),
        {"done_when": {"setpoint": "gte:20"}, "timeout": 5, "poll_interval": 0.02},
    )
    for number in (1, 2) if retried else (1,):
        with pytest.raises(TaskDeferred) as deferred:
            operator(deferrable=True, **arguments).execute(context(store, number))
    _, kwargs = deferred.value.trigger.serialize()
    trigger = IoTStudioActionTrigger(**json.loads(json.dumps(kwargs)))
    assert await trigger.poll() is None
    position(service, 20)
    (event,) = [event.payload async for event in trigger.run()]
    result = operator(**arguments).execute_complete(context(store), json.loads(json.dumps(event)))
    assert result == {"action_id": requested(service)[0].uid, "status": "pending", "output": None}
    assert len(requested(service)) == 1


@pytest.mark.parametrize(
    ("done_when", "said"),
    [({"setpoint": "gte:5"}, "holds before the action"), ({"setpont": "gte:5"}, "did you mean 'setpoint'")],
)
def test_a_condition_that_shows_nothing_is_a_warning(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str], done_when: dict[str, Any], said: str
) -> None:
    service.device_seconds = 0
    operator(done_when=done_when).execute(context(FakeStateStore()))
    assert said in capsys.readouterr().out


def test_a_single_404_of_a_requested_action_is_not_believed(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    service.device_seconds = 0
    sandbox.faults.add("status", method="GET", path=r"/actions/updateFirmware/\w+$", status=404, times=1)
    assert operator().execute(context(FakeStateStore()))["status"] == "completed"


async def test_a_single_404_is_not_believed_in_the_triggerer(
    service: IoTStudioService, sandbox: Sandbox
) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True).execute(context(FakeStateStore()))
    sandbox.clock.advance(10)
    sandbox.faults.add("status", method="GET", path=r"/actions/updateFirmware/\w+$", status=404, times=1)
    (event,) = [event.payload async for event in deferred.value.trigger.run()]
    assert event["action_status"] == "completed"


async def test_the_trigger_fires_with_id_and_status_only(service: IoTStudioService, sandbox: Sandbox) -> None:
    worker = operator(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        worker.execute(context(FakeStateStore()))
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider.iotstudio.triggers.IoTStudioActionTrigger"
    assert service.clients.keys().isdisjoint(json.dumps(arguments).split('"'))
    sandbox.clock.advance(10)
    trigger = IoTStudioActionTrigger(**arguments)
    events = [event.payload async for event in trigger.run()]
    action_id = requested(service)[0].uid
    assert events == [{"status": "done", "action_id": action_id, "action_status": "completed"}]
    assert worker.execute_complete(context(FakeStateStore()), events[0])["output"] == {"ok": True}


async def test_the_deadline_in_the_triggerer_fails_the_task(service: IoTStudioService) -> None:
    service.device_seconds = None
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True, timeout=0.05).execute(context(FakeStateStore()))
    (event,) = [event.payload async for event in deferred.value.trigger.run()]
    with pytest.raises(RunFailedError, match="was not finished") as caught:
        operator(timeout=0.05).execute_complete(context(FakeStateStore()), event)
    assert (caught.value.run_id, caught.value.status) == (requested(service)[0].uid, "pending")


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_shorter_of_both_timeouts_ends_the_wait_for_an_action(
    service: IoTStudioService, deferrable: bool
) -> None:
    service.device_seconds = None
    bound = timedelta(seconds=0.2)
    with pytest.raises(RunFailedError, match=r"not finished after 0.2 s \('execution_timeout'\)"):
        TaskRunner().run(operator(deferrable=deferrable, timeout=600, execution_timeout=bound))


async def test_the_trigger_reports_a_missing_action(service: IoTStudioService) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(deferrable=True).execute(context(FakeStateStore()))
    requested(service).clear()
    (event,) = [event.payload async for event in deferred.value.trigger.run()]
    with pytest.raises(NotFoundError, match="rolled off"):
        operator().execute_complete(context(FakeStateStore()), event)


@pytest.mark.parametrize("deferrable", [False, True])
def test_deferred_or_not_the_result_is_the_same(
    service: IoTStudioService, run_dag: Callable[..., Any], deferrable: bool
) -> None:
    service.device_seconds = 0.2
    with DAG(f"iotstudio_action_{deferrable}", schedule=None) as dag:
        IoTStudioInvokeActionOperator(
            task_id="invoke",
            thing_id=THING,
            action="updateFirmware",
            input="{{ 'v' }}2",
            poll_interval=0.2,
            deferrable=deferrable,
        )
    run = run_dag(dag)
    assert run.state == "success"
    (entry,) = requested(service)
    assert entry.payload == {"input": "v2"}
    result = run.get_task_instance("invoke").xcom_pull(task_ids="invoke")
    assert result == {"action_id": entry.uid, "status": "completed", "output": {"ok": True}}


@pytest.mark.parametrize("entry", [{}, {"timeRequested": None}, {"timeRequested": "now"}])
def test_a_request_of_an_action_without_a_time_is_an_error_of_the_reply(entry: dict[str, Any]) -> None:
    with pytest.raises(ServerError, match="action a has no time of its request"):
        actions._requested_at({"id": "a", **entry})


@pytest.mark.parametrize(
    ("done_when", "matches", "expected"),
    [
        (None, ["x"], None),
        ({"setpoint": "gte:20"}, [], None),
        ({"setpoint": "gte:20"}, [THING], {"action_status": "pending", "done_when": True}),
    ],
)
async def test_a_condition_is_asked_for_one_thing_and_only_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, done_when: Any, matches: list[str], expected: Any
) -> None:
    asked: list[Any] = []

    async def aget_action(hook: IoTStudioHook, *of: str) -> dict[str, Any]:
        asked.append(of)
        return {"status": "pending"}

    async def amatching(hook: IoTStudioHook, *of: Any, **more: Any) -> list[str]:
        asked.append((of, more))
        return matches

    monkeypatch.setattr(IoTStudioHook, "aget_action", aget_action)
    monkeypatch.setattr(IoTStudioHook, "amatching", amatching)
    trigger = IoTStudioActionTrigger(
        iotstudio_conn_id="iotstudio_default",
        space=None,
        thing_id=THING,
        action="a",
        action_id="1",
        success_statuses=["done"],
        failure_statuses=["failed"],
        deadline=0.0,
        poll_interval=1.0,
        done_when=done_when,
    )
    assert await trigger.poll() == expected
    condition = [((1,), {"params": done_query(THING, done_when)})] if done_when else []
    assert asked == [(THING, "a", "1"), *condition]
