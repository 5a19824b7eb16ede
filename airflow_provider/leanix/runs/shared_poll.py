"""Looks after many runs with few requests: all who wait for runs of one workspace share its run list."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider.core.http.rate_limit import shared_budget
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.errors import ProviderError
from airflow_provider.leanix.api import CREATED, LIVE, list_statuses
from airflow_provider.leanix.hooks import LeanIXHook

_MAX_SINGLE_POLLS = 4
"""So many runs are asked for one by one: the list holds every run that ever was."""

_ROWS_PER_RUN = 500
"""A list with more rows than this for each run that is waited for costs more than it saves."""

_MAX_LIST_ROWS = 50_000
"""A longer list takes too long to read on an event loop (this one: some 20 ms)."""

_STATUS_POLLS_PER_SECOND = 15.0
"""So many runs a second are asked for one by one: half of what the vendor allows a user."""

_HOOK_MAX_AGE = 60.0


_NOT_ENDED = LIVE | {CREATED}


@dataclass(eq=False, slots=True, weakref_slot=True)
class RunWaiter:
    """One who waits for a run; it counts as long as it lives.

    :param run_id: the run.
    :param poll_interval: the longest interval between two looks, in seconds.
    """

    run_id: str
    poll_interval: float
    pause: float = 0.0


async def poll_run_status(conn_id: str, waiter: RunWaiter) -> str:
    """Give the status of a waiter's run: at once where few wait, else when there is something to tell.

    Where the list would be too long for many who wait, each waits for its turn to ask for its own run.

    :param conn_id: the connection; all who wait through it share a hook, which is a minute old at most.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.setdefault(conn_id, _RunListPoller(conn_id))
    poller.waiters.add(waiter)
    listed = await poller.status_from_list(waiter) if poller.list_is_cheaper() else ""
    return listed or await _poll_single_run(await poller.hook(), waiter.run_id)


class _RunListPoller:
    """Who waits for runs of one workspace on one event loop, and the list that is read for them.

    One task reads the list for all. A run that is still going on costs nothing between two lists, not even
    an object: a triggerer that makes thousands of them with every tick stops for a tenth of a second now and
    then, to collect them.

    :param conn_id: the connection.
    """

    def __init__(self, conn_id: str) -> None:
        self.waiters: WeakSet[RunWaiter] = WeakSet()
        self._conn_id = conn_id
        self._futures: dict[RunWaiter, asyncio.Future[str]] = {}
        self._rows = 0
        self._due = 0.0
        self._last_hook: LeanIXHook | None = None
        self._task: asyncio.Task[None] | None = None

    def list_is_cheaper(self) -> bool:
        """Tell whether the list costs less than a look at each run."""
        count = len(self.waiters)
        return count > _MAX_SINGLE_POLLS and self._rows <= min(count * _ROWS_PER_RUN, _MAX_LIST_ROWS)

    async def hook(self) -> LeanIXHook:
        """Give the hook that all who wait share; a changed connection is noticed within a minute."""
        return await shared_result(("leanix hook", self._conn_id), _HOOK_MAX_AGE, self._load_hook)

    async def status_from_list(self, waiter: RunWaiter) -> str:
        """Wait until the list shows that a run does not just go on, and give its status.

        Empty when the list does not hold the run, or is not worth reading any more. An error of the request
        reaches everybody who waits.
        """
        loop = asyncio.get_running_loop()
        waiter.pause = min(1.0, waiter.poll_interval)
        self._due = min(self._due, loop.time() + waiter.pause)
        future: asyncio.Future[str] = loop.create_future()
        self._futures[waiter] = future
        if self._task is None:
            # Its own task: when the trigger that asked first is cancelled, the others still get the answer.
            self._task = loop.create_task(self._poll_list())
        try:
            return await future
        finally:
            del self._futures[waiter]

    async def _poll_list(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._futures:
                statuses = await (await self.hook()).asend(list_statuses())
                self._rows = len(statuses)
                self._resolve(statuses)
                self._due = loop.time() + self._next_interval()
                while (left := self._due - loop.time()) > 0:
                    # Not longer: one who comes meanwhile may want the list earlier.
                    await asyncio.sleep(min(left, 1.0))
        except Exception as error:
            for future in self._futures.values():
                if not future.done():
                    future.set_exception(error)
        finally:
            self._task = None

    def _resolve(self, statuses: dict[str, str]) -> None:
        better = self.list_is_cheaper()
        for waiter, future in self._futures.items():
            status = statuses.get(waiter.run_id, "")
            if not future.done() and not (better and status in _NOT_ENDED):
                future.set_result(status)

    def _next_interval(self) -> float:
        """Give the seconds until the next list: what the most impatient wants, jittered by a tenth."""
        pause = min((waiter.pause for waiter in self._futures), default=0.0)
        for waiter in self._futures:
            waiter.pause = min(waiter.poll_interval, waiter.pause * 1.5)
        return pause * random.uniform(0.9, 1.1)  # noqa: S311

    async def _load_hook(self) -> LeanIXHook:
        hook = LeanIXHook(self._conn_id)
        try:
            await hook.aload()
        except ProviderError:
            raise  # it was changed, to something that is wrong
        except Exception as error:
            if self._last_hook is None:
                raise
            # Airflow itself does not answer: that is no reason to end all who wait.
            hook.log.warning(
                "connection '%s' cannot be read again, the old one is used: %s", self._conn_id, error
            )
            return self._last_hook
        self._last_hook = hook
        return hook


_pollers: WeakKeyDictionary[Any, dict[str, _RunListPoller]] = WeakKeyDictionary()


async def _poll_single_run(hook: LeanIXHook, run_id: str) -> str:
    turns = shared_budget(_STATUS_POLLS_PER_SECOND, "leanix status", hook.settings.host, hook.conn_id)
    await asyncio.sleep(turns.reserve())
    return await hook.aget_run_status(run_id)
