"""The checks as a task, and the example DAG."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.conformance.reports import leaks
from airflow_provider.conformance.session import NoAccessError
from airflow_provider.conformance.task import check_service
from airflow_provider.errors import InputError
from airflow_provider.sandbox.settings import Settings, read_report
from tests.unit.test_example_dags import FOLDER, load


@pytest.fixture(autouse=True)
def many_requests_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider.conformance.meter.PER_SECOND", 1e6)


def test_a_task_gets_the_report_and_logs_a_line_a_check(
    sandbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sandbox.iotstudio.range_end = "inclusive"
    report = check_service("iotstudio_default", only=("I3", "I4.end"))
    assert report["counts"] == {"same": 2, "differs": 1, "differs!": 0, "unsettled": 0, "skipped": 1}
    assert [check["found"] for check in report["checks"] if check["verdict"] == "skipped"] == [
        "it needs --burst"
    ]
    assert report["switches"] == {"iotstudio.range_end": "inclusive"}
    lines = [record for record in caplog.records if record.name == "airflow_provider.conformance.task"]
    assert [record.levelname for record in lines[:3]] == ["INFO", "INFO", "WARNING"]


def test_a_task_that_the_service_refuses_fails(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {**json.loads(sandbox.connections["leanix_default"]), "password": "LXT_wrong&secret"}
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", json.dumps(connection))
    with pytest.raises(NoAccessError) as raised:
        check_service("leanix_default")
    leaks.check(str(raised.value), ["LXT_wrong&secret"])


def test_a_task_makes_no_objects(sandbox: Any) -> None:
    with pytest.raises(InputError):
        check_service("leanix_default", level="scratch")  # type: ignore[arg-type]
    assert sandbox.counters.total("leanix") == 0


@pytest.mark.parametrize(
    "only", [["I6"], ["nope"], [""], "I4", ["I4", "I7.rate"], [4], ["i2", "I2.cursor_age"]]
)
def test_a_task_that_would_check_nothing_fails_before_its_first_request(sandbox: Any, only: Any) -> None:
    with pytest.raises(InputError):
        check_service("iotstudio_default", only=only)
    assert sandbox.counters.total("iotstudio") == 0


@pytest.mark.slow
def test_the_example_writes_a_report_of_each_service(
    sandbox: Any, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TWIN_OUTPUT", str(tmp_path))
    assert run_dag(load(FOLDER / "example_conformance.py")).state == "success"
    reports = sorted((tmp_path / "conformance").glob("*.json"))
    assert len(reports) == 4
    for path in reports:
        settings = Settings()
        read_report(path, settings)
        assert settings.problems == []
