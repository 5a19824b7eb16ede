"""Warnings of a run in errors and logs."""

from __future__ import annotations

from airflow_provider.leanix.runs.outcome import build_outcome


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
