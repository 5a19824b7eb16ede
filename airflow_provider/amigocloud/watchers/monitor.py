"""Listens and looks for all watchers of a connection together: one socket, one poll.

The service tells events once, to who is there. So after each connect, and now and then, there is a look at
everything that somebody watches; whatever was missed shows up there.
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
from airflow_provider.amigocloud.conditions import GOING, SUCCESS
from airflow_provider.amigocloud.pagination import Page, follow
from airflow_provider.amigocloud.realtime.engineio import Happened
from airflow_provider.amigocloud.realtime.socket import EventSocket, load_client, pauses
from airflow_provider.amigocloud.watchers.observations import (
    CHANGES,
    FAILED,
    FINISHED,
    Gone,
    Listed,
    Seen,
    Sighting,
    Told,
)
from airflow_provider.amigocloud.watchers.registry import Wishes
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.redaction import redact
from airflow_provider.errors import (
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
)

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook


PATIENCE = RetryLimits(attempts=2, cap=2.0, total=20.0)
"""Short: there will be another look, and events wait meanwhile."""


STEADY = 10.0
"""Seconds after which a connection that broke counts as a good one."""


SHOWN, MOST_SHOWN = 200, 20
"""So long is a text of an event's payload, so many entries has it: it comes from outside, and is stored."""


AHEAD = 100
"""So many sightings may wait to be given out before nothing more is read."""


class Lookout:
    """Gives what happens on a connection, for ever, whatever breaks.

    :param new_hook: makes a hook; called again after a failure, as the connection may have a new token.
    :param wishes: what to look at; more may come at any time.
    :param with_socket: False to look only.
    """

    def __init__(self, new_hook: Callable[[], AmigoCloudHook], wishes: Wishes, *, with_socket: bool) -> None:
        self._new_hook = new_hook
        self._renew()
        self._wishes = wishes
        self._with_socket = with_socket
        self._log = self._hook.log
        self._news: asyncio.Queue[Sighting] = asyncio.Queue(AHEAD)
        # What is asked later is also told later, so that no old state comes after a new one.
        self._turn = asyncio.Lock()

    async def sightings(self) -> AsyncGenerator[Sighting, None]:
        """Give what is told and seen, as it comes."""
        tasks = [asyncio.ensure_future(self._look_for_ever())]
        if self._with_socket:
            tasks.append(asyncio.ensure_future(self._listen_for_ever()))
        try:
            while True:
                sighting = await self._news.get()
                self._wishes.given()
                yield sighting
                await self._wishes.keep_pace()
        finally:
            await _end(*tasks)

    def _renew(self) -> None:
        self._hook = self._new_hook()
        self._hook.retry_limits = PATIENCE

    # -- looking

    async def _look_for_ever(self) -> None:
        waits = pauses(1.0)
        while True:
            self._wishes.due.clear()
            wait = self._wishes.interval * random.uniform(0.9, 1.1)  # noqa: S311
            try:
                await self._look()
                waits = pauses(1.0)
            except Exception as error:
                wait = min(wait, next(waits))
                self._renew()
                self._log.warning("looking for changes failed, again in %.1f s: %s", wait, error)
            # Not wait_for(): on Python 3.11 it swallows a cancellation that comes just when the wait is over.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wishes.due.wait()

    async def _look(self) -> None:
        hook = self._hook  # the listening may renew it meanwhile
        await hook.aload()
        for dataset in self._wishes.datasets:
            await self._take_turn(partial(self._look_at_dataset, hook, dataset))
        if self._wishes.needs_list and hook.has_project:
            await self._take_turn(partial(self._look_at_list, hook))
        for job, begun in self._wishes.jobs.items():
            await self._take_turn(partial(self._look_at_job, hook, job, begun))

    async def _take_turn(self, look: Callable[[], Awaitable[None]]) -> None:
        """Look at one thing; that one may not be looked at does not keep anybody from looking at others."""
        async with self._turn:
            try:
                await look()
            except (NotFoundError, PermissionDeniedError) as error:
                self._log.warning("this cannot be watched: %s", error)
                self._renew()

    async def _look_at_dataset(self, hook: AmigoCloudHook, dataset: int) -> None:
        await self._news.put(Seen(dataset, await hook.aget_master(dataset)))

    async def _look_at_list(self, hook: AmigoCloudHook) -> None:
        """Tell which datasets there are; not of a list that changed between two of its pages."""
        call, found, counts = api.list_page("datasets", 100), set[int](), set[int | None]()
        while True:
            page: Page = await hook.asend(call)
            known = len(found)
            found |= {int(row["id"]) for row in page.decoded()}
            counts.add(page.count)
            if page.next is None:
                break
            if len(found) == known:
                raise ProviderError("the list of datasets leads in a circle: a page tells nothing new")
            call = follow(call, page.next)
        if len(counts) == 1:
            await self._news.put(Listed(frozenset(found)))

    async def _look_at_job(self, hook: AmigoCloudHook, job: str, begun: Mapping[str, Any]) -> None:
        """Tell the end of a job whose beginning was told, should the socket not have told it."""
        if job not in self._wishes.jobs:
            return
        try:
            status = (await hook.aget_job(job)).get("status")
        except NotFoundError as error:
            self._log.warning("a job is given up: %s", error)
            await self._news.put(Gone(job))
            return
        if status not in GOING:
            await self._news.put(Told(FINISHED if status == SUCCESS else FAILED, begun, source="poll"))

    # -- listening

    async def _listen_for_ever(self) -> None:
        try:
            await load_client()
        except Exception as error:
            self._log.error("no events from the socket, changes are only looked for: %s", error)
            return
        waits, protocol = pauses(), 3
        while True:
            began = asyncio.get_running_loop().time()
            try:
                async with EventSocket(self._hook, protocol) as socket:
                    await self._listen(socket)
            except Exception as error:
                self._renew()
                if asyncio.get_running_loop().time() - began > STEADY:
                    waits = pauses()
                if isinstance(error, RequestRejectedError) and error.status == 400:
                    protocol = 7 - protocol
                wait = next(waits)
                self._log.warning("no events from the socket, again in %.1f s: %s", wait, error)
                await asyncio.sleep(wait)

    async def _listen(self, socket: EventSocket) -> None:
        """Listen until the connection breaks."""
        tasks = [asyncio.ensure_future(work) for work in (self._join(socket), self._receive(socket))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end(*tasks)

    async def _join(self, socket: EventSocket) -> None:
        """Ask for the user's events and for those of each dataset that somebody watches, now and later."""
        user, joined = int((await self._hook.asend(api.me()))["id"]), set[int]()
        await socket.authenticate(user)
        while True:
            self._wishes.grown.clear()
            for dataset in self._wishes.datasets - joined:
                joined.add(dataset)
                try:
                    await socket.authenticate(user, dataset)
                except (NotFoundError, PermissionDeniedError) as error:
                    self._log.warning("no broadcasts of dataset %s, it is only looked at: %s", dataset, error)
            self._wishes.due.set()
            await self._wishes.grown.wait()

    async def _receive(self, socket: EventSocket) -> None:
        while True:
            await self._tell(await socket.receive())

    async def _tell(self, event: Happened) -> None:
        name, payload = self._clean(event.name), self._clean_brief(event.brief())
        dataset, master = payload.get("dataset_id"), None
        async with self._turn:
            if dataset in self._wishes.datasets:
                try:
                    master = await self._hook.aget_master(dataset)
                except ProviderError as error:
                    self._log.warning("an event's dataset could not be read: %s", error)
                    self._wishes.due.set()
                    if name in CHANGES:
                        return  # the look will find the change, and tell it once
            await self._news.put(Told(name, payload, master))

    def _clean(self, text: str) -> str:
        # Some more is cleaned than is shown: a secret that is cut in two is not found.
        return redact(text[: 5 * SHOWN])[:SHOWN]

    def _clean_brief(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what is short and no secret: what is fired is stored and logged in full."""
        return {
            self._clean(name): self._clean(value) if isinstance(value, str) else value
            for name, value in islice(told.items(), MOST_SHOWN)
        }


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait for their end, whatever it is; who waits here may be cancelled meanwhile."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: whoever broke has said so
