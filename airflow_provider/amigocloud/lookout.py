"""Listens and looks for all watchers of a connection together: one socket, one poll.

The service tells events once, to who is there. So after each connect, and now and then, there is a look at
everything that somebody watches; whatever was missed shows up there.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.frames import Happened
from airflow_provider.amigocloud.pages import Page, follow
from airflow_provider.amigocloud.realtime import EventSocket, load_client, pauses
from airflow_provider.amigocloud.sightings import CHANGES, Listed, Seen, Sighting, Told
from airflow_provider.amigocloud.watching import GOING, SUCCESS
from airflow_provider.core.policy import Patience
from airflow_provider.core.redaction import Redactor
from airflow_provider.errors import (
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RequestRejectedError,
)

if TYPE_CHECKING:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook

PATIENCE = Patience(attempts=2, cap=2.0, total=20.0)
"""Short: there will be another look, and events wait meanwhile."""
STEADY = 10.0
"""Seconds after which a connection that broke counts as a good one."""
SHOWN = 200
MOST_JOBS = 100
STARTED = "project:process_file_started"
FINISHED, FAILED = "project:process_file_finished", "project:process_datasource_failed"


class Wishes:
    """What the watchers of one connection want to be looked at."""

    def __init__(self) -> None:
        self.datasets: Counter[int] = Counter()
        self.lists = 0
        self.intervals: Counter[float] = Counter()
        self.due = asyncio.Event()
        self.grown = asyncio.Event()

    @contextmanager
    def one_more(self, dataset: int | None, needs_list: bool, interval: float) -> Iterator[None]:
        """Look at a dataset, or at the project's list, for as long as this lasts."""
        added = Counter([dataset] if dataset is not None else [])
        self.datasets += added
        self.lists += needs_list
        self.intervals += Counter([interval])
        self.due.set()
        self.grown.set()
        try:
            yield
        finally:
            self.datasets -= added
            self.lists -= needs_list
            self.intervals -= Counter([interval])


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
        self._news: asyncio.Queue[Sighting] = asyncio.Queue()
        self._jobs: dict[str, Mapping[str, Any]] = {}
        # What is asked later is also told later, so that no old state comes after a new one.
        self._turn = asyncio.Lock()
        self._redactor = Redactor()

    async def sightings(self) -> AsyncIterator[Sighting]:
        """Give what is told and seen, as it comes."""
        work = [self._look_for_ever()]
        if self._with_socket:
            work.append(self._listen_for_ever())
        async with AsyncExitStack() as stack:
            for one in work:
                stack.push_async_callback(_end, asyncio.ensure_future(one))
            while True:
                yield await self._news.get()

    def _renew(self) -> None:
        self._hook = self._new_hook()
        self._hook.patience = PATIENCE

    # -- looking

    async def _look_for_ever(self) -> None:
        waits = pauses(1.0)
        while True:
            self._wishes.due.clear()
            wait = min(self._wishes.intervals, default=60.0) * random.uniform(0.9, 1.1)  # noqa: S311
            try:
                await self._look()
                waits = pauses(1.0)
            except Exception as error:
                wait = min(wait, next(waits))
                self._renew()
                self._log.warning("looking for changes failed, again in %.0f s: %s", wait, error)
            # Not wait_for(): on Python 3.11 it swallows a cancellation that comes just when the wait is over.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wishes.due.wait()

    async def _look(self) -> None:
        hook = self._hook  # the listening may renew it meanwhile
        self._redactor.add((await hook.aload()).password)
        for dataset in list(self._wishes.datasets):
            await self._take_turn(partial(self._look_at_dataset, hook, dataset))
        if self._wishes.lists and hook.has_project:
            await self._take_turn(partial(self._look_at_list, hook))
        for job in list(self._jobs):
            await self._take_turn(partial(self._look_at_job, hook, job))

    async def _take_turn(self, look: Callable[[], Awaitable[None]]) -> None:
        """Look at one thing; that one may not be looked at does not keep anybody from looking at others."""
        async with self._turn:
            try:
                await look()
            except (NotFoundError, PermissionDeniedError) as error:
                self._log.warning("this cannot be watched: %s", error)
                self._renew()

    async def _look_at_dataset(self, hook: AmigoCloudHook, dataset: int) -> None:
        self._news.put_nowait(Seen(dataset, await hook.aget_master(dataset)))

    async def _look_at_list(self, hook: AmigoCloudHook) -> None:
        call, found = api.list_page("datasets", 100), set[int]()
        while True:
            page: Page = await hook.asend(call)
            found |= {int(row["id"]) for row in page.decoded()}
            if page.next is None:
                break
            call = follow(call, page.next)
        self._news.put_nowait(Listed(frozenset(found)))

    async def _look_at_job(self, hook: AmigoCloudHook, job: str) -> None:
        """Tell the end of a job whose beginning was told, should the socket not have told it."""
        if job not in self._jobs:
            return
        status = (await hook.aget_job(job)).get("status")
        if status not in GOING:
            name = FINISHED if status == SUCCESS else FAILED
            self._news.put_nowait(Told(name, self._jobs.pop(job), source="poll"))

    # -- listening

    async def _listen_for_ever(self) -> None:
        try:
            await load_client()
        except InputError as error:
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
            for task in tasks:
                await _end(task)

    async def _join(self, socket: EventSocket) -> None:
        """Ask for the user's events and for those of each dataset that somebody watches, now and later."""
        user, joined = int((await self._hook.asend(api.me()))["id"]), set[int]()
        await socket.authenticate(user)
        while True:
            self._wishes.grown.clear()
            for dataset in set(self._wishes.datasets) - joined:
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
        payload = self._brief(event.payload)
        dataset, job = payload.get("dataset_id"), payload.get("job")
        if event.name == STARTED and job and len(self._jobs) < MOST_JOBS:
            self._jobs[job] = payload
        elif event.name in {FINISHED, FAILED}:
            self._jobs.pop(str(job), None)
        master = None
        async with self._turn:
            if dataset is not None and dataset in self._wishes.datasets:
                try:
                    master = await self._hook.aget_master(dataset)
                except ProviderError as error:
                    self._log.warning("an event's dataset could not be read: %s", error)
                    self._wishes.due.set()
                    if event.name in CHANGES:
                        return  # the look will find the change, and tell it once
            self._news.put_nowait(Told(event.name, payload, master))

    def _brief(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Keep ids and names, count lists: what is fired is stored and logged in full."""
        out: dict[str, Any] = {}
        for name, value in payload.items():
            if isinstance(value, list):
                out[f"{name}_count"] = len(value)
            elif isinstance(value, str):
                out[name] = self._redactor.clean(value)[:SHOWN]
            elif isinstance(value, (int, float, bool)):
                out[name] = value
        return out


async def _end(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])  # and not the task itself: who waits here may be cancelled, too
    if not task.cancelled():
        task.exception()  # seen: whoever broke has said so
