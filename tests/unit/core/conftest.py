"""A service with nothing special about it, and a hook for it."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.core.connection import ConnectionSpec, Extra, Settings
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.auth import Credential, HeaderToken, MintedToken, QueryToken, read_token
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.service import Service

SECRET = 's3cr3t+&%é/"x='


class EchoService(Service):
    """Says what it was asked; issues tokens that live for an hour."""

    name = "echo"

    def reset(self) -> None:
        self.tokens: set[str] = set()
        self.seen: list[dict[str, Any]] = []
        self.written = 0
        self.life = 3600

    def connection(self) -> Mapping[str, Any]:
        return {"conn_type": "echo", "host": self.base_url, "login": "me", "password": SECRET}

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/token", self.token, methods=["POST"]),
            Route("/packed/{status:int}", self.packed, methods=["GET", "POST"]),
            Route("/open/{rest:path}", self.open, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/closed/{rest:path}", self.closed, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def token(self, request: Request) -> Response:
        form = await request.form()
        if form["client_secret"] != SECRET:
            return JSONResponse({"error": "invalid_client", "error_description": "no"}, 400)
        value = f"tok/{len(self.tokens)}+x"
        self.tokens.add(value)
        self.around.counters.tokens_issued[self.name] += 1
        return JSONResponse({"access_token": value, "expires_in": self.life})

    async def packed(self, request: Request) -> Response:
        """Answer with 8 MB of blanks and a word, packed into 8 KB."""
        self.written += request.method == "POST"
        body = gzip.compress(b'{"detail":"' + b" " * 8_000_000 + b'far"}')
        return Response(body, request.path_params["status"], {"Content-Encoding": "gzip"})

    async def open(self, request: Request) -> Response:
        body = await request.body()
        self.seen.append(
            {
                "method": request.method,
                "path": request.scope["raw_path"].decode(),
                "headers": dict(request.headers),
                "body": body,
            }
        )
        self.written += request.method == "POST"
        return JSONResponse(
            {"query": request.scope["query_string"].decode(), "path": request.url.path, "body": body.decode()}
        )

    async def closed(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.tokens:
            return JSONResponse({"error": {"status": 401, "message": f"not {bearer}"}}, 401)
        return await self.open(request)


class EchoHook(ApiHook):
    """A hook for the echo service, with any kind of credential."""

    spec = ConnectionSpec(
        "echo", extras={"mode": Extra("text", "minted", choices=("minted", "query", "header"))}
    )
    conn_type = "echo"
    retry_limits = RetryLimits(base=0.005)

    def __init__(self, echo_conn_id: str = "echo_default") -> None:
        super().__init__(echo_conn_id)

    def credential(self, settings: Settings) -> Credential:
        if settings.extras["mode"] == "query":
            return QueryToken(settings.password)
        if settings.extras["mode"] == "header":
            return HeaderToken(settings.password)
        form = {"client_id": settings.login, "client_secret": settings.password}
        return MintedToken(Call("POST", "token", form=form, authenticated=False, read=read_token))

    def probe(self) -> str:
        self.send(Call("GET", "closed/probe"))
        return "fine"


@pytest.fixture(scope="session")
def running_echo() -> Iterator[Sandbox]:
    with Sandbox(kinds=[EchoService]) as sandbox:
        yield sandbox


@pytest.fixture
def echo(running_echo: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    from airflow_provider.core.http import auth, rate_limit

    running_echo.reset()
    monkeypatch.setattr(auth, "_slots", {})
    monkeypatch.setattr(rate_limit, "_budgets", {})
    monkeypatch.setenv("AIRFLOW_CONN_ECHO_DEFAULT", running_echo.connections["echo_default"])
    return running_echo


@pytest.fixture
def connect(echo: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EchoHook]:
    """Give a hook for the echo service with some of its connection changed."""

    def make(extra: Mapping[str, Any] | None = None, **changes: Any) -> EchoHook:
        connection = {**echo.services["echo"].connection(), **changes, "extra": dict(extra or {})}
        monkeypatch.setenv("AIRFLOW_CONN_ECHO_DEFAULT", json.dumps(connection))
        return EchoHook()

    return make


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Give all that was logged so far, at any level: Airflow's loggers print, the libraries' do not."""
    caplog.set_level(logging.DEBUG)
    return lambda: f"{caplog.text}\n{''.join(capsys.readouterr())}"
