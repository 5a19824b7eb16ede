"""Connection monitor: one socket and one poll loop, shared by all watchers of a connection.

The service sends an event once, to the clients that are connected. After each connect and at an interval,
the monitor therefore polls everything that is watched; the poll finds the changes whose events were missed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.conditions import RUNNING_STATES, SUCCESS
from airflow_provider.amigocloud.pagination import Page, follow
from airflow_provider.amigocloud.realtime.engineio import Event
from airflow_provider.amigocloud.realtime.socket import EventSocket, backoff_delays, load_client
from airflow_provider.amigocloud.watchers.observations import (
    CHANGES,
    FAILED,
    FINISHED,
    EventObservation,
    ListObservation,
    MissingJobObservation,
    Observation,
    StateObservation,
)
from airflow_provider.amigocloud.watchers.registry import WatchRegistry
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.redaction import redact_beginning
from airflow_provider.errors import (
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
    one_line,
)

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook


RETRY_LIMITS = RetryLimits(attempts=2, cap=2.0, total=20.0)
"""Retry limits of the monitor's requests. They are short: another poll follows, and events wait meanwhile."""

STABLE_SECONDS = 10.0
"""Seconds after which a connection counts as stable, so that the backoff starts over when it breaks."""

MAX_TEXT, MAX_ENTRIES = 200, 20
"""Maximum characters of a text, and entries, of an event's payload: it is foreign data, and it is stored."""

MAX_QUEUED = 100
"""Maximum queued observations; while the queue is full, the monitor reads nothing more."""


class ConnectionMonitor:
    """Monitor of a connection: yield its observations forever, whatever fails.

    :param new_hook: makes a hook. The monitor calls it after each failure, as the connection may have a new
        token.
    :param registry: the requests of the watchers; it may change at any time.
    :param with_socket: False to poll only.
    """

    def __init__(
        self, new_hook: Callable[[], AmigoCloudHook], registry: WatchRegistry, *, with_socket: bool
    ) -> None:
        self._new_hook = new_hook
        self._renew_hook()
        self._registry = registry
        self._with_socket = with_socket
        self._log = self._hook.log
        self._queue: asyncio.Queue[Observation] = asyncio.Queue(MAX_QUEUED)
        # A later request is also published later, so that no old state follows a new one.
        self._order = asyncio.Lock()

    async def observations(self) -> AsyncGenerator[Observation, None]:
        """Yield the observations of the socket and of the polls in their order."""
        tasks = [asyncio.ensure_future(self._poll_forever())]
        if self._with_socket:
            tasks.append(asyncio.ensure_future(self._listen_forever()))
        try:
            while True:
                observation = await self._queue.get()
                self._registry.mark_sent()
                yield observation
                await self._registry.wait_for_slow_watchers()
        finally:
            await _cancel(*tasks)

    def _renew_hook(self) -> None:
        self._hook = self._new_hook()
        self._hook.retry_limits = RETRY_LIMITS

    # -- polling

    async def _poll_forever(self) -> None:
        delays = backoff_delays(1.0)
        while True:
            self._registry.poll_due.clear()
            delay = self._registry.interval * random.uniform(0.9, 1.1)  # noqa: S311
            try:
                await self._poll()
                delays = backoff_delays(1.0)
            except Exception as error:
                delay = min(delay, next(delays))
                self._renew_hook()
                self._log.warning("polling for changes failed, retrying in %.1f s: %s", delay, error)
            # Not wait_for(): on Python 3.11 it swallows a cancellation that comes just when the wait is over.
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._registry.poll_due.wait()

    async def _poll(self) -> None:
        hook = self._hook  # the listening task may renew it meanwhile
        await hook.aload()
        for dataset in self._registry.datasets:
            await self._poll_in_order(partial(self._poll_dataset, hook, dataset))
        if self._registry.needs_list and hook.has_project:
            await self._poll_in_order(partial(self._poll_list, hook))
        for job, start in self._registry.jobs.items():
            await self._poll_in_order(partial(self._poll_job, hook, job, start))

    async def _poll_in_order(self, poll: Callable[[], Awaitable[None]]) -> None:
        """Run one poll; when the token may not read its object, log that and continue with the others."""
        async with self._order:
            try:
                await poll()
            except (NotFoundError, PermissionDeniedError) as error:
                self._log.warning("an object cannot be watched: %s", error)
                self._renew_hook()

    async def _poll_dataset(self, hook: AmigoCloudHook, dataset: int) -> None:
        asked = _now()
        await self._queue.put(StateObservation(dataset, await hook.aget_master(dataset), asked))

    async def _poll_list(self, hook: AmigoCloudHook) -> None:
        """Publish the list of datasets, unless it changed between two of its pages."""
        call, found, counts, asked = api.list_page("datasets", 100), set[int](), set[int | None](), _now()
        while True:
            page: Page = await hook.asend(call)
            before = len(found)
            found |= {int(row["id"]) for row in page.decoded()}
            counts.add(page.count)
            if page.next is None:
                break
            if len(found) == before:
                raise ProviderError(
                    f"the list of datasets is circular: after {before} datasets a page holds no new dataset"
                )
            call = follow(call, page.next)
        if len(counts) == 1:
            await self._queue.put(ListObservation(frozenset(found), asked))

    async def _poll_job(self, hook: AmigoCloudHook, job: str, start: Mapping[str, Any]) -> None:
        """Publish the end of a job whose start event was received, in case its end event is missed."""
        if job not in self._registry.jobs:
            return
        try:
            status = (await hook.aget_job(job)).get("status")
        except NotFoundError as error:
            self._log.warning("job %s is no longer watched: %s", one_line(job), error)
            await self._queue.put(MissingJobObservation(job))
            return
        if status not in RUNNING_STATES:
            name = FINISHED if status == SUCCESS else FAILED
            await self._queue.put(EventObservation(name, start, source="poll"))

    # -- listening

    async def _listen_forever(self) -> None:
        try:
            await load_client()
        except Exception as error:
            self._log.error("the socket is unavailable, changes are found by polling only: %s", error)
            return
        delays, protocol = backoff_delays(), 3
        while True:
            started = asyncio.get_running_loop().time()
            try:
                async with EventSocket(self._hook, protocol) as socket:
                    await self._listen(socket)
            except Exception as error:
                self._renew_hook()
                if asyncio.get_running_loop().time() - started > STABLE_SECONDS:
                    delays = backoff_delays()
                if isinstance(error, RequestRejectedError) and error.status == 400:
                    protocol = 7 - protocol
                delay = next(delays)
                self._log.warning("the socket is unavailable, reconnecting in %.1f s: %s", delay, error)
                await asyncio.sleep(delay)

    async def _listen(self, socket: EventSocket) -> None:
        """Receive events until the connection breaks."""
        tasks = [asyncio.ensure_future(work) for work in (self._subscribe(socket), self._receive(socket))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _cancel(*tasks)

    async def _subscribe(self, socket: EventSocket) -> None:
        """Subscribe to the user's events and to those of each watched dataset, now and later."""
        user, subscribed = int((await self._hook.asend(api.me()))["id"]), set[int]()
        await socket.authenticate(user)
        while True:
            self._registry.watcher_added.clear()
            for dataset in self._registry.datasets - subscribed:
                subscribed.add(dataset)
                try:
                    await socket.authenticate(user, dataset)
                except (NotFoundError, PermissionDeniedError) as error:
                    self._log.warning("no broadcasts of dataset %s, it is polled only: %s", dataset, error)
            self._registry.poll_due.set()
            await self._registry.watcher_added.wait()

    async def _receive(self, socket: EventSocket) -> None:
        while True:
            await self._publish(await socket.receive())

    async def _publish(self, event: Event) -> None:
        name, payload = _clean(event.name), _clean_payload(event.brief())
        dataset, master = payload.get("dataset_id"), None
        async with self._order:
            asked = _now()
            if dataset in self._registry.datasets:
                try:
                    master = await self._hook.aget_master(dataset)
                except ProviderError as error:
                    self._log.warning("the state of event dataset %s cannot be read: %s", dataset, error)
                    self._registry.poll_due.set()
                    if name in CHANGES:
                        return  # the poll finds the change, and reports it once
            await self._queue.put(EventObservation(name, payload, master, asked=asked))


def _clean(text: str) -> str:
    return redact_beginning(text, MAX_TEXT)


def _clean_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload shortened and redacted: a fired event is stored and logged in full."""
    return {
        _clean(name): _clean(value) if isinstance(value, str) else value
        for name, value in islice(payload.items(), MAX_ENTRIES)
    }


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait for their end; the waiting task may itself be cancelled meanwhile."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieve it: the task has logged its error
