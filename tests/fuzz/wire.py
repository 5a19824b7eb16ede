"""Fuzz target of bytes on the wire: a whole response with its head, as no web framework would send it."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest.mock import patch

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import ProviderError
from tests.fuzz.mutations import damage
from tests.fuzz.replies import without_waits
from tests.fuzz.target import TOKEN, FaultError, Target
from tests.support.hostile_host import HostileHost, response

LIMITS = RetryLimits(attempts=2, base=0.001, cap=0.01, total=20.0, longest_delay=0.01)
_MOST_REQUESTS = 2 * LIMITS.attempts * 21
"""Maximum requests: the hook follows up to 20 redirects, in each attempt of both twins."""


LINES = (
    b"HTTP/1.1 200",
    b"HTTP/1.1 99 OK",
    b"HTTP/1.1 999 " + b"x" * 3000,
    b"HTTP/9.9 200 OK",
    b"ICY 200 OK",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 5, 5",
    b"Content-Length: \xb2",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Encoding: gzip, deflate, br, zstd",
    b"Content-Encoding: " + b"gzip, " * 40,
    b"Content-Type: application/json; charset=utf-7",
    b"Content-Type: text/html; charset=\xff",
    b"Content-Type: \x00\x1b[31m",
    b"Location: http://[/",
    b"Location: http://127.0.0.1:99999/",
    b"Location: //" + b"a" * 300 + b"/",
    b"Location: file:///etc/passwd",
    b"Location: \xe9\xff\x00",
    b"Retry-After: " + b"9" * 400,
    b"Retry-After: Mon, 30 Feb 2026 25:61:61 GMT",
    b"Set-Cookie: a=" + b"b" * 3000,
    b"X: " + TOKEN.encode(),
    b": no name",
    b" folded",
    b"no colon",
)
"""Lines that no head has."""


@cache
def host() -> HostileHost:
    """Return the server of this process."""
    return HostileHost(b"")


def _run(data: bytes) -> None:
    """Read the response as JSON, in a task and in the triggerer, whose libraries read heads differently."""
    server = host()
    server.reply, server.seen, before = data, b"", server.requests
    connection = {"conn_type": "amigocloud", "host": server.url, "password": TOKEN}
    with patch.dict(os.environ, {"AIRFLOW_CONN_AMIGOCLOUD_DEFAULT": json.dumps(connection)}):
        found = [_outcome(_in_a_task), _outcome(lambda: asyncio.run(_in_the_triggerer()))]
    if server.requests - before > _MOST_REQUESTS:
        raise FaultError("requests", f"{server.requests - before} requests")
    for error in found:
        if error is not None:
            raise error


def _in_a_task() -> Any:
    with AmigoCloudHook() as hook:
        hook.retry_limits = LIMITS
        return hook.get("users/1")


async def _in_the_triggerer() -> Any:
    async with AmigoCloudHook() as hook:
        hook.retry_limits = LIMITS
        return await hook.aget("users/1")


def _outcome(call: Callable[[], object]) -> ProviderError | None:
    """Return the error that a call raises, None for none."""
    try:
        call()
    except ProviderError as error:
        return error
    return None


def _mutate(data: bytes, number: int) -> bytes:
    """Return a response with a hostile line in its head, or with damage anywhere."""
    dice = random.Random(number)
    if dice.random() < 0.3:
        return damage(data, dice)
    head, mark, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    at = dice.randrange(len(lines) + 1)
    lines[at : at + dice.randrange(2)] = [dice.choice(LINES)]
    return b"\r\n".join(lines) + mark + (damage(body, dice) if dice.random() < 0.3 and body else body)


def _examples() -> list[bytes]:
    body = b'{"id": 1, "name": "a"}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
    return [
        response(body, b"Content-Type: application/json"),
        chunked + b"5\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n",
        response(body, b"Content-Encoding: gzip"),
        response(b"", b"Location: /other", status=b"302 Found"),
        response(b"{}", b"Retry-After: 1", status=b"429 Too Many Requests"),
        b"HTTP/1.0 200 OK\r\n\r\n" + body,
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(body),
        response(b"", status=b"204 No Content"),
    ]


TARGETS = [
    Target(
        "heads",
        without_waits(_run),
        ("airflow_provider.core.http", "airflow_provider.core.hook"),
        mutate=_mutate,
        examples=_examples,
        holds_secrets=True,
    )
]
