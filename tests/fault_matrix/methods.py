"""What each hook method does on a bad day: called against the sandbox, which breaks one answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from airflow_provider.core.http import auth
from airflow_provider.errors import AmbiguousWriteError, ProviderError
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix import method_rows, method_rows_iotstudio
from tests.fault_matrix.faults import FAULTS, HOOKS, LONGEST, QUICK, Strike, fresh
from tests.fault_matrix.method_rows import Row

ROWS = [*method_rows.ROWS, *method_rows_iotstudio.ROWS]


def _prepared(sandbox: Sandbox, row: Row) -> Any:
    """Put the world back, and make what the call needs."""
    fresh(sandbox, row.vendor)
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 1e4 if row.count else 0.0
    with HOOKS[row.vendor]() as hook:
        return row.prepare(hook)


@dataclass
class Outcome:
    """How one call ended."""

    value: Any = None
    error: Exception | None = None
    requests: int = 0
    seconds: float = 0.0


def _call(row: Row, prepared: Any) -> Outcome:
    outcome, started = Outcome(), time.monotonic()
    with HOOKS[row.vendor]() as hook:
        hook.retry_limits = QUICK
        try:
            outcome.value = row.call(hook, prepared)
        except ProviderError as error:
            outcome.error = error
        outcome.requests = hook.requests
    outcome.seconds = time.monotonic() - started
    return outcome


def cell(sandbox: Sandbox, row: Row, fault: str, usual: Outcome) -> str:
    """Say what a method does under a fault; one of :data:`BAD` when it should not.

    :param usual: how the same call ends on a good day.
    """
    prepared = _prepared(sandbox, row)
    if FAULTS[fault].get("path"):
        auth._slots.clear()
    strike = Strike(sandbox, fault)
    outcome = _call(row, prepared)
    strike.end()
    if outcome.seconds > LONGEST:
        return "HUNG"
    if strike.leaked:
        return "LEAKED"
    if not strike.hit:
        return "-"
    return _judged(row, outcome, usual, _effects(row, prepared))


def _effects(row: Row, prepared: Any) -> int | None:
    if row.count is None:
        return None
    with HOOKS[row.vendor]() as hook:
        return row.count(hook, prepared)


def _judged(row: Row, outcome: Outcome, usual: Outcome, effects: int | None) -> str:
    if effects is not None and effects > 1:
        return "DUPLICATED"
    if outcome.error is None:
        if effects == 0:
            return "LOST"
        if effects is None and outcome.value != usual.value:
            return "WRONG"
        return "fine" if outcome.requests <= usual.requests else "retried, fine"
    if isinstance(outcome.error, AmbiguousWriteError):
        return "ambiguous, done" if effects else "ambiguous, not done"
    name = type(outcome.error).__name__
    return f"{name}, although done" if effects else name


def usual(sandbox: Sandbox, row: Row) -> Outcome:
    """Call a method on a good day."""
    prepared = _prepared(sandbox, row)
    outcome = _call(row, prepared)
    effects = _effects(row, prepared)
    if outcome.error is not None or effects not in {None, 1}:
        raise AssertionError(
            f"{row.vendor}.{row.method}: {outcome.error}, {effects} effects, without a fault"
        )
    return outcome


def cells(sandbox: Sandbox, vendor: str) -> dict[str, list[str]]:
    """Give the cells of a vendor's methods, in the order of the faults."""
    out = {}
    for row in ROWS:
        if row.vendor == vendor:
            good = usual(sandbox, row)
            out[f"`{row.method}`"] = [cell(sandbox, row, fault, good) for fault in FAULTS]
    return out
