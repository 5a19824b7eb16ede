"""The demo's table shows the results of the tasks."""

from __future__ import annotations

from dev.demo import ROOT, Job, report


def job(**returned: object) -> Job:
    return Job("leanix_run", "LeanIX", "demo_1", state="success", seconds=12.4, returned=dict(returned))


def test_counts_are_added_up_and_put_in_words() -> None:
    run = {"run_id": "1", "status": "FINISHED", "processed": 4, "errors": 0, "warnings": 1, "results": None}
    assert (
        job(run=run, write={"written": 2}, again={"written": 3}).changed
        == "5 written, 4 processed, 1 warnings"
    )


def test_zeros_are_shown_when_all_counts_are_zero() -> None:
    assert job(export={"rows": 0}).changed == "0 rows"


def test_outputs_are_shown_by_their_path_in_the_checkout() -> None:
    assert job(export={"uri": f"file://{ROOT}/output/a.jsonl", "rows": 3}).output == "output/a.jsonl"
    assert job(run={"results": {"uri": "s3://bucket/b.json"}}).output == "s3://bucket/b.json"


def test_of_several_outputs_the_folder_is_shown() -> None:
    export, run = {"uri": f"{ROOT}/output/n/a.jsonl"}, {"results": {"uri": f"file://{ROOT}/output/n/b.json"}}
    assert job(export=export, run=run).output == "output/n"


def test_a_task_that_wrote_no_file_changed_something_in_the_system() -> None:
    assert (job(run=None).changed, job(run=None).output) == ("-", "in LeanIX")


def test_the_report_is_one_table() -> None:
    lines = report([job(run={"processed": 4})]).splitlines()
    assert len(lines) == 3
    assert lines[2].split() == ["leanix_run", "LeanIX", "success", "4", "processed", "in", "LeanIX", "12"]
