"""Proxies of the environment: one that cannot be used is named, and its password is in no error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.realtime.socket import EventSocket
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.retry import RetryLimits
from dev.processes import free_ports
from tests.unit.core.conftest import EchoHook
from tests.unit.core.test_secrets import everything
from tests.unit.security.conftest import Send

PASSWORD = "hush-Hush9"

UNUSABLE = [
    "http://me:{password}@127.0.0.1:bad",
    "ftp://me:{password}@127.0.0.1:9",
    "http://[bad:{password}",
    "http://me:{password}@xn--\u00e4.example:3",
]


@pytest.fixture(params=["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def variable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the variable for a proxy, of which no other one is set."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return str(request.param)


def connected(kind: type[Any], monkeypatch: pytest.MonkeyPatch, **fields: Any) -> Any:
    connection = {"conn_type": kind.conn_type, "host": "https://far.invalid", "password": "s3cr3t", **fields}
    monkeypatch.setenv("AIRFLOW_CONN_FAR", json.dumps(connection))
    hook = kind("far")
    hook.retry_limits = RetryLimits(attempts=1)
    return hook


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, variable: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.format(password=PASSWORD))
    hook = connected(EchoHook, monkeypatch, extra={"mode": "header"})
    with pytest.raises(
        errors.InputError, match="the environment names a proxy that cannot be used"
    ) as caught:
        send(hook, Call("GET", "x"))
    assert PASSWORD not in everything(caught.value)


@pytest.mark.parametrize("start", ["x", "4"])
def test_a_password_of_a_proxy_with_a_slash_as_it_is_is_in_no_error(
    start: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library takes what is before the slash for the host; nothing after it is the host's name."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{start}/{PASSWORD}@127.0.0.1:9")
    hook = connected(EchoHook, monkeypatch, extra={"mode": "header"})
    with pytest.raises(errors.ProviderError, match="proxy") as caught:
        send(hook, Call("GET", "x"))
    assert PASSWORD not in everything(caught.value)


def test_a_proxy_that_does_not_listen_is_named_without_its_password(
    variable: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv(variable, f"http://me:{PASSWORD}@127.0.0.1:{port}")
    hook = connected(EchoHook, monkeypatch, extra={"mode": "header"})
    with pytest.raises(errors.TransportError, match="no connection to the proxy") as caught:
        send(hook, Call("GET", "x"))
    assert caught.value.cause == "proxy"
    assert PASSWORD not in everything(caught.value)


@pytest.mark.parametrize("proxy", UNUSABLE)
async def test_the_error_of_a_socket_has_no_password_of_a_proxy(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(password=PASSWORD))
    hook = connected(AmigoCloudHook, monkeypatch)
    with pytest.raises(errors.TransportError, match="cannot be reached") as caught:
        async with EventSocket(hook):
            pass
    assert PASSWORD not in everything(caught.value)
