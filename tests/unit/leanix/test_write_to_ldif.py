"""Exports by processors writeToLdif: an inbound run that is started for the LDIF that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError, RunFailedError
from airflow_provider.leanix.operators import (
    LeanIXFetchResultsOperator,
    LeanIXRunOperator,
    LeanIXStartRunOperator,
)
from airflow_provider.leanix.runs import wait
from airflow_provider.sandbox.leanix.seed import configuration_key, tutorial_items
from tests.support.task_runner import TaskRunner

from .conftest import INBOUND, OUTBOUND
from .test_strict_service import EXPORT

DUMMY = {"type": "", "id": "", "data": {}}
WRITER = {**INBOUND, "connector_type": "export"}
BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


@pytest.fixture(autouse=True)
def short_waits_for_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "RESULTS_SECONDS", 0.3)
    monkeypatch.setattr(wait, "_MIN_RESULTS_SECONDS", 0.1)
    monkeypatch.setattr(wait, "sleep", lambda _: None)


@pytest.fixture
def writer(leanix: Any) -> Any:
    """Return the workspace with a configuration that writes an LDIF."""
    leanix.configurations[configuration_key(EXPORT)] = EXPORT
    return leanix


def run(**arguments: Any) -> Any:
    task = LeanIXRunOperator(**{"task_id": "run", "poll_interval": 0.02, **arguments})
    return TaskRunner().run(task)


@BOTH
@pytest.mark.parametrize("given", [{}, {"write_to_ldif": True}, {"write_to_ldif": "True"}])
def test_an_inbound_run_for_a_file_without_content_is_an_export(
    writer: Any, tmp_path: Path, given: dict[str, Any], deferrable: bool, capsys: Any
) -> None:
    writer.results_lag_seconds = 0.1
    target = tmp_path / "export.jsonl"
    result = run(**WRITER, **given, output_path=str(target), deferrable=deferrable)
    assert writer.runs[0].content == [DUMMY]
    assert (result["processed"], result["results"]["rows"]) == (0, 65)
    assert "a dummy item starts the run" in capsys.readouterr().out
    assert json.loads(target.read_text().splitlines()[0])["type"] == "App"


@BOTH
@pytest.mark.parametrize("given", [{}, {"write_to_ldif": True, "content": tutorial_items()}])
def test_an_export_without_results_has_failed(
    leanix: Any, tmp_path: Path, given: dict[str, Any], deferrable: bool
) -> None:
    target = tmp_path / "export.json"
    with pytest.raises(RunFailedError, match="it has no results"):
        run(**INBOUND, **given, output_path=str(target), deferrable=deferrable)
    assert not target.exists()
    assert run(**INBOUND, **given, output_path=str(target), allow_no_results=True)["results"] is None


def test_a_run_is_no_export_unless_it_is_meant(leanix: Any, tmp_path: Path) -> None:
    target = str(tmp_path / "out.json")
    for given in ({"write_to_ldif": False}, {"content": []}, {"content": tutorial_items()}):
        assert run(**INBOUND, **given, output_path=target, deferrable=False)["results"] is None
        assert leanix.runs[-1].content == given.get("content", [])
    run(**INBOUND)
    assert leanix.runs[-1].content == []


def test_items_of_an_export_are_sent_in_place_of_the_dummy(writer: Any, tmp_path: Path) -> None:
    items = [{"type": "any", "id": "x", "data": {}}]
    options = {"write_to_ldif": True, "allow_unprocessed": True}
    assert run(**WRITER, content=items, output_path=str(tmp_path / "a.json"), **options)["results"]
    assert writer.runs[0].content == items


def test_an_export_can_be_started_and_fetched_in_two_tasks(writer: Any, tmp_path: Path) -> None:
    start = LeanIXStartRunOperator(task_id="start", **WRITER, write_to_ldif=True)
    run_id = TaskRunner().run(start)
    fetch = LeanIXFetchResultsOperator(task_id="fetch", run_id=run_id, output_path=str(tmp_path / "a.json"))
    assert TaskRunner().run(fetch)["rows"] == 65


def test_a_header_file_is_enough_for_an_export(writer: Any, tmp_path: Path) -> None:
    keys = ("connectorType", "connectorId", "connectorVersion", "processingDirection")
    (tmp_path / "header.ldif").write_text(json.dumps({name: EXPORT[name] for name in keys}))
    given = {"content": str(tmp_path / "header.ldif"), "output_path": str(tmp_path / "a.json")}
    with pytest.raises(InputError, match="has no list 'content'"):
        run(**given)
    assert run(**given, write_to_ldif=True)["results"]["rows"] == 65


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**OUTBOUND, "write_to_ldif": True}, "'write_to_ldif' is for inbound runs"),
        ({**WRITER, "write_to_ldif": "maybe"}, "'write_to_ldif' must be true or false"),
        ({**WRITER, "processing_mode": "full", "output_path": "/tmp/a.json"}, "a full run deletes what it"),
    ],
)
def test_an_export_that_cannot_be_meant_is_refused(
    writer: Any, sandbox: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(**given)
    assert sandbox.counters.total("POST") == 0


def test_a_retry_of_an_export_takes_the_same_run(
    writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider.leanix.hooks import LeanIXHook

    task, target = TaskRunner(), str(tmp_path / "a.json")
    arguments = {"task_id": "run", "poll_interval": 0.02, "output_path": target, **WRITER}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            LeanIXHook, "download_results", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        task.run(LeanIXRunOperator(**arguments))
    assert task.run(LeanIXRunOperator(**arguments))["results"]["rows"] == 65
    assert (writer.starts, len(writer.runs)) == (1, 1)
