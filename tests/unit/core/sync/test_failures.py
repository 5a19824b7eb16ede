"""Rows that a sync leaves out: all of them in a file, and the first ones in the log."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from airflow_provider.core.sync.failures import report_failed

LOG = logging.getLogger(__name__)
FAILED = [{"row": number, "key": f"K\n{number}", "reasons": ["no", "never"]} for number in range(1, 26)]


def test_a_file_beside_the_plan_has_all_rows_and_the_log_has_twenty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report_failed(FAILED, 25, f"{tmp_path}/plan.json", LOG)
    path = tmp_path / "plan.json.failed.jsonl"
    assert [json.loads(line) for line in path.read_text().splitlines()] == FAILED
    assert caplog.messages[:2] == [f"Row {number} (K\\n{number}) left out: no; never" for number in (1, 2)]
    assert len(caplog.messages) == 20 + 1
    assert caplog.messages[-1] == f"25 rows left out; the file {path} has all of them"


def test_without_a_plan_the_log_has_all_rows(caplog: pytest.LogCaptureFixture) -> None:
    report_failed(FAILED, 25, None, LOG)
    assert len(caplog.messages) == 25


def test_without_a_row_that_is_left_out_there_is_no_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report_failed([], 0, f"{tmp_path}/plan.json", LOG)
    assert (list(tmp_path.iterdir()), caplog.messages) == ([], [])
