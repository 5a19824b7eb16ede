"""Sandbox server: two loopback origins, served by one event loop in a thread."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from copy import deepcopy
from types import TracebackType
from typing import TYPE_CHECKING, Any

import uvicorn

from airflow_provider.sandbox.control import control_routes
from airflow_provider.sandbox.counters import Counters
from airflow_provider.sandbox.faults import Connections, Faults
from airflow_provider.sandbox.loads import read_load
from airflow_provider.sandbox.routing import Gateway, api_routes, storage_routes
from airflow_provider.sandbox.service import Clock, Service, Surroundings
from airflow_provider.sandbox.switches import Switches

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Scope
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol

    from airflow_provider.sandbox.amigocloud import AmigoCloudService
    from airflow_provider.sandbox.iotstudio import IoTStudioService
    from airflow_provider.sandbox.leanix import LeanIXService
    from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as HttpProtocol  # httptools, or else h11

LOOPBACK = "127.0.0.1"
START_SECONDS = 30
"""Maximum seconds until the server accepts requests."""

STOP_SECONDS = 10
"""Maximum seconds until the server has stopped, and for an operation on its event loop."""

LOAD_SECONDS = 600
"""Maximum seconds to generate data."""

MOST_AWAY = 600.0
"""Maximum seconds of a restart."""


class Sandbox:
    """The four APIs on loopback, with demo data, faults and counters.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`. While it runs, each service is an
    attribute (``sandbox.leanix``) with its state and its switches.

    :param port: port of the API origin; 0 takes a free port.
    :param storage_port: port of the second origin, which emulates the blob storage; 0 takes a free port.
    :param kinds: the services to run; None runs all four.
    :param switches: settings of the services by ``<service>.<name>``, which a reset restores.
    :param loads: generated data as names and arguments, ``("amigocloud.rows", {"rows": 1_000_000})``; a reset
        generates it again.
    :param amigocloud_sql: address of a PostgreSQL server with PostGIS that runs AmigoCloud's SQL,
        ``postgresql://user:password@host:port/database``; by default an embedded database runs it.
    :param iot_mqtt: address of a broker, ``mqtt://user:password@host:port``, with which IoT Studio exchanges
        property values; by default there is none.
    :param clock_rate: seconds of the sandbox in a real second: with 12 a day passes in two hours.
    """

    mapsindoors: MapsIndoorsService
    amigocloud: AmigoCloudService
    iotstudio: IoTStudioService
    leanix: LeanIXService

    def __init__(
        self,
        port: int = 0,
        *,
        storage_port: int = 0,
        kinds: Iterable[type[Service]] | None = None,
        switches: Mapping[str, Any] | None = None,
        loads: Iterable[tuple[str, Mapping[str, Any]]] = (),
        amigocloud_sql: str | None = None,
        iot_mqtt: str | None = None,
        clock_rate: float = 1.0,
    ) -> None:
        self.port = port
        self.storage_port = storage_port
        self.kinds = kinds
        self.faults = Faults()
        self.around = Surroundings(
            clock=Clock(clock_rate),
            amigocloud_sql=amigocloud_sql or "",
            iot_mqtt=iot_mqtt or "",
            on_loop=self._on_loop,
        )
        self.services: dict[str, Service] = {}
        self.switches = Switches({})
        self._settings = dict(switches or {})
        self._loads = list(loads)
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self._uncounted_ports: set[int] = set()
        self._connections = Connections()
        self._sockets: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None

    def __getattr__(self, name: str) -> Any:
        services = self.__dict__.get("services", {})
        if name in services:
            return services[name]
        hint = ": start the sandbox first" if name in Sandbox.__annotations__ and not services else ""
        raise AttributeError(f"the sandbox has no {name!r}{hint}")

    @property
    def url(self) -> str:
        """The API origin ``http://127.0.0.1:<port>``, below which each service has its prefix."""
        return self.around.origin

    @property
    def clock(self) -> Clock:
        """The services' time, which a test can advance."""
        return self.around.clock

    @property
    def counters(self) -> Counters:
        """Counts of requests, connections, tokens and rows."""
        return self.around.counters

    @property
    def connections(self) -> dict[str, str]:
        """Airflow's connections to the services: JSON for ``AIRFLOW_CONN_<ID>`` by connection id."""
        return {
            f"{name}_default": json.dumps(dict(service.connection()))
            for name, service in self.services.items()
        }

    def start(self) -> Sandbox:
        """Start the server; return when it accepts requests.

        :raises OSError: when a port is taken.
        :raises SwitchError: when a switch does not exist or has another type.
        :raises StartError: when the server of AmigoCloud's SQL, or the broker, cannot be used.
        :raises RuntimeError: when the server does not start.
        """
        try:
            self.create_services()
            self.listen()
            self._serve(self._gateway(control_routes(self)))
        except BaseException:
            self.close_services()
            raise
        return self

    def join(self) -> None:
        """Wait until the server has stopped."""
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Reset all connections and stop the server."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        try:
            self._on_loop(self._connections.reset_all)
            self._server.should_exit = True
            thread.join(STOP_SECONDS)
        finally:
            self.close_services()

    def close_services(self) -> None:
        """Remove what the services have made outside of this process."""
        for service in self.services.values():
            service.close()

    def reset(self) -> None:
        """Restore the seeded state, the default switches and the clock; clear faults and counters."""
        self._on_loop(self._reset, LOAD_SECONDS)

    def load(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Add generated data to a service until the next reset; return what was added.

        :param name: service and kind: ``amigocloud.rows``, ``iotstudio.things``, ``mapsindoors.rooms``,
            ``leanix.applications``.
        :param arguments: arguments of the load, see ``GET /_sandbox/loads``.
        :raises SwitchError: when the load or an argument does not exist, or has another type.
        """
        request = read_load(self.services, name, arguments)
        added: dict[str, Any] = {}
        self._on_loop(lambda: added.update(request.run()), LOAD_SECONDS)
        return added

    def cut_connections(self) -> None:
        """Reset every open TCP connection, including WebSockets."""
        self._on_loop(self._connections.reset_all)

    def restart(self, seconds: float, scope: Scope | None = None) -> None:
        """Be away for some seconds, as a service that restarts; what it has stored stays.

        Open connections are reset, and new ones are refused until then.

        :param seconds: how long connections are refused.
        :param scope: a request whose connection stays, so that it is answered.
        :raises ValueError: when the seconds are too many, or negative.
        """
        if not 0 <= seconds <= MOST_AWAY:
            raise ValueError(f"seconds must be from 0 to {MOST_AWAY:g}, not {seconds:g}")

        def leave() -> None:
            self._server.refuse_connections(seconds)
            self._connections.reset_all(self._connections.of(scope) if scope else None)

        self._on_loop(leave)

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _reset(self) -> None:
        self.faults.clear()
        self.clock.reset()
        for service in self.services.values():
            service.reset()
        self._set_switches()
        self._run_loads()
        self.counters.reset()

    def create_services(self) -> None:
        """Create the services with their switches and generated data."""
        kinds = all_kinds() if self.kinds is None else self.kinds
        self.services = {}
        for kind in kinds:
            self.services[kind.name] = kind(self.around)
        self.faults.services = frozenset({*self.services, "storage"})
        self.switches = Switches(self.services)
        self._set_switches()
        self._run_loads()

    def listen(self) -> None:
        """Open the ports of both origins."""
        self._sockets = [listener(self.port)]
        try:
            self._sockets.append(listener(self.storage_port))
        except OSError:
            self._sockets.pop().close()
            raise
        urls = [f"http://{LOOPBACK}:{opened.getsockname()[1]}" for opened in self._sockets]
        self.around.origin, self.around.storage_origin = urls

    def _set_switches(self) -> None:
        # Copies, because a service changes lists and sets of its switches.
        self.switches.set(self.switches.check(deepcopy(self._settings)))

    def _run_loads(self) -> None:
        self.loaded = [(name, read_load(self.services, name, given).run()) for name, given in self._loads]

    def _on_loop(self, work: Callable[[], None], seconds: float = STOP_SECONDS) -> None:
        """Run a function on the event loop, so that it does not interleave with a request.

        :raises RuntimeError: when the server has ended by itself; its cause is that of the end.
        """
        if self._failure is not None:
            raise RuntimeError("the sandbox's server has ended") from self._failure
        if self._loop is None or threading.current_thread() is self._thread:
            work()
            return

        async def wrapped() -> None:
            work()

        asyncio.run_coroutine_threadsafe(wrapped(), self._loop).result(seconds)

    def _gateway(self, control: Sequence[BaseRoute]) -> Gateway:
        api, storage = (opened.getsockname()[1] for opened in self._sockets)
        services = self.services.values()
        origins = {api: api_routes(services, control), storage: storage_routes(services)}
        return Gateway(origins, self.around, self.faults, self._connections)

    def _serve(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            http=_counting_protocol(self._connections, self.counters, self._uncounted_ports),
            ws="auto",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        # Once logging is configured, uvicorn writes this log in spite of access_log=False.
        logging.getLogger("uvicorn.access").disabled = True
        ready = threading.Event()
        self._server = self._new_server(config, ready)
        self._failure = None

        def run() -> None:
            try:
                asyncio.run(self._main())
            except BaseException as error:
                self._failure = error
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(START_SECONDS) or self._failure:
            raise RuntimeError("the sandbox did not start") from self._failure

    def _new_server(self, config: uvicorn.Config, ready: threading.Event) -> ReadyServer:
        return ReadyServer(config, ready)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            self._loop = None


class ReadyServer(uvicorn.Server):
    """A uvicorn server that sets an event when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self.ready = ready
        self._returns: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        self.ready.set()

    def refuse_connections(self, seconds: float) -> None:
        """Close the ports now, and open them again after some seconds; called on the event loop."""
        ports = [opened.getsockname()[1] for server in self.servers for opened in server.sockets]
        for server in self.servers:
            server.close()
        self.servers = []
        task = asyncio.ensure_future(self._return(ports, seconds))
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)

    async def _return(self, ports: Sequence[int], seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.should_exit:
            return
        loop = asyncio.get_running_loop()
        self.servers += [await loop.create_server(self.new_protocol, sock=listener(port)) for port in ports]

    def new_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        kind: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = kind(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _counting_protocol(
    connections: Connections, counters: Counters, uncounted_ports: Container[int]
) -> type[HttpProtocol]:
    class CountingProtocol(HttpProtocol):
        """HTTP protocol that counts its connections and registers them for faults."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            connections.add(transport)
            if transport.get_extra_info("sockname")[1] not in uncounted_ports:
                with counters.lock:
                    counters.connections += 1
            super().connection_made(transport)

        def _get_upgrade(self) -> bytes | None:
            """Read all ``Connection`` headers, as proxies do: some clients send two of them."""
            headers = [(name, value.lower()) for name, value in self.headers]
            tokens = b",".join(value for name, value in headers if name == b"connection")
            if b"upgrade" not in [token.strip() for token in tokens.split(b",")]:
                return None
            return next((value for name, value in headers if name == b"upgrade"), None)

    return CountingProtocol


class PortError(OSError):
    """The statement that a port of this machine cannot be used.

    :param error: why.
    :param port: the port.
    """

    def __init__(self, error: OSError, port: int) -> None:
        super().__init__(error.errno, f"{error.strerror}: port {port}")
        self.port = port


def listener(port: int) -> socket.socket:
    """Return a socket that accepts connections on a port of this machine; 0 takes a free port.

    :raises PortError: when the port is taken, or not allowed for the user.
    """
    # asyncio sets TCP_NODELAY only when the protocol is given; without it each reply takes 40 ms longer.
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port))
        opened.listen(512)
    except OSError as error:
        opened.close()
        raise PortError(error, port) from None
    return opened


def all_kinds() -> list[type[Service]]:
    """Return the four services."""
    from airflow_provider.sandbox.amigocloud import AmigoCloudService
    from airflow_provider.sandbox.iotstudio import IoTStudioService
    from airflow_provider.sandbox.leanix import LeanIXService
    from airflow_provider.sandbox.mapsindoors import MapsIndoorsService

    return [MapsIndoorsService, AmigoCloudService, IoTStudioService, LeanIXService]
