"""Runs of execution groups: all configurations of a group as one run, which is never started twice."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider.core.state.submission import Submission
from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    NotFoundError,
    ProviderError,
    RequestRejectedError,
)
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.operators import LeanIXRunOperator, LeanIXStartRunOperator
from airflow_provider.sandbox.leanix.seed import configuration_key, tutorial_items
from tests.support.airflow_names import AirflowFailException
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND, OUTBOUND
from .test_submit import STEPS, Crash, die_once

SECRET = "very/secret+token %&"
CREATE = r"/synchronizationRuns/withExecutionGroup$"


@pytest.fixture
def group(leanix: Any) -> Any:
    """Return the workspace with groups of inbound, of outbound and of different configurations."""
    by_kind = {key[3:]: key for key in leanix.configurations}
    for configuration in leanix.configurations.values():
        configuration["credentials"] = {"apiToken": SECRET}
    leanix.execution_groups["nightly"] = [by_kind["outbound", "partial"]]
    leanix.execution_groups["cmdb"] = [by_kind["inbound", "partial"]]
    leanix.execution_groups["mixed"] = list(leanix.configurations)
    return leanix


def run_operator(**arguments: Any) -> LeanIXRunOperator:
    given = {"task_id": "run", "poll_interval": 0.02, "execution_group": "nightly", **OUTBOUND, **arguments}
    return LeanIXRunOperator(**given)


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_a_group_runs_its_configurations_as_one(
    group: Any, sandbox: Any, tmp_path: Any, deferrable: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    second = {**group.configurations[group.execution_groups["nightly"][0]], "connectorId": "second"}
    group.configurations[configuration_key(second)] = second
    group.execution_groups["nightly"].append(configuration_key(second))
    target = str(tmp_path / "out.json")
    result = TaskRunner().run(run_operator(output_path=target, deferrable=deferrable))
    assert result["results"]["rows"] == 65
    (run,) = group.runs
    assert f"Created run {run.id} of execution group nightly" in capsys.readouterr().out
    assert len(run.configuration["processors"]) == 2
    assert sandbox.counters.total("withExecutionGroup") == 1


def test_a_create_without_effect_is_sent_a_second_time_for_the_group(group: Any, sandbox: Any) -> None:
    fault = sandbox.faults.add("html", status=504, method="POST", path=CREATE)
    TaskRunner().run(run_operator())
    assert (fault.hits, sandbox.counters.total("withExecutionGroup"), len(group.runs)) == (1, 2, 1)


def test_items_of_a_group_run_may_be_large(group: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LeanIXHook, "upload_above", 10)
    task = LeanIXStartRunOperator(
        task_id="t", **INBOUND, execution_group="cmdb", content=tutorial_items(), description="nightly"
    )
    TaskRunner().run(task)
    assert (len(group.runs[0].content), group.starts) == (2, 1)
    assert group.runs[0].header["description"].startswith("nightly airflow:")


@pytest.mark.parametrize("upload_above", [10, 10**9])
def test_the_hook_creates_a_run_of_a_group(group: Any, upload_above: int) -> None:
    ldif = prepare(make_header(**INBOUND), tutorial_items())
    with LeanIXHook() as hook:
        hook.upload_above = upload_above
        run_id = hook.create_run(ldif, execution_group="cmdb")
        assert hook.get_run_status(run_id) == "CREATED"


@pytest.mark.parametrize(
    ("name", "error"), [("unknown", NotFoundError), ("mixed", RequestRejectedError)], ids=["404", "400"]
)
def test_a_group_that_cannot_run_fails_the_task(group: Any, name: str, error: type[ProviderError]) -> None:
    with pytest.raises(error, match="withExecutionGroup"):
        TaskRunner().run(run_operator(execution_group=name))
    assert group.runs == []


@pytest.mark.parametrize("name", ["", " ", "None", ["a"]])
def test_a_group_without_a_name_is_refused_before_any_request(group: Any, sandbox: Any, name: Any) -> None:
    with pytest.raises(InputError, match="execution_group"):
        TaskRunner().run(run_operator(execution_group=name))
    with LeanIXHook() as hook, pytest.raises(InputError, match="execution_group"):
        hook.create_run({}, execution_group=name)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("kept", [True, False], ids=["described", "not-described"])
@pytest.mark.parametrize("remembers", [True, False], ids=["with-store", "marker-only"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("owner", "method"), STEPS[:5], ids=[name for _, name in STEPS[:5]])
def test_a_crash_at_any_step_never_starts_a_second_run_of_a_group(
    group: Any,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    when: str,
    remembers: bool,
    kept: bool,
) -> None:
    group.group_descriptions = kept
    task = TaskRunner(remembers=remembers)
    die_once(monkeypatch, owner, method, when)
    with pytest.raises(Crash):
        task.run(run_operator())
    if remembers or kept:
        assert task.run(run_operator())["status"] == "FINISHED"
        assert group.starts == 1
        return
    started = group.starts
    with pytest.raises(AmbiguousWriteError, match="may have started a run") as caught:
        task.run(run_operator())
    assert isinstance(caught.value, AirflowFailException)
    assert group.starts == started


@pytest.mark.parametrize("kept", [True, False], ids=["described", "not-described"])
@pytest.mark.parametrize("remembers", [True, False], ids=["with-store", "marker-only"])
def test_a_lost_answer_to_a_create_of_a_group_starts_one_run(
    group: Any, sandbox: Any, remembers: bool, kept: bool
) -> None:
    group.group_descriptions = kept
    fault = sandbox.faults.add("reset_after", method="POST", path=CREATE)
    assert TaskRunner(remembers=remembers).run(run_operator())["status"] == "FINISHED"
    assert (fault.hits, group.starts, len(group.runs)) == (1, 1, 1 if kept else 2)


def test_a_first_attempt_needs_no_descriptions(group: Any) -> None:
    group.group_descriptions = False
    assert TaskRunner(remembers=False).run(run_operator())["status"] == "FINISHED"


def test_a_task_without_a_group_keeps_its_fingerprint(group: Any) -> None:
    marker = Submission(TaskRunner().context(), "x", logging.getLogger(__name__)).task_marker
    for operator in (run_operator(execution_group=None), run_operator()):
        TaskRunner().run(operator)
    first, second = (run.header["description"].removeprefix(marker) for run in group.runs)
    assert first != second


@pytest.mark.parametrize("kind", ["", "truncate", "no_id", "refused"])
def test_secrets_of_a_groups_configurations_are_nowhere(
    group: Any, sandbox: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    said = ""
    body = json.dumps({"processorConfiguration": {"credentials": {"apiToken": SECRET}}})
    if kind == "truncate":
        sandbox.faults.add(kind, method="POST", path=CREATE, times=None)
    elif kind:
        status = 200 if kind == "no_id" else 400
        sandbox.faults.add("status", status=status, body=body, method="POST", path=CREATE, times=None)
    try:
        said = repr(TaskRunner().run(run_operator()))
    except ProviderError as error:
        said = f"{error} {error!r} {vars(error)}"
    for text in (said, caplog.text, *capsys.readouterr()):
        assert "secret" not in text.lower().replace("client_secret", "")
