"""Looks after many runs with few requests: all who wait for runs of one workspace share its run list."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider.core.limits import shared_budget
from airflow_provider.core.waiting import share
from airflow_provider.leanix.api import list_statuses
from airflow_provider.leanix.hooks import LeanIXHook

_FEW = 4
"""So many runs are asked for one by one: the list holds every run that ever was."""

_ROWS_PER_RUN = 500
"""A list with more rows than this for each run that is waited for costs more than it saves."""

_MOST_ROWS = 50_000
"""A longer list takes too long to read on an event loop (this one: some 20 ms)."""

_LOOKS_PER_SECOND = 15.0
"""So many runs a second are asked for one by one: half of what the vendor allows a user."""

_HOOK_SECONDS = 60.0


class Waiter:
    """One who waits; it counts as long as it lives."""


@dataclass
class _Workspace:
    """Who waits for runs of one workspace, and how long its list was when it was last read."""

    waiting: WeakSet[Waiter] = field(default_factory=WeakSet)
    rows: int = 0

    def list_is_better(self) -> bool:
        count = len(self.waiting)
        return count > _FEW and self.rows <= min(count * _ROWS_PER_RUN, _MOST_ROWS)


_workspaces: WeakKeyDictionary[Any, dict[Hashable, _Workspace]] = WeakKeyDictionary()


async def watch(conn_id: str, run_id: str, poll_interval: float, waiter: Waiter) -> str:
    """Give a run's status, at most about ``poll_interval`` seconds old.

    Where the list would be too long for many who wait, each waits for its turn to ask for its own run.

    :param conn_id: the connection; all who wait through it share a hook, which is a minute old at most.
    :param waiter: who wants to know.
    """
    hook = await share(("leanix hook", conn_id), _HOOK_SECONDS, lambda: _loaded(conn_id))
    key = ("leanix runs", conn_id, hook.settings.host)
    workspaces = _workspaces.setdefault(asyncio.get_running_loop(), {})
    workspace = workspaces.setdefault(key, _Workspace())
    workspace.waiting.add(waiter)
    if not workspace.list_is_better():
        return await _look(hook, run_id)

    async def fetch() -> dict[str, str]:
        statuses = await hook.asend(list_statuses())
        workspace.rows = len(statuses)
        return statuses

    statuses = await share(key, poll_interval * 0.8, fetch)
    return statuses.get(run_id) or await _look(hook, run_id)


async def _look(hook: LeanIXHook, run_id: str) -> str:
    turns = shared_budget(_LOOKS_PER_SECOND, "leanix status", hook.settings.host, hook.conn_id)
    await asyncio.sleep(turns.reserve())
    return await hook.aget_run_status(run_id)


async def _loaded(conn_id: str) -> LeanIXHook:
    hook = LeanIXHook(conn_id)
    await hook.aload()
    return hook
