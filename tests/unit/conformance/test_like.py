"""A sandbox like a user's own service: switches from a report, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.conformance.reports.report import SCHEMA
from airflow_provider.sandbox.__main__ import main
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.settings import Settings, read_report, read_settings
from tests.support.conformance import outcomes, run_checks


def written(folder: Path, document: Any) -> Path:
    path = folder / "report.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def read(path: Path) -> Settings:
    settings = Settings()
    read_report(path, settings)
    return settings


def report(switches: Any, service: str = "iotstudio", schema: str = SCHEMA) -> dict[str, Any]:
    return {"schema": schema, "service": service, "switches": switches}


def test_the_report_of_a_service_makes_a_sandbox_like_it(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"refused_token_status": 403, "range_end": "inclusive", "has_query": False}
    sandbox.switches.set(sandbox.switches.check({"iotstudio": changed}))
    first = run_checks(sandbox, "iotstudio")
    settings = read(written(tmp_path, first.text([])))
    assert settings.problems == []
    with Sandbox(switches=settings.switches) as other:
        monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", other.connections["iotstudio_default"])
        assert outcomes(run_checks(other, "iotstudio")) == outcomes(first)


def test_the_command_line_changes_the_switches_of_a_report(tmp_path: Path) -> None:
    settings = read_settings(["iotstudio.range_end=exclusive"], [])
    found = {"iotstudio.range_end": "inclusive", "iotstudio.above_limit": "clamp"}
    read_report(written(tmp_path, report(found)), settings)
    assert settings.switches == {"iotstudio.range_end": "exclusive", "iotstudio.above_limit": "clamp"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (report({"iotstudio.no_such": 1}), "there is no such switch"),
        (report({"iotstudio.has_query": "no"}), "must be true or false"),
        (report({"iotstudio.around": {"origin": "http://evil.example"}}), "there is no such switch"),
        (report({"iotstudio.__class__": 1}), "there is no such switch"),
        (report({"leanix.allowed": False}), "belongs to another service"),
        (report({"iotstudio": {"has_query": False}, "leanix": {}}), "belongs to another service"),
        (report({}, schema="another"), "another schema"),
        (report([]), "no switches"),
        (report({}, service=7), "names no service"),  # type: ignore[arg-type]
        ([], "another schema"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_report_sets_nothing_but_switches_of_its_service(
    tmp_path: Path, document: Any, problem: str
) -> None:
    settings = read(written(tmp_path, document))
    assert settings.switches == {}
    assert problem in settings.problems[0]


def test_a_report_that_cannot_be_read_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--like", str(tmp_path / "missing.json")])
    assert "missing.json is no report that can be used" in capsys.readouterr().err
