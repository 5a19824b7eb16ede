"""Looks after many runs with few requests: all who wait for runs of one workspace share its run list."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider.core.waiting import share
from airflow_provider.leanix.hooks import LeanIXHook

_FEW = 4
"""So many runs are asked for one by one: the list holds every run that ever was."""

_ROWS_PER_RUN = 500
"""A list with more rows than this for each run that is waited for costs more than it saves."""


@dataclass
class _Workspace:
    """Who waits for runs of one workspace, and how long its list was when it was last read."""

    waiting: WeakSet[LeanIXHook] = field(default_factory=WeakSet)
    rows: int = 0

    def list_is_better(self) -> bool:
        count = len(self.waiting)
        return count > _FEW and self.rows <= count * _ROWS_PER_RUN


_workspaces: WeakKeyDictionary[Any, dict[str, _Workspace]] = WeakKeyDictionary()


async def watch(hook: LeanIXHook, run_id: str, poll_interval: float) -> str:
    """Give a run's status, at most about ``poll_interval`` seconds old.

    :param hook: the hook of the one who waits; it counts as waiting as long as it lives.
    """
    settings = await hook.aload()
    workspaces = _workspaces.setdefault(asyncio.get_running_loop(), {})
    workspace = workspaces.setdefault(f"{hook.conn_id} {settings.host}", _Workspace())
    workspace.waiting.add(hook)
    if not workspace.list_is_better():
        return await hook.aget_run_status(run_id)

    async def fetch() -> dict[str, str]:
        rows = await hook.alist_runs()
        workspace.rows = len(rows)
        return {str(row.get("id")): str(row.get("status") or "") for row in rows}

    key = ("leanix runs", hook.conn_id, settings.host)
    statuses = await share(key, poll_interval * 0.8, fetch)
    return statuses.get(run_id) or await hook.aget_run_status(run_id)
