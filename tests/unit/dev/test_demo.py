"""The demo's table says what the tasks returned."""

from __future__ import annotations

from dev.demo import ROOT, Job, report


def job(**returned: object) -> Job:
    return Job("leanix_run", "LeanIX", "demo_1", state="success", seconds=12.4, returned=dict(returned))


def test_counts_are_put_in_words() -> None:
    value = {"run_id": "1", "status": "FINISHED", "processed": 4, "errors": 0, "warnings": 1, "results": None}
    assert job(run=value).changed == "4 processed, 1 warnings, 0 errors"


def test_outputs_are_shown_by_their_path_in_the_checkout() -> None:
    export = {"uri": f"file://{ROOT}/output/a.jsonl", "rows": 3}
    run = {"results": {"uri": "s3://bucket/b.json"}}
    assert job(export=export, run=run).output == "output/a.jsonl, s3://bucket/b.json"


def test_a_task_that_returned_nothing_is_a_dash() -> None:
    assert (job(run=None).changed, job(run=None).output) == ("-", "-")


def test_the_report_is_one_table() -> None:
    lines = report([job(run={"processed": 4})]).splitlines()
    assert len(lines) == 3
    assert lines[2].split() == ["leanix_run", "LeanIX", "success", "4", "processed", "-", "12"]
