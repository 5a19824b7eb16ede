"""Calls functions when something happens: events for scripts and tasks, as the vendor's client has them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.hooks_base import ProjectHook
from airflow_provider.core.http.call import segment
from airflow_provider.errors import InputError, RequestRejectedError, ServerError, TransportError

if TYPE_CHECKING:
    from airflow_provider.amigocloud.realtime.engineio import Happened
    from airflow_provider.amigocloud.realtime.socket import EventSocket


Callback = Callable[[dict[str, Any]], object]


News: TypeAlias = "SimpleQueue[Happened | BaseException]"


class Listener(ProjectHook):
    """What a hook needs to listen; nothing is connected before :meth:`start_listening`."""

    def __init__(self, amigocloud_conn_id: str = ProjectHook.default_conn_name) -> None:
        super().__init__(amigocloud_conn_id)
        self._callbacks: dict[str, list[Callback]] = defaultdict(list)
        self._of_user = False
        self._of_datasets: dict[int, api.Place] = {}

    def listen_user_events(self) -> None:
        """Listen to the user's events (of projects, uploads, new datasets); needs a user's token."""
        self._of_user = True

    def listen_dataset_events(self, owner: int | str, project: int | str, dataset: int | str) -> None:
        """Listen to the broadcasts of a dataset, ``realtime``; needs a user's token.

        :param owner: id of the project's owner, a user.
        :param project: id of the project.
        :param dataset: id of the dataset.
        """
        number = api.dataset_number(dataset)
        path = f"users/{segment(owner)}/projects/{segment(project)}/datasets/{number}"
        self._of_datasets[number] = api.Place("api", path)

    def add_callback(self, event: str, callback: Callback) -> None:
        """Have a function called for each event of a name.

        :param event: such as ``project:creation_succeeded`` or ``realtime``.
        :param callback: gets the event's payload, a dict.
        """
        self._callbacks[event].append(callback)

    def start_listening(self, seconds: float | None = None) -> int:
        """Call the callbacks for what happens; gives for how many events.

        A connection that breaks is made again. There is no replay: what happens meanwhile is not told. For
        starting DAGs take ``AmigoCloudEventTrigger``, which looks for it.

        Callbacks run in the calling thread; what they raise ends the listening and comes out here.

        :param seconds: how long to listen; None for ever.
        :raises PermissionDeniedError: when the token is no user's.
        :raises TransportError: when the first connection fails.
        """
        if not self._of_user and not self._of_datasets:
            raise InputError("call listen_user_events or listen_dataset_events first")
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        count = 0
        with self._background() as news:
            while (left := ends - time.monotonic()) > 0:
                try:
                    item = news.get(timeout=min(left, 3600.0))
                except Empty:
                    continue
                if isinstance(item, BaseException):
                    raise item
                for callback in self._callbacks.get(item.name, ()):
                    callback(item.payload)
                    count += 1
        return count

    @contextmanager
    def _background(self) -> Iterator[News]:
        """Keep a connection in a thread of its own, so that slow callbacks do not break it."""
        from airflow_provider.core.http.async_transport import close_clients

        news: News = SimpleQueue()
        # Read here: an event loop in another thread cannot ask Airflow for connections.
        self.settings  # noqa: B018
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._listen(news))

        def run() -> None:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.run_until_complete(close_clients())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

        thread = threading.Thread(target=run, name="amigocloud-events", daemon=True)
        thread.start()
        try:
            yield news
        finally:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
            thread.join(10)

    async def _listen(self, news: News) -> None:
        """Put events, and the error that ends it all, into the queue."""
        from airflow_provider.amigocloud.realtime.socket import EventSocket, pauses

        waits, connected, protocol = pauses(), False, 3
        while True:
            try:
                async with EventSocket(self, protocol) as socket:
                    await self._join(socket)
                    connected = True
                    while True:
                        news.put(await socket.receive())
                        waits = pauses()
            except (TransportError, ServerError) as error:
                if not connected:
                    news.put(error)
                    return
                wait = next(waits)
                self.log.warning("no events, again in %.1f s: %s", wait, error)
                await asyncio.sleep(wait)
            except Exception as error:
                if protocol == 3 and isinstance(error, RequestRejectedError) and error.status == 400:
                    protocol = 4  # perhaps the service was upgraded
                    continue
                news.put(error)
                return

    async def _join(self, socket: EventSocket) -> None:
        user = int((await self.asend(api.me()))["id"])
        if self._of_user:
            await socket.authenticate(user)
        for dataset, where in self._of_datasets.items():
            await socket.authenticate(user, dataset, where)
