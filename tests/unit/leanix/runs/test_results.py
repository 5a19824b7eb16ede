"""Results of a run: waited for when they come late, and a failure when they never come."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, PermissionDeniedError, RunFailedError
from airflow_provider.leanix.operators import (
    LeanIXFetchResultsOperator,
    LeanIXRunOperator,
    LeanIXStartRunOperator,
)
from airflow_provider.leanix.runs import wait
from airflow_provider.sandbox.leanix.seed import tutorial_items
from tests.support.airflow_names import TaskDeferred

from ..conftest import INBOUND, OUTBOUND, Task

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
LINK = pytest.mark.parametrize("has_link", [True, False], ids=["link", "api"])
TRIGGER: list[dict[str, Any]] = [{"type": "", "id": "", "data": {}}]
EXPORT = {
    "connectorType": "export",
    "connectorId": "campus",
    "connectorVersion": "1.0.0",
    "processingDirection": "inbound",
    "processingMode": "partial",
    "processors": [{"processorType": "writeToLdif", "processorName": "Applications"}],
    "targetLdif": {"ldifKeys": [{"key": "connectorType", "value": "export"}]},
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "RESULTS_SECONDS", 0.6)
    monkeypatch.setattr(wait, "_MIN_RESULTS_SECONDS", 0.1)
    monkeypatch.setattr(wait, "_MAX_RESULTS_INTERVAL", 0.05)


def run_operator(**arguments: Any) -> LeanIXRunOperator:
    return LeanIXRunOperator(**{"task_id": "run", "poll_interval": 0.02, "timeout": 20, **arguments})


@BOTH
@LINK
def test_results_that_come_late_are_waited_for(
    leanix: Any, task: Task, tmp_path: Path, deferrable: bool, has_link: bool
) -> None:
    leanix.results_delay, leanix.has_results_url = 0.2, has_link
    target = tmp_path / "out.json"
    result = task.run(run_operator(**OUTBOUND, output_path=str(target), deferrable=deferrable))
    assert result["results"]["rows"] == 65
    assert target.read_bytes() == leanix.runs[0].result


@BOTH
@LINK
def test_an_outbound_run_without_results_fails_and_the_retry_starts_a_new_one(
    leanix: Any, task: Task, tmp_path: Path, deferrable: bool, has_link: bool
) -> None:
    leanix.results_delay, leanix.has_results_url = float("inf"), has_link
    arguments = {**OUTBOUND, "output_path": str(tmp_path / "out.json"), "deferrable": deferrable}
    with pytest.raises(RunFailedError, match="no results.*'allow_no_results'"):
        task.run(run_operator(**arguments))
    assert list(tmp_path.iterdir()) == []
    leanix.results_delay = 0.0
    assert task.run(run_operator(**arguments))["run_id"] == leanix.runs[1].id


@BOTH
def test_an_outbound_run_without_results_may_be_allowed(
    leanix: Any, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    leanix.results_delay = float("inf")
    arguments = {"output_path": str(tmp_path / "out.json"), "allow_no_results": "true"}
    assert task.run(run_operator(**OUTBOUND, **arguments, deferrable=deferrable))["results"] is None


def test_a_run_without_output_path_waits_for_no_results(leanix: Any, sandbox: Any, task: Task) -> None:
    leanix.results_delay = float("inf")
    assert task.run(run_operator(**OUTBOUND, deferrable=True))["results"] is None
    assert sandbox.counters.total("results") == 0


@BOTH
def test_a_plain_inbound_run_has_no_results(
    leanix: Any, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    arguments = {"content": tutorial_items(), "output_path": str(tmp_path / "out.json")}
    assert task.run(run_operator(**INBOUND, **arguments, deferrable=deferrable))["results"] is None


def test_the_trigger_waits_for_the_results_and_not_the_worker(
    leanix: Any, sandbox: Any, task: Task, tmp_path: Path
) -> None:
    leanix.results_delay = 0.2
    operator = run_operator(**OUTBOUND, output_path=str(tmp_path / "out.json"), deferrable=True)
    deferral = task.begin(operator)
    assert isinstance(deferral, TaskDeferred)
    assert deferral.trigger.results_seconds == 0.6
    task.resume(operator, deferral)
    assert sandbox.counters.total("/results$") + sandbox.counters.total("/results") >= 1


def test_bad_polls_for_results_are_sat_out(leanix: Any, sandbox: Any, task: Task, tmp_path: Path) -> None:
    operator = run_operator(**OUTBOUND, output_path=str(tmp_path / "out.json"), deferrable=True)
    sandbox.faults.add("html", status=502, path="/resultsUrl$", times=8)
    assert task.run(operator)["results"]["rows"] == 65


def test_results_that_are_forbidden_are_the_tasks_error(
    leanix: Any, sandbox: Any, task: Task, tmp_path: Path
) -> None:
    operator = run_operator(**OUTBOUND, output_path=str(tmp_path / "out.json"), deferrable=True)
    sandbox.faults.add("status", status=403, path="/resultsUrl$", times=None)
    with pytest.raises(PermissionDeniedError):
        task.run(operator)


def test_fetching_waits_and_fails_unless_no_results_are_allowed(leanix: Any, tmp_path: Path) -> None:
    run_id = Task().run(LeanIXStartRunOperator(task_id="start", **OUTBOUND))

    def fetch(**arguments: Any) -> Any:
        target = str(tmp_path / "out.json")
        operator = LeanIXFetchResultsOperator(task_id="fetch", run_id=run_id, output_path=target, **arguments)
        return Task(task_id="fetch").run(operator)

    leanix.results_delay = float("inf")
    with pytest.raises(RunFailedError, match="no results"):
        fetch()
    assert fetch(allow_no_results=True) is None
    with pytest.raises(InputError, match="allow_no_results"):
        fetch(allow_no_results="perhaps")
    leanix.results_delay = 0.0
    assert fetch()["rows"] == 65


# writeToLdif


@BOTH
def test_a_dummy_item_starts_an_export_of_write_to_ldif(
    leanix: Any, task: Task, tmp_path: Path, deferrable: bool
) -> None:
    from airflow_provider.leanix.operators import LeanIXPutConfigurationOperator

    Task(task_id="put").run(LeanIXPutConfigurationOperator(task_id="put", configuration=EXPORT))
    target = tmp_path / "export.json"
    arguments = {**INBOUND, "connector_type": "export", "content": TRIGGER, "deferrable": deferrable}
    leanix.results_delay = 0.1
    result = task.run(run_operator(**arguments, output_path=str(target), fail_on="warnings"))
    assert result["results"]["rows"] == 65
    assert json.loads(target.read_bytes())["connectorType"] == "export"
    leanix.results_delay = float("inf")
    with pytest.raises(RunFailedError, match="no results"):
        Task(task_id="b").run(run_operator(**arguments, output_path=str(target)))


def test_writers_select_the_types_of_their_scope(leanix: Any, task: Task, tmp_path: Path) -> None:
    scope = {"facetFilters": [{"facetKey": "FactSheetTypes", "operator": "OR", "keys": ["ITComponent"]}]}
    writer = {**EXPORT["processors"][0], "identifier": {"search": {"scope": scope}}}  # type: ignore[index,dict-item]
    leanix.configurations[("export", "campus", "1.0.0", "inbound", "partial")] = {
        **EXPORT,
        "processors": [writer],
    }
    target = str(tmp_path / "export.jsonl")
    arguments = {**INBOUND, "connector_type": "export", "content": TRIGGER, "output_path": target}
    assert task.run(run_operator(**arguments))["results"]["rows"] == 24


# The ending of the path


@pytest.mark.parametrize(
    ("name", "kind", "packed"),
    [
        ("a.json", "ldif", False),
        ("a.LDIF", "ldif", False),
        ("a.jsonl", "jsonl", False),
        ("a.ndjson", "jsonl", False),
        ("a.json.gz", "ldif", True),
        ("a.ldif.gz", "ldif", True),
        ("a.jsonl.gz", "jsonl", True),
    ],
)
def test_the_ending_of_the_path_decides(
    leanix: Any, task: Task, tmp_path: Path, name: str, kind: str, packed: bool
) -> None:
    target = tmp_path / name
    manifest = task.run(run_operator(**OUTBOUND, output_path=str(target)))["results"]
    assert (manifest["format"], manifest["rows"]) == (kind, 65)
    assert manifest["bytes"] == target.stat().st_size
    data = gzip.decompress(target.read_bytes()) if packed else target.read_bytes()
    if kind == "ldif":
        assert data == leanix.runs[0].result
    else:
        rows = [json.loads(line) for line in data.splitlines()]
        assert rows == json.loads(leanix.runs[0].result)["content"]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("a.csv", None, "must end in one of"),
        ("a.parquet", None, "must end in one of"),
        ("a.csv.gz", "jsonl", "must end in one of"),
        ("a.gz", None, "must end in one of"),
        ("landscape", None, "must end in one of"),
        (".json", None, "must end in one of"),
        ("a.jsonl", "ldif", "does not fit"),
        ("a.json.gz", "jsonl", "does not fit"),
        ("a.json", "csv", "output_format"),
        ("a.json", "", "output_format"),
        (5, None, "output_path"),
    ],
)
def test_other_endings_are_refused_before_the_first_request(
    leanix: Any, sandbox: Any, name: Any, given: str | None, said: str
) -> None:
    arguments = {"output_path": name, "output_format": given}
    with pytest.raises(InputError, match=said):
        Task().run(run_operator(**OUTBOUND, **arguments))
    with pytest.raises(InputError, match=said):
        Task().run(LeanIXFetchResultsOperator(task_id="fetch", run_id="r", **arguments))
    assert sandbox.counters.total() == 0


def test_a_path_without_an_ending_takes_the_format_given(leanix: Any, task: Task, tmp_path: Path) -> None:
    arguments = {"output_path": str(tmp_path / "landscape"), "output_format": "jsonl"}
    assert task.run(run_operator(**OUTBOUND, **arguments))["results"]["format"] == "jsonl"
