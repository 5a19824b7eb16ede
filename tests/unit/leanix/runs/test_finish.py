"""The end of a run: which arguments of the task decide what it counts as, and what is downloaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.errors import RunFailedError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.leanix.runs import finish, wait
from airflow_provider.leanix.runs.finish import FinishOptions, finish_run
from airflow_provider.leanix.runs.outcome import RunOutcome
from airflow_provider.leanix.runs.request import RunRequest
from airflow_provider.sandbox.leanix.seed import tutorial_items
from tests.support.fake_clock import FakeClock
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND

REQUEST = RunRequest("f", 7, "cmdb/campus/1.0.0", is_full=False, is_export=True)
TASK: dict[str, Any] = {
    "fail_on": "warnings",
    "max_errors": 3,
    "allow_unprocessed": False,
    "output_path": "out.jsonl",
    "output_format": "jsonl",
    "ldif_path": "all.ldif",
    "allow_no_results": False,
    "test_run": False,
}


def options(**changes: Any) -> FinishOptions:
    return FinishOptions.of_task(SimpleNamespace(**{**TASK, **changes}), 1030.0)


def test_the_options_are_those_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "clock", FakeClock())
    assert options() == FinishOptions(
        fail_on="warnings",
        max_errors=3,
        allow_unprocessed=False,
        output_path="out.jsonl",
        output_format="jsonl",
        ldif_path="all.ldif",
        allow_no_results=False,
        results_seconds=30.0,
    )


@pytest.mark.parametrize("is_dry", [False, True])
@pytest.mark.parametrize("is_allowed", [False, True])
def test_a_dry_run_may_process_nothing_and_have_no_results(is_dry: bool, is_allowed: bool) -> None:
    nothing = options(test_run=is_dry, allow_unprocessed=is_allowed)
    assert (nothing.allow_unprocessed, nothing.allow_no_results) == (is_dry or is_allowed, is_dry)
    none = options(test_run=is_dry, allow_no_results=is_allowed)
    assert (none.allow_unprocessed, none.allow_no_results) == (is_dry, is_dry or is_allowed)


def test_a_dry_run_that_processes_nothing_is_no_failure(leanix: Any) -> None:
    leanix.processes_nothing = True
    arguments = {**INBOUND, "task_id": "run", "timeout": 20, "content": tutorial_items()}
    assert TaskRunner().run(LeanIXRunOperator(**arguments, test_run=True))["processed"] == 0
    with pytest.raises(RunFailedError, match="nothing of the 2 items"):
        TaskRunner(task_id="real").run(LeanIXRunOperator(**arguments))


@pytest.mark.parametrize(
    ("is_export", "allowed", "required"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_results_of_a_successful_run_are_downloaded_as_the_task_says(
    monkeypatch: pytest.MonkeyPatch, is_export: bool, allowed: bool, required: bool
) -> None:
    calls: list[Any] = []

    def noted(name: str, result: Any) -> Any:
        return lambda *given, **more: (calls.append((name, given, more)), result)[1]

    hook, report, found = LeanIXHook(), object(), RunOutcome("r", "FINISHED", 5)
    monkeypatch.setattr(finish, "read_outcome", noted("read", found))
    monkeypatch.setattr(finish, "raise_unless_successful", noted("raise", None))
    monkeypatch.setattr(wait, "download_results", noted("download", {"rows": 1}))
    monkeypatch.setattr(wait, "clock", FakeClock())
    chosen = options(allow_no_results=allowed, allow_unprocessed=True)
    request = REQUEST._replace(is_export=is_export)
    assert finish_run(hook, "r", "FINISHED", request, chosen, report) == (found, {"rows": 1})  # type: ignore[arg-type]
    told = {"fail_on": "warnings", "max_errors": 3, "sent": 7, "allow_unprocessed": True}
    kept = {"seconds": 30.0, "required": required, "ldif_path": "all.ldif", "report": report}
    assert calls == [
        ("read", (hook, "r", "FINISHED"), {}),
        ("raise", (hook, found), told),
        ("download", (hook, "r", "out.jsonl", "jsonl"), kept),
    ]
    for nowhere in (None, ""):
        assert finish_run(hook, "r", "FINISHED", request, options(output_path=nowhere)) == (found, None)
