"""Identity of stored state: fingerprints of requests, identities of tasks, and expiry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def fingerprint(value: Any) -> str:
    """Return a short stable hash of a JSON value; the order of keys does not matter."""
    import msgspec

    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]


def without_expiry() -> dict[str, Any]:
    """Return the argument with which a state store keeps a value without expiry; empty before Airflow 3.3."""
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE
    except ImportError:
        return {}
    return {"retention": NEVER_EXPIRE}


def task_identity(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the identity of a task instance: DAG, task, run and map index."""
    ti = context["ti"]
    return (str(ti.dag_id), str(ti.task_id), str(ti.run_id), str(getattr(ti, "map_index", -1)))
