"""Run outcome: classify an ended run by its status, its counts and its warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.redaction import redact
from airflow_provider.errors import RunFailedError, one_line
from airflow_provider.leanix.api import FINISHED, PAGE, get_warnings

if TYPE_CHECKING:
    from airflow_provider.leanix.hooks import LeanIXHook


MAX_MESSAGES = 10
"""Maximum warnings of a run that are logged and put into errors."""

_MAX_WARNINGS = 2000
"""Maximum warnings of a run that are read: 20 requests."""


@dataclass
class RunOutcome:
    """Outcome of a run that has ended.

    :param processed: number of items that the run processed; None without statistics from the service.
    :param errors: number of items or processor steps that failed.
    :param warnings: number of warnings that are no errors; None when the service keeps no log of the run.
    :param messages: the first warnings and errors, one line each.
    """

    run_id: str
    status: str
    processed: int | None = None
    errors: int = 0
    warnings: int | None = 0
    messages: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the part of the outcome that an operator returns."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            "processed": self.processed,
            "errors": self.errors,
            "warnings": self.warnings,
        }


def build_outcome(
    run_id: str, status: str, stats: Mapping[str, Any], warnings: Iterable[Mapping[str, Any] | None]
) -> RunOutcome:
    """Build an outcome from a run's statistics and warnings, as the service sends them.

    :param warnings: the warnings; ends with None when the service keeps no log of the run.
    """
    outcome = RunOutcome(run_id, status, processed_count(stats))
    listed, others, is_known = 0, 0, True
    for row in warnings:
        if row is None:
            is_known = False
            break
        if str(row.get("status")).upper() == "ERROR":
            listed += 1
        else:
            others += 1
        if len(outcome.messages) < MAX_MESSAGES:
            outcome.messages.append(_format_warning(row))
    outcome.warnings = others if is_known else None
    outcome.errors = max(listed, _total(stats, "processorStatistics", "errorCount"))
    return outcome


def processed_count(stats: Mapping[str, Any]) -> int | None:
    """Return the number of items that a run processed; None without statistics.

    Each level of an inbound run, and each of its processors, processes the whole content, so the highest
    count is the run's. Each processor of an outbound run adds items of its own, so their counts are summed.
    """
    rows = _rows(stats, "processorStatistics")
    levels = _rows(stats, "singleRunLevelStatistics")
    if not isinstance(stats.get("processorStatistics"), list):
        return None
    if any("itemsInScopeCount" in row for row in rows):
        return sum(_number(row, "processedContentCount") for row in rows)
    return max((_number(row, "processedContentCount") for row in (*levels, *rows)), default=0)


def failure_reason(
    outcome: RunOutcome, *, fail_on: str, max_errors: int, sent: int, allow_unprocessed: bool
) -> str:
    """Return the reason why a FINISHED run counts as failed, or an empty text when it is a success.

    A FINISHED run may have skipped bad items, or all items. For a run with another status the counts are
    returned.

    :param fail_on: ``failed``: only when the run as a whole failed; ``errors``: also when more than
        ``max_errors`` items failed; ``warnings``: also when there is any warning.
    :param max_errors: number of failed items that is tolerated.
    :param sent: number of items in the run's content; when none of them was processed, the run failed.
    :param allow_unprocessed: accept a run that processed none of the items sent.
    """
    shown = "".join(f"\n  - {line}" for line in outcome.messages)
    counts = _counts(outcome)
    if outcome.status != FINISHED:
        return f"{counts}{shown}"
    if fail_on == "failed":
        return ""
    if outcome.errors > max_errors:
        return f"more errors than the {max_errors} allowed: {counts}{shown}"
    if sent and outcome.processed == 0 and not allow_unprocessed:
        return f"nothing of the {sent} items sent was processed; does a processor match their type?{shown}"
    if fail_on == "warnings" and outcome.warnings is None:
        return (
            f"whether it has warnings is unknown, because the service keeps no sync log of it: {counts}"
            f" (fail_on='errors' accepts that){shown}"
        )
    if fail_on == "warnings" and outcome.warnings:
        return f"it has warnings: {counts}{shown}"
    return ""


def _counts(outcome: RunOutcome) -> str:
    return (
        f"{_count(outcome.processed)} processed, {outcome.errors} errors, {_count(outcome.warnings)} warnings"
    )


def _count(value: int | None) -> str:
    return "an unknown number of" if value is None else str(value)


def _format_warning(row: Mapping[str, Any]) -> str:
    processor = row.get("processor")
    name = processor.get("name") if isinstance(processor, Mapping) else None
    parts = [str(row.get("status") or "WARNING")]
    if row.get("content"):
        parts.append(f"item {row['content']}")
    if name:
        parts.append(f"processor {name}")
    text = " - ".join(dict.fromkeys(str(row[key]) for key in ("message", "detail") if row.get(key)))
    return truncate(redact(f"{', '.join(parts)}: {text}"), 300)


def _rows(stats: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = stats.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _number(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0


def _total(stats: Mapping[str, Any], name: str, field_name: str) -> int:
    return sum(_number(row, field_name) for row in _rows(stats, name))


def read_outcome(hook: LeanIXHook, run_id: str, status: str) -> RunOutcome:
    """Read and log the statistics and warnings of an ended run.

    :param status: the run's last status.
    """
    stats = hook.get_run_stats(run_id)
    outcome = build_outcome(run_id, status, stats, islice(_iter_warnings(hook, run_id), _MAX_WARNINGS))
    hook.log.info("Run %s is %s: %s", one_line(run_id), one_line(status), _counts(outcome))
    if outcome.warnings is None:
        hook.log.warning("Run %s has no sync log: whether it has warnings is unknown", run_id)
    for line in outcome.messages:
        hook.log.warning("Run %s: %s", run_id, line)
    return outcome


def _iter_warnings(hook: LeanIXHook, run_id: str) -> Iterator[dict[str, Any] | None]:
    """Yield a run's warnings; last None when the service keeps no log of the run."""
    page = 0
    while True:
        rows = hook.send(get_warnings(run_id, page))
        if rows is None:
            yield None
            return
        yield from rows
        if len(rows) < PAGE:
            return
        page += 1


def raise_unless_successful(
    hook: LeanIXHook,
    outcome: RunOutcome,
    *,
    fail_on: str,
    max_errors: int,
    sent: int,
    allow_unprocessed: bool,
) -> None:
    """Raise when a run counts as failed; see :func:`failure_reason` for the parameters.

    :raises RunFailedError: with the reason and a link to the workspace's sync log.
    """
    reason = failure_reason(
        outcome, fail_on=fail_on, max_errors=max_errors, sent=sent, allow_unprocessed=allow_unprocessed
    )
    if reason:
        url = hook.sync_log_url()
        reason = f"{reason}\nThe workspace's sync log: {url}" if url else reason
        raise RunFailedError(outcome.run_id, outcome.status, reason)
