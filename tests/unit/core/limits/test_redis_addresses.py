"""What a connection or a URL says of Redis, on a real server: TLS, a socket, a password, a replica."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from airflow.sdk import Connection

from airflow_provider.core.limits.address import address_of
from airflow_provider.core.limits.plan import SECOND, Rate
from airflow_provider.core.limits.redis_store import RedisStore
from airflow_provider.core.limits.store import StoreUnusableError
from dev.processes import free_ports
from dev.redis_server import RedisServer, running
from tests.support.certificates import self_signed

KEY, RATE = "ab12" * 10, Rate(10, 30 * SECOND)
PASSWORD = "p@ss/wörd%20+&"


class Secured(NamedTuple):
    """A server with a password, TLS and a socket."""

    server: RedisServer
    tls_port: int
    certificate: Path
    socket: Path


@pytest.fixture(scope="module")
def secured(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = self_signed(folder)
    (port,) = free_ports(1)
    socket = folder / "redis.sock"
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-auth-clients", "no", "--requirepass", PASSWORD, "--unixsocket", str(socket)]
    with running(folder, *options) as server:
        yield Secured(server, port, certificate, socket)


def connection(secured: Secured, **extra: Any) -> Connection:
    return Connection(
        conn_id="budgets",
        conn_type="redis",
        host="127.0.0.1",
        port=secured.tls_port,
        password=PASSWORD,
        extra=json.dumps({"ssl": True, **extra}),
    )


def reserve(url: str) -> bool:
    return RedisStore(url).reserve(KEY, RATE, 60).taken


def test_a_connection_with_tls_trusts_the_certificates_that_it_names(secured: Secured) -> None:
    assert reserve(address_of(connection(secured, ssl_ca_certs=str(secured.certificate))))


def test_a_certificate_that_is_not_trusted_makes_the_store_unusable(secured: Secured) -> None:
    url = address_of(connection(secured))
    with pytest.raises(StoreUnusableError, match="(?i)certificate verify failed") as error:
        reserve(url)
    assert not [form for form in (PASSWORD, quote(PASSWORD, safe="")) if form in str(error.value)]


def test_the_check_of_certificates_can_be_switched_off(secured: Secured) -> None:
    assert reserve(address_of(connection(secured, ssl_cert_reqs="none", ssl_check_hostname=False)))
    url = f"rediss://:{quote(PASSWORD, safe='')}@127.0.0.1:{secured.tls_port}/0"
    assert reserve(f"{url}?ssl_cert_reqs=none&ssl_check_hostname=False")


def test_a_server_without_tls_makes_the_store_unusable(secured: Secured) -> None:
    made = connection(secured)
    made.port = secured.server.port
    with pytest.raises(StoreUnusableError):
        reserve(address_of(made))


def test_a_url_may_name_a_socket(secured: Secured) -> None:
    assert reserve(f"unix://:{quote(PASSWORD, safe='')}@{secured.socket}")


def test_a_wrong_password_makes_the_store_unusable(secured: Secured) -> None:
    with pytest.raises(StoreUnusableError, match="(?i)password") as error:
        reserve(f"unix://:wrong-word@{secured.socket}")
    assert "wrong-word" not in str(error.value)


def test_a_replica_that_may_not_be_written_makes_the_store_unusable(
    running_redis: RedisServer, tmp_path: Path
) -> None:
    """As after a failover, when an address still leads to the former primary."""
    with (
        running(tmp_path, "--replicaof", "127.0.0.1", str(running_redis.port)) as replica,
        pytest.raises(StoreUnusableError, match="(?i)read.?only|MASTERDOWN"),
    ):
        reserve(replica.url)
