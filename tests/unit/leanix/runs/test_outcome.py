"""Warnings of a run in errors and logs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import RunFailedError
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.leanix.runs.outcome import build_outcome
from airflow_provider.sandbox.leanix.seed import tutorial_items

from ..conftest import INBOUND, OUTBOUND, Task


def test_a_warning_is_one_line_without_control_characters() -> None:
    row = {
        "status": "ERROR",
        "content": "it\nem",
        "processor": {"name": "p\x1b[2J"},
        "message": "bad\r\n2026-01-01 INFO all fine\n" + "x" * 1000,
    }
    (line,) = build_outcome("r", "FINISHED", {}, [row]).messages
    assert line.startswith("ERROR, item it em, processor p\ufffd[2J: bad 2026-01-01 INFO all fine")
    assert line.isprintable()
    assert len(line) == 300


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_unknown_warnings_are_said_and_fail_under_the_strictest_rule(
    leanix: Any,
    deferrable: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leanix.has_sync_log = False

    def run(fail_on: str) -> Any:
        operator = LeanIXRunOperator(
            task_id="run", poll_interval=0.02, timeout=20, fail_on=fail_on, deferrable=deferrable, **OUTBOUND
        )
        return Task(task_id=fail_on).run(operator)

    for fail_on in ("failed", "errors"):
        result = run(fail_on)
        assert (result["warnings"], result["errors"], result["processed"]) == (None, 0, 65)
    assert "whether it has warnings is unknown" in caplog.text + "".join(capsys.readouterr())
    with pytest.raises(RunFailedError, match="whether it has warnings is unknown"):
        run("warnings")


def test_errors_are_counted_without_a_sync_log(leanix: Any) -> None:
    leanix.has_sync_log, leanix.bad_items = False, 1
    operator = LeanIXRunOperator(task_id="run", timeout=20, content=tutorial_items(), **INBOUND)
    with pytest.raises(RunFailedError, match="1 errors, an unknown number of warnings"):
        Task().run(operator)


def test_a_log_that_ends_halfway_leaves_the_number_unknown() -> None:
    rows: list[dict[str, Any] | None] = [{"status": "WARNING", "message": "m"}, None]
    outcome = build_outcome("r", "FINISHED", {}, rows)
    assert (outcome.warnings, len(outcome.messages)) == (None, 1)
