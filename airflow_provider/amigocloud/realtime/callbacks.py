"""Event callbacks for scripts and tasks, with the interface of the vendor's client."""

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
    from airflow_provider.amigocloud.realtime.engineio import Event
    from airflow_provider.amigocloud.realtime.socket import EventSocket


Callback = Callable[[dict[str, Any]], object]

EventQueue: TypeAlias = "SimpleQueue[Event | BaseException]"


class ListenerHook(ProjectHook):
    """Base hook that receives events; it connects in :meth:`start_listening` only."""

    def __init__(self, amigocloud_conn_id: str = ProjectHook.default_conn_name) -> None:
        super().__init__(amigocloud_conn_id)
        self._callbacks: dict[str, list[Callback]] = defaultdict(list)
        self._listens_to_user = False
        self._datasets: dict[int, api.Location] = {}

    def listen_user_events(self) -> None:
        """Subscribe to the user's events (projects, uploads, new datasets); needs a user's token."""
        self._listens_to_user = True

    def listen_dataset_events(self, owner: int | str, project: int | str, dataset: int | str) -> None:
        """Subscribe to the ``realtime`` broadcasts of a dataset; needs a user's token.

        :param owner: id of the project's owner, a user.
        :param project: id of the project.
        :param dataset: id of the dataset.
        """
        number = api.dataset_number(dataset)
        path = f"users/{segment(owner)}/projects/{segment(project)}/datasets/{number}"
        self._datasets[number] = api.Location("api", path)

    def add_callback(self, event: str, callback: Callback) -> None:
        """Register a function to be called for each event of a name.

        :param event: such as ``project:creation_succeeded`` or ``realtime``.
        :param callback: takes the event's payload, a dict.
        """
        self._callbacks[event].append(callback)

    def start_listening(self, seconds: float | None = None) -> int:
        """Receive events and call their callbacks; return the number of calls.

        After a break, the connection is restored. Events of the meantime are lost, as the
        service does not replay them. To start DAGs, use ``AmigoCloudEventTrigger``, which polls for missed
        changes.

        Callbacks run in the calling thread. An error of a callback ends the listening and is raised here.

        :param seconds: seconds to listen; None for forever.
        :raises InputError: when neither ``listen_`` method was called before.
        :raises PermissionDeniedError: when the token is not a user's.
        :raises TransportError: when the first connection fails.
        """
        self._need_subscription()
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        count = 0
        with self._background() as events:
            while (left := ends - time.monotonic()) > 0:
                try:
                    item = events.get(timeout=min(left, 3600.0))
                except Empty:
                    continue
                count += self._call(item)
        return count

    async def astart_listening(self, seconds: float | None = None) -> int:
        """Receive events and call their callbacks in the running event loop; see :meth:`start_listening`.

        :param seconds: seconds to listen; None for forever, until the task is cancelled.
        """
        self._need_subscription()
        await self.aload()
        events: asyncio.Queue[Any] = asyncio.Queue()
        listening = asyncio.create_task(self._listen(events.put_nowait))
        count = 0
        try:
            async with asyncio.timeout(seconds) as limit:
                while True:
                    count += self._call(await events.get())
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            listening.cancel()
            await asyncio.wait([listening])
        return count

    def _need_subscription(self) -> None:
        if not self._listens_to_user and not self._datasets:
            raise InputError("nothing to listen to: call listen_user_events or listen_dataset_events first")

    def _call(self, item: Any) -> int:
        """Call an event's callbacks, and return their number; raise an item that is an error."""
        if isinstance(item, BaseException):
            raise item
        callbacks = self._callbacks.get(item.name, ())
        for callback in callbacks:
            callback(item.payload)
        return len(callbacks)

    @contextmanager
    def _background(self) -> Iterator[EventQueue]:
        """Run the connection in its own thread within the block, so that slow callbacks do not break it."""
        from airflow_provider.core.http.async_transport import close_clients

        events: EventQueue = SimpleQueue()
        # Load them here: an event loop in another thread cannot load Airflow connections.
        self.settings  # noqa: B018
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._listen(events.put))

        def run() -> None:
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.run_until_complete(close_clients())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

        thread = threading.Thread(target=run, name="amigocloud-events", daemon=True)
        thread.start()
        try:
            yield events
        finally:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(task.cancel)
            thread.join(10)

    async def _listen(self, put: Callable[[Any], None]) -> None:
        """Put events into a queue, and at the end the error that ended the listening."""
        from airflow_provider.amigocloud.realtime.socket import EventSocket, backoff_delays

        delays, connected, protocol = backoff_delays(), False, 3
        while True:
            try:
                async with EventSocket(self, protocol) as socket:
                    await self._subscribe(socket)
                    connected = True
                    while True:
                        put(await socket.receive())
                        delays = backoff_delays()
            except (TransportError, ServerError) as error:
                if not connected:
                    put(error)
                    return
                delay = next(delays)
                self.log.warning("no events, reconnecting in %.1f s: %s", delay, error)
                await asyncio.sleep(delay)
            except Exception as error:
                if protocol == 3 and isinstance(error, RequestRejectedError) and error.status == 400:
                    protocol = 4  # the service may have been upgraded
                    continue
                put(error)
                return

    async def _subscribe(self, socket: EventSocket) -> None:
        user = int((await self.asend(api.me()))["id"])
        if self._listens_to_user:
            await socket.authenticate(user)
        for dataset, where in self._datasets.items():
            await socket.authenticate(user, dataset, where)
