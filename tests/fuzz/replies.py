"""Fuzz targets of replies: each method of the hooks gets a reply that no service sends, over real HTTP.

An input looks like a reply: a line with the method of a hook, the number of the reply and its status, then
headers, an empty line, and the body.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any
from unittest.mock import patch

from airflow_provider.core.http.retry import RetryLimits
from tests.fault_matrix.faults import HOOKS
from tests.fuzz.mutations import mutate_json
from tests.fuzz.player import MOST_REQUESTS, Exchange, Player
from tests.fuzz.recordings import ROWS, Recording, at_player, connections, recordings
from tests.fuzz.target import SECRET, TOKEN, FaultError, Target, is_own
from tests.support.budgets import forget_budgets

LIMITS = RetryLimits(attempts=2, base=0.001, cap=0.01, total=20.0, longest_delay=0.01)

STATUSES = (200, 200, 200, 201, 202, 204, 206, 301, 304, 400, 401, 403, 404, 409, 429, 500, 503)

HEADERS = (
    f"content-type: text/html; charset={TOKEN.split('/')[0]}",
    "content-type: application/json; charset=utf-16",
    "content-encoding: gzip",
    "retry-after: -1",
    "retry-after: Thu, 01 Jan 1970 00:00:00 GMT",
    "retry-after: Fri, 31 Dec 9999 23:59:59 -2359",
    f"location: http://127.0.0.1:9/?token={SECRET.replace('%', '')}",
    "link: <http://127.0.0.1:9/>; rel=next",
)


_TOKEN = "/token"

_hooks: dict[str, Any] = {}


@cache
def player() -> Player:
    """Return the servers of this process."""
    return Player()


@cache
def environment() -> dict[str, str]:
    """Return environment variables with connections to the player."""
    return {f"AIRFLOW_CONN_{name.upper()}": text for name, text in connections(player()).items()}


def encode(label: str, index: int, exchange: Exchange) -> bytes:
    """Return the input that replaces one reply of a method's call."""
    lines = [f"{label} {index} {exchange.status}", *(f"{name}: {value}" for name, value in exchange.headers)]
    return "\n".join(lines).encode("latin-1", "replace") + b"\n\n" + exchange.body


def decode(data: bytes, calls: Mapping[str, Recording]) -> tuple[str, int, Exchange] | None:
    """Return label, index and reply of an input; None when it is none.

    :param calls: the recordings by label.
    """
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    words = first.split(" ")
    if (
        len(words) != 3
        or words[0] not in calls
        or not re.fullmatch(r"[0-9]{1,4} [0-9]{3}", " ".join(words[1:]))
    ):
        return None
    label, index, status = words[0], int(words[1]), int(words[2])
    known = calls[label].exchanges
    if index >= len(known) or not 200 <= status <= 599:
        return None
    pairs = (line.partition(":") for line in lines)
    headers = [(name.strip(), value.strip()) for name, _, value in pairs if _is_header(name, value)]
    return label, index, known[index]._replace(status=status, headers=headers, body=body)


def play(recording: Recording, index: int, changed: Exchange) -> None:
    """Let the player answer with the recorded replies, one of them changed."""
    changed = _with_credential(recording, changed)
    replies = [changed if number == index else one for number, one in enumerate(recording.exchanges)]
    player().load(at_player(player(), one) for one in replies)


def _with_credential(recording: Recording, changed: Exchange) -> Exchange:
    """Return a reply that quotes the credential of its connection where it has the text of a token."""
    body = next((one.body for one in recording.exchanges if "/token" in one.path), b"{}")
    known = json.dumps(json.loads(body).get("access_token", SECRET))[1:-1]
    body = changed.body
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        body = body.replace(TOKEN.encode(encoding), known.encode(encoding))
    return changed._replace(body=body)


def _is_header(name: str, value: str) -> bool:
    is_name = name.strip().isascii() and name.strip().replace("-", "").isalnum()
    return is_name and "\r" not in value and "\0" not in value and name.strip().lower() != "content-length"


def mutate(data: bytes, number: int) -> bytes:
    """Return an input with another body, now and then with another status or header."""
    rng = random.Random(number)
    head, _, body = data.partition(b"\n\n")
    lines = head.split(b"\n")
    words = lines[0].split(b" ")
    if rng.random() < 0.1 and len(words) == 3:
        lines[0] = b" ".join([*words[:2], str(rng.choice(STATUSES)).encode()])
    if rng.random() < 0.08:
        lines.append(rng.choice(HEADERS).encode("latin-1"))
    return b"\n".join(lines) + b"\n\n" + mutate_json(body, number)


def _run(vendor: str, data: bytes) -> None:
    found = decode(data, recordings())
    if found is None or not found[0].startswith(f"{vendor}."):
        return
    label, index, changed = found
    recording, server = recordings()[label], player()
    play(recording, index, changed)
    if is_of_token := _TOKEN in changed.path:
        _forget(vendor)
    try:
        with patch.dict(os.environ, environment()):
            _call(label, _hook(vendor), recording.prepared)
    finally:
        if is_of_token:
            _forget(vendor)
        if server.requests > MOST_REQUESTS:
            raise FaultError(f"requests-{label}", f"{server.requests} requests")


def _call(label: str, hook: Any, prepared: Any) -> None:
    """Call a method, and check that its result has the type that it promises."""
    name = ROWS[label].method
    method = getattr(hook, name)
    promised = str(inspect.signature(method).return_annotation)

    def checked(*args: Any, **options: Any) -> Any:
        result = method(*args, **options)
        if isinstance(result, Iterator) and "Iterator" in promised:
            return map(partial(_check_type, label, promised.partition("[")[2]), result)
        return _check_type(label, promised, result)

    setattr(hook, name, checked)
    try:
        ROWS[label].call(hook, prepared)
    except Exception as error:
        if is_own(error):
            raise
    finally:
        delattr(hook, name)


_TYPES: dict[str, type | tuple[type, ...]] = {
    "list": list,
    "dict": dict,
    "Json": dict,
    "str": str,
    "int": int,
    "bool": bool,
    "tuple": tuple,
}


def _check_type(label: str, promised: str, result: Any) -> Any:
    """Return a result if it has the promised type, as far as a short list of types tells."""
    outer, _, inner = promised.removesuffix("]").partition("[")
    if "|" in outer or "|" in promised.rpartition("]")[2]:
        return result
    expected = _TYPES.get(outer)
    if expected and not isinstance(result, expected):
        raise FaultError(f"type-{label}", f"{result!r:.300} is no {promised}")
    if outer == "list":
        for item in result:
            _check_type(label, inner, item)
    return result


def _hook(vendor: str) -> Any:
    """Return the vendor's hook, whose connections and token outlive an input: that saves most of its time."""
    if vendor not in _hooks:
        hook = HOOKS[vendor]()
        hook.retry_limits = LIMITS
        _hooks[vendor] = hook
    return _hooks[vendor]


def forget_all() -> None:
    """Close all hooks, and forget their tokens."""
    for vendor in list(_hooks):
        _forget(vendor)


def _forget(vendor: str) -> None:
    """Drop hook and token: the next request asks for a token."""
    if vendor in _hooks:
        _hooks.pop(vendor).close()
    forget_budgets()


def examples(vendor: str, calls: Callable[[], Mapping[str, Recording]] = recordings) -> list[bytes]:
    """Return the recorded replies of a vendor."""
    return [
        encode(label, index, exchange)
        for label, one in calls().items()
        if label.startswith(f"{vendor}.")
        for index, exchange in enumerate(one.exchanges)
    ]


def _target(vendor: str) -> Target:
    instrumented = (f"airflow_provider.{vendor}", "airflow_provider.core.http", "airflow_provider.core.hook")
    return Target(
        f"replies_{vendor}",
        without_waits(partial(_run, vendor)),
        instrumented,
        mutate=mutate,
        max_bytes=30_000,
        examples=partial(examples, vendor),
        holds_secrets=True,
    )


def without_waits(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a target's function whose pauses between attempts and polls are short."""

    def quick(data: bytes) -> None:
        from tests.fault_matrix.operators import no_waiting

        with no_waiting():
            run(data)

    return quick


TARGETS = [_target(vendor) for vendor in HOOKS]
