"""Warnings of a run in errors and logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.errors import RunFailedError
from airflow_provider.leanix import api
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.leanix.runs import outcome
from airflow_provider.leanix.runs.outcome import (
    RunOutcome,
    _iter_warnings,
    build_outcome,
    failure_reason,
    processed_count,
    raise_unless_successful,
)
from airflow_provider.sandbox.leanix.seed import tutorial_items
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND, OUTBOUND


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


def test_an_outcome_of_which_nothing_more_is_known_has_no_errors() -> None:
    assert RunOutcome("r", "FINISHED") == RunOutcome("r", "FINISHED", None, 0, 0, [])
    assert RunOutcome("r", "FINISHED").summary() == {
        "run_id": "r",
        "status": "FINISHED",
        "processed": None,
        "errors": 0,
        "warnings": 0,
    }


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
        return TaskRunner(task_id=fail_on).run(operator)

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
        TaskRunner().run(operator)


def test_all_pages_of_a_sync_log_are_read(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (outcome, api):
        monkeypatch.setattr(module, "PAGE", 2)
    leanix.bad_items = 5
    operator = LeanIXRunOperator(task_id="run", timeout=20, content=tutorial_items()[:6], **INBOUND)
    with pytest.raises(RunFailedError) as caught:
        TaskRunner().run(operator)
    lines = [line for line in str(caught.value).splitlines() if line.startswith("  - ERROR, item ")]
    assert [line.split()[3] for line in lines] == [f"{item['id']}," for item in tutorial_items()[:5]]


def test_a_log_that_ends_halfway_leaves_the_number_unknown() -> None:
    rows: list[dict[str, Any] | None] = [{"status": "WARNING", "message": "m"}, None]
    outcome = build_outcome("r", "FINISHED", {}, rows)
    assert (outcome.warnings, len(outcome.messages)) == (None, 1)


@pytest.mark.parametrize(
    ("stats", "count"),
    [
        ({}, None),
        ({"processorStatistics": "broken"}, None),
        ({"singleRunLevelStatistics": [{"processedContentCount": 5}]}, None),
        ({"processorStatistics": []}, 0),
        (
            {"processorStatistics": [], "singleRunLevelStatistics": [{"processedContentCount": 5}]},
            5,
        ),
        (
            {
                "processorStatistics": [{"processedContentCount": 3}, {"processedContentCount": 7}, "x"],
                "singleRunLevelStatistics": [{"processedContentCount": 5}],
            },
            7,
        ),
        (
            {
                "processorStatistics": [
                    {"processedContentCount": 3, "itemsInScopeCount": 9},
                    {"processedContentCount": 7},
                    {"processedContentCount": None},
                ],
                "singleRunLevelStatistics": [{"processedContentCount": 50}],
            },
            10,
        ),
    ],
)
def test_the_items_of_a_run_are_counted_by_its_direction(stats: dict[str, Any], count: int | None) -> None:
    assert processed_count(stats) == count
    assert build_outcome("r", "FINISHED", stats, []).processed == count


def test_errors_and_warnings_are_counted_and_the_first_ten_shown() -> None:
    rows: list[dict[str, Any] | None] = [{"status": "error", "message": f"m{number}"} for number in range(3)]
    rows += [{"status": "WARNING"}, {"message": "m", "detail": "m"}, {"message": "a", "detail": "b"}]
    rows += [{}] * 6
    outcome = build_outcome(
        "r", "FINISHED", {"processorStatistics": [{"errorCount": 2}, {"errorCount": 2}]}, rows
    )
    assert (outcome.errors, outcome.warnings) == (4, 9)
    assert outcome.messages[:6] == [
        "error: m0",
        "error: m1",
        "error: m2",
        "WARNING:",
        "WARNING: m",
        "WARNING: a - b",
    ]
    assert len(outcome.messages) == 10
    unknown = build_outcome("r", "FINISHED", {}, [{"status": "ERROR"}, None, {"status": "ERROR"}])
    assert (unknown.errors, unknown.warnings) == (1, None)
    assert unknown.summary() == {
        "run_id": "r",
        "status": "FINISHED",
        "processed": None,
        "errors": 1,
        "warnings": None,
    }


@pytest.mark.parametrize(
    ("sizes", "found"),
    [([0], 0), ([100, 0], 100), ([100, 99], 199), ([100, 100, 1], 201), ([100, None], 101)],
)
def test_warnings_are_read_page_by_page(sizes: list[int | None], found: int) -> None:
    asked: list[Any] = []

    def send(call: Any) -> Any:
        asked.append(call.params)
        size = sizes[len(asked) - 1]
        return None if size is None else [{}] * size

    rows = list(_iter_warnings(SimpleNamespace(send=send), "r"))  # type: ignore[arg-type]
    assert len(rows) == found
    assert (rows[-1:] == [None]) is (sizes[-1] is None)
    assert asked == [{"offset": 100 * page, "limit": 100} for page in range(len(sizes))]


def reason(fail_on: str = "errors", max_errors: int = 0, **more: Any) -> str:
    facts = {"processed": 5, "errors": 0, "warnings": 0, "status": "FINISHED", "messages": ["one", "two"]}
    sent, allow_unprocessed = more.pop("sent", 0), more.pop("allow_unprocessed", False)
    outcome = RunOutcome("r", **{**facts, **more})  # type: ignore[arg-type]
    return failure_reason(
        outcome, fail_on=fail_on, max_errors=max_errors, sent=sent, allow_unprocessed=allow_unprocessed
    )


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        ({}, ""),
        ({"errors": 3, "max_errors": 3}, ""),
        (
            {"errors": 4, "max_errors": 3},
            "more errors than the 3 allowed: 5 processed, 4 errors, 0 warnings",
        ),
        ({"errors": 4, "fail_on": "failed"}, ""),
        ({"processed": 0, "sent": 7}, "nothing of the 7 items sent was processed; does a processor match"),
        ({"processed": 0, "sent": 7, "allow_unprocessed": True}, ""),
        ({"processed": 0}, ""),
        ({"processed": 1, "sent": 7}, ""),
        ({"processed": None, "sent": 7}, ""),
        ({"warnings": 2}, ""),
        ({"warnings": 2, "fail_on": "warnings"}, "it has warnings: 5 processed, 0 errors, 2 warnings"),
        ({"fail_on": "warnings"}, ""),
        (
            {"warnings": None, "fail_on": "warnings", "processed": None},
            "whether it has warnings is unknown, because the service keeps no sync log of it: an unknown"
            " number of processed, 0 errors, an unknown number of warnings (fail_on='errors' accepts that)",
        ),
        ({"warnings": None}, ""),
    ],
    ids=str,
)
def test_a_finished_run_counts_as_failed_for_these_reasons(options: dict[str, Any], beginning: str) -> None:
    found = reason(**options)
    assert found.startswith(beginning)
    assert bool(found) == bool(beginning)
    assert "one" in found or not beginning


@pytest.mark.parametrize("status", ["FAILED", "STOPPED", "IN_PROGRESS", "ODD"])
@pytest.mark.parametrize("fail_on", ["failed", "errors", "warnings"])
def test_a_run_that_did_not_finish_counts_as_failed_and_its_counts_are_told(
    status: str, fail_on: str
) -> None:
    found = reason(fail_on, 9, status=status, errors=2, sent=7, allow_unprocessed=True)
    assert found == "5 processed, 2 errors, 0 warnings\n  - one\n  - two"


@pytest.mark.parametrize(
    ("url", "said"), [("https://x/log", "\nThe workspace's sync log: https://x/log"), ("", "")]
)
def test_an_error_leads_to_the_sync_log_if_the_token_tells_where_it_is(url: str, said: str) -> None:
    hook: Any = SimpleNamespace(sync_log_url=lambda: url)
    options = {"fail_on": "errors", "max_errors": 0, "sent": 0, "allow_unprocessed": False}
    with pytest.raises(RunFailedError) as caught:
        raise_unless_successful(hook, RunOutcome("r", "FAILED", 5), **options)  # type: ignore[arg-type]
    counts = "5 processed, 0 errors, 0 warnings"
    assert caught.value.args == ("r", "FAILED", f"{counts}{said}")
    raise_unless_successful(hook, RunOutcome("r", "FINISHED", 5), **options)  # type: ignore[arg-type]


def test_a_run_has_no_more_warnings_than_are_read(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    leanix.doubtful_items = 2
    for most, counted in ((2000, 2), (1, 1)):
        monkeypatch.setattr(outcome, "_MAX_WARNINGS", most)
        operator = LeanIXRunOperator(task_id="run", timeout=20, content=tutorial_items(), **INBOUND)
        assert TaskRunner(task_id=f"{most}").run(operator)["warnings"] == counted


@pytest.mark.parametrize(("listed", "counted", "errors"), [(3, 2, 3), (2, 3, 3), (3, 0, 3), (0, 2, 2)])
def test_the_errors_are_those_of_the_log_or_of_the_statistics(listed: int, counted: int, errors: int) -> None:
    stats = {"processorStatistics": [{"errorCount": counted}]}
    rows = [{"status": "ERROR"}] * listed + [{"status": "WARNING"}] * 4
    found = build_outcome("r", "FINISHED", stats, rows)
    assert (found.errors, found.warnings) == (errors, 4)
