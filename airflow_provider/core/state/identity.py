"""What a task remembers of its remote work, so that no try starts again what another try has started.

Airflow 3.3 keeps it in the task's state store, which survives crashes and retries. On older versions there
is no store, and only the marker that the remote work itself carries can be looked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any


def fingerprint(value: Any) -> str:
    """Give a short stable name for a JSON value: equal values have equal names, whatever their key order."""
    import msgspec

    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]


def without_expiry() -> dict[str, Any]:
    """Give the argument that lets a state store keep a value for ever, where the store knows it."""
    try:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE
    except ImportError:
        return {}
    return {"retention": NEVER_EXPIRE}


def task_identity(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what tells a task instance from all others: DAG, task, run and map index."""
    ti = context["ti"]
    return (str(ti.dag_id), str(ti.task_id), str(ti.run_id), str(getattr(ti, "map_index", -1)))
