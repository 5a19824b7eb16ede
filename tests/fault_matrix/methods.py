"""Hook methods under faults: call each of them against the sandbox, which breaks one reply."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from airflow_provider.errors import AmbiguousWriteError, ProviderError
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix import method_rows, method_rows_iotstudio
from tests.fault_matrix.faults import FAULTS, HOOKS, LONGEST, QUICK, Injection, fresh
from tests.fault_matrix.method_rows import Row
from tests.support.budgets import forget_tokens

ROWS = [*method_rows.ROWS, *method_rows_iotstudio.ROWS]


def prepare(sandbox: Sandbox, row: Row) -> Any:
    """Reset the service, and create what the call needs."""
    fresh(sandbox, row.vendor)
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 1e4 if row.count else 0.0
    with HOOKS[row.vendor]() as hook:
        return row.prepare(hook)


@dataclass
class CallResult:
    """Value or error of a call, and its cost."""

    value: Any = None
    error: Exception | None = None
    requests: int = 0
    seconds: float = 0.0


def call(row: Row, prepared: Any) -> CallResult:
    result, started = CallResult(), time.monotonic()
    with HOOKS[row.vendor]() as hook:
        hook.retry_limits = QUICK
        try:
            result.value = row.call(hook, prepared)
        except ProviderError as error:
            result.error = error
        result.requests = hook.requests
    result.seconds = time.monotonic() - started
    return result


def cell(sandbox: Sandbox, row: Row, fault: str, expected: CallResult) -> str:
    """Return the behaviour of a method under a fault, in a few words; one of :data:`BAD` for a defect.

    :param expected: the result of the same call without a fault.
    """
    prepared = prepare(sandbox, row)
    if FAULTS[fault].get("path"):
        forget_tokens()
    injection = Injection(sandbox, fault)
    result = call(row, prepared)
    injection.end()
    if result.seconds > LONGEST:
        return "HUNG"
    if injection.leaked:
        return "LEAKED"
    if not injection.hit:
        return "-"
    return _classified(result, expected, _effects(row, prepared))


def _effects(row: Row, prepared: Any) -> int | None:
    if row.count is None:
        return None
    with HOOKS[row.vendor]() as hook:
        return row.count(hook, prepared)


def _classified(result: CallResult, expected: CallResult, effects: int | None) -> str:
    if effects is not None and effects > 1:
        return "DUPLICATED"
    if result.error is None:
        if effects == 0:
            return "LOST"
        if effects is None and result.value != expected.value:
            return "WRONG"
        return "fine" if result.requests <= expected.requests else "retried, fine"
    if isinstance(result.error, AmbiguousWriteError):
        return "ambiguous, done" if effects else "ambiguous, not done"
    name = type(result.error).__name__
    return f"{name}, although done" if effects else name


def faultless(sandbox: Sandbox, row: Row) -> CallResult:
    """Call a method without a fault."""
    prepared = prepare(sandbox, row)
    result = call(row, prepared)
    effects = _effects(row, prepared)
    if result.error is not None or effects not in {None, 1}:
        raise AssertionError(f"{row.vendor}.{row.method}: {result.error}, {effects} effects, without a fault")
    return result


def cells(sandbox: Sandbox, vendor: str) -> dict[str, list[str]]:
    """Return the cells of a vendor's methods, in the order of the faults."""
    out = {}
    for row in ROWS:
        if row.vendor == vendor:
            expected = faultless(sandbox, row)
            out[f"`{row.method}`"] = [cell(sandbox, row, fault, expected) for fault in FAULTS]
    return out
