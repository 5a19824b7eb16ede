"""Shared polls of many runs: the triggers that wait for runs of one workspace share its run list."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider.core.http.rate_limit import shared_budget
from airflow_provider.core.shared_polls import shared_result, wake
from airflow_provider.errors import ProviderError
from airflow_provider.leanix.api import CREATED, LIVE, get_results_url, has_results, list_statuses
from airflow_provider.leanix.hooks import LeanIXHook

_MAX_SINGLE_POLLS = 4
"""Maximum waiting triggers that poll their runs one by one; the list contains every run ever made."""

_ROWS_PER_RUN = 500
"""Maximum rows of the list per waiting trigger; a longer list costs more than it saves."""

_MAX_LIST_ROWS = 50_000
"""Maximum rows of the list; decoding them takes some 20 ms on the event loop."""

_STATUS_POLLS_PER_SECOND = 15.0
"""Maximum polls of single runs per second: half of the vendor's limit for a user."""

_HOOK_MAX_AGE = 60.0
"""Maximum age of a shared hook in seconds, after which a changed connection takes effect."""

_NOT_ENDED = LIVE | {CREATED}


@dataclass(eq=False, slots=True, weakref_slot=True)
class RunWaiter:
    """A trigger waiting for a run, registered while referenced.

    :param run_id: the run.
    :param poll_interval: maximum seconds between polls.
    """

    run_id: str
    poll_interval: float
    pause: float = 0.0


async def poll_run_status(conn_id: str, waiter: RunWaiter) -> str:
    """Return the status of a waiter's run.

    With few waiters, the run is polled at once. With many waiters, the function returns when the run list
    shows that the run is not simply in progress. When the list would be too long, the runs are polled one
    by one at a limited rate.

    :param conn_id: the connection; its waiters share a hook, which is at most a minute old.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.setdefault(conn_id, _RunListPoller(conn_id))
    poller.waiters.add(waiter)
    status = await poller.status_from_list(waiter) if poller.list_is_cheaper() else ""
    return status or await _poll_single_run(await poller.hook(), waiter.run_id)


async def results_are_ready(conn_id: str, run_id: str) -> bool:
    """Return whether the results of a FINISHED run can be downloaded: by a link, or from the API itself.

    :param conn_id: the connection.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    hook = await pollers.setdefault(conn_id, _RunListPoller(conn_id)).hook()
    if await hook.asend(get_results_url(run_id)):
        return True
    return await hook.asend(has_results(run_id))


class _RunListPoller:
    """Poller of a workspace's run list on one event loop, for all waiters of a connection.

    One task reads the list for all waiters. A run in progress costs nothing between two polls, not even an
    object: a triggerer that creates thousands of objects per poll pauses for a tenth of a second now and
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
        """Return whether reading the list costs less than polling each run."""
        count = len(self.waiters)
        return count > _MAX_SINGLE_POLLS and self._rows <= min(count * _ROWS_PER_RUN, _MAX_LIST_ROWS)

    async def hook(self) -> LeanIXHook:
        """Return the hook that all waiters share; a changed connection takes effect within a minute."""
        return await shared_result(("leanix hook", self._conn_id), _HOOK_MAX_AGE, self._load_hook)

    async def status_from_list(self, waiter: RunWaiter) -> str:
        """Wait until the list shows that a run is not simply in progress; return its status.

        Empty when the list does not contain the run, or has become too long. An error of the request is
        raised for every waiter.
        """
        loop = asyncio.get_running_loop()
        waiter.pause = min(1.0, waiter.poll_interval)
        self._due = min(self._due, loop.time() + waiter.pause)
        future: asyncio.Future[str] = loop.create_future()
        self._futures[waiter] = future
        if self._task is None:
            # A task of its own: when the first waiter is cancelled, the others still get the result.
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
                await self._resolve(statuses)
                self._due = loop.time() + self._next_interval()
                while (left := self._due - loop.time()) > 0:
                    # In short steps: a new waiter may need the list earlier.
                    await asyncio.sleep(min(left, 1.0))
        except Exception as error:
            failure = error
            # Triggers that come while the others are woken start a task of their own.
            waiting, self._task = [*self._futures.values()], None
            await wake(waiting, lambda future: future.set_exception(failure))
        finally:
            if self._task is asyncio.current_task():
                self._task = None

    async def _resolve(self, statuses: dict[str, str]) -> None:
        """Set the results of the waiters whose runs are not simply in progress."""
        use_list = self.list_is_cheaper()
        ready = {}
        for waiter, future in self._futures.items():
            status = statuses.get(waiter.run_id, "")
            if not (use_list and status in _NOT_ENDED):
                ready[future] = status
        await wake([*ready], lambda future: future.set_result(ready[future]))

    def _next_interval(self) -> float:
        """Return the seconds until the next poll: the shortest of all waiters, with a jitter of a tenth."""
        pause = min((waiter.pause for waiter in self._futures), default=0.0)
        for waiter in self._futures:
            waiter.pause = min(waiter.poll_interval, waiter.pause * 1.5)
        return pause * random.uniform(0.9, 1.1)  # noqa: S311

    async def _load_hook(self) -> LeanIXHook:
        hook = LeanIXHook(self._conn_id)
        try:
            await hook.aload()
        except ProviderError:
            raise  # the connection was changed and is invalid now
        except Exception as error:
            if self._last_hook is None:
                raise
            # Airflow itself does not answer, which is no reason to end the waiting triggers.
            hook.log.warning(
                "connection '%s' cannot be reloaded, the last known settings are used: %s",
                self._conn_id,
                error,
            )
            return self._last_hook
        self._last_hook = hook
        return hook


_pollers: WeakKeyDictionary[Any, dict[str, _RunListPoller]] = WeakKeyDictionary()


async def _poll_single_run(hook: LeanIXHook, run_id: str) -> str:
    budget = shared_budget(
        "process", _STATUS_POLLS_PER_SECOND, "leanix status", hook.settings.host, hook.conn_id
    )
    await budget.aacquire()
    return await hook.aget_run_status(run_id)
