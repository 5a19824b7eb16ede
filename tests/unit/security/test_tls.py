"""TLS: on each way to a service, a certificate that does not verify ends the connection before a secret."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.realtime.socket import EventSocket
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.push.broker import Broker, BrokerConnection
from tests.support.hostile_host import HostileHost
from tests.unit.core.conftest import EchoHook
from tests.unit.iotstudio.test_hooks_tls import self_signed

SECRET = "s3cr3t-token"


class SecuredHost(HostileHost):
    """Server on loopback with a self-signed certificate for 127.0.0.1, which records what it decrypts."""

    def __init__(self, folder: Path) -> None:
        self.pem, key = self_signed(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.pem, key)
        self.connections = 0
        super().__init__(b"")

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        with self._context.wrap_socket(connection, server_side=True) as secured:
            self.seen += secured.recv(65536)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredHost]:
    host = SecuredHost(tmp_path_factory.mktemp("tls"))
    yield host
    host.close()


Connect = Callable[[str, int, Any], Any]


def request(host: str, port: int, verify: Any) -> Any:
    EchoHook("secured").send(Call("GET", "x"))


def request_in_a_loop(host: str, port: int, verify: Any) -> Any:
    asyncio.run(EchoHook("secured").asend(Call("GET", "x")))


def download(host: str, port: int, verify: Any) -> Any:
    hook = EchoHook("secured")
    hook.retry_limits = RetryLimits(attempts=1)
    with hook.download(f"https://{host}:{port}/file?sig={SECRET}-{SECRET}"):
        pass


def open_socket(host: str, port: int, verify: Any) -> Any:
    async def run() -> None:
        async with EventSocket(AmigoCloudHook("socket")):
            pass

    asyncio.run(run())


def connect_to_broker(host: str, port: int, verify: Any) -> Any:
    broker = Broker(f"mqtts://{host}:{port}", host, port, verify=verify, username="me", password=SECRET)

    async def run() -> None:
        async with BrokerConnection(broker, lambda *_: None):
            pass

    asyncio.run(run())


WAYS: list[Connect] = [request, request_in_a_loop, download, open_socket, connect_to_broker]


@pytest.mark.parametrize("connect", WAYS)
@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", False), ("localhost", True)])
def test_a_certificate_of_nobody_or_for_another_name_gets_no_secret(
    connect: Connect, host: str, trusted: bool, secured: SecuredHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant(monkeypatch, host, secured.port, verify := str(secured.pem) if trusted else True)
    before, secured.seen = secured.connections, b""
    with pytest.raises(errors.TransportError):
        connect(host, secured.port, verify)
    assert secured.connections > before, "there was no connection: the test proves nothing"
    assert secured.seen == b""


@pytest.mark.parametrize("connect", WAYS)
def test_the_same_certificate_gets_it_where_it_is_trusted(
    connect: Connect, secured: SecuredHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this, the test above would pass for a way that never connects."""
    _plant(monkeypatch, "127.0.0.1", secured.port, str(secured.pem))
    secured.seen = b""
    with suppress(errors.ProviderError):
        connect("127.0.0.1", secured.port, str(secured.pem))
    assert secured.seen


def _plant(monkeypatch: pytest.MonkeyPatch, host: str, port: int, verify: Any) -> None:
    extra = {"verify": verify, "attempts": 1, "connect_timeout": 5}
    connection = {"host": f"https://{host}:{port}", "login": "me", "password": SECRET}
    echo = {**connection, "conn_type": "echo", "extra": {**extra, "mode": "header"}}
    monkeypatch.setenv("AIRFLOW_CONN_SECURED", json.dumps(echo))
    amigocloud = {**connection, "conn_type": "amigocloud", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SOCKET", json.dumps(amigocloud))
