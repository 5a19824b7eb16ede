"""Mutations: inputs changed with their structure in mind, the same for the same number."""

from __future__ import annotations

import json
import random
import re
from copy import deepcopy
from typing import Any

from tests.fuzz.target import SECRET, TOKEN

DEPTH = 2_500
"""Nesting beyond the recursion limit of Python, and that of the readers of JSON in C."""

_DEEP_LIST, _DEEP_OBJECT, _HUGE, _LONG = "@deep-list@", "@deep-object@", "@huge@", "@long@"

_EXPANDED = {
    _DEEP_LIST: "[" * DEPTH + "]" * DEPTH,
    _DEEP_OBJECT: '{"a":' * DEPTH + "1" + "}" * DEPTH,
    _HUGE: "9" * 5000,
    _LONG: '"' + "x" * 6_000 + '"',
}
"""JSON of values that Python does not write by itself."""

VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        0.5,
        -0.0,
        2**31,
        2**53 + 1,
        2**63,
        2**64,
        -(2**63) - 1,
        10**30,
        1e308,
        1e-320,
    ),
    *(float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "0",
        "1",
        "null",
        "NaN",
        "None",
        "true",
        ".",
        "..",
        "/",
        "a/b",
        "?",
        "#",
        "%",
        "%zz",
        "\0",
        "\r\n",
    ),
    *("\x1b[31m", "\u202e", "\ud800", "\udfff\ud800", "é", "日本", "\U0001f600", "<script>", "{{ 1 }}", "-1"),
    *("2025-02-30", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "2025-01-01T00:00:00Z"),
    *(
        "http://127.0.0.1:9/x",
        "https://evil.example/x",
        "//evil.example/",
        "file:///etc/passwd",
        "http://[",
        "http://a:99999/",
    ),
    *(SECRET, TOKEN, f"https://x.example/?token={SECRET}"),
    *([], [[]], [None], [1, "a"], {}, {"": None}, {"id": None}, [{}], {"a": {"b": []}}),
    *(_DEEP_LIST, _DEEP_OBJECT, _HUGE, _LONG),
]
"""Values that any member may be replaced by."""


def mutate_json(body: bytes, number: int) -> bytes:
    """Return a JSON text with some of its values replaced, or with damaged bytes.

    :param body: the text; bytes that are no JSON are damaged only.
    :param number: chooses the changes.
    """
    rng = random.Random(number)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return damage(body, rng)
    if rng.random() < 0.12:
        return damage(body, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(value, rng)
    return write(value, rng)


def write(value: Any, rng: random.Random) -> bytes:
    """Return a value as JSON, now and then with a repeated key or in another encoding."""
    try:
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    except (ValueError, RecursionError):
        text = "null"
    if rng.random() < 0.06 and (keys := list(re.finditer(r'"(\w+)": ', text))):
        key = rng.choice(keys)
        twice = f"{key.group()}{rng.choice(['null', '1', '[]', '{}'])}, "
        text = text[: key.start()] + twice + text[key.start() :]
    for mark, expanded in _EXPANDED.items():
        text = text.replace(f'"{mark}"', expanded)
    encoding = "utf-8" if rng.random() < 0.95 else rng.choice(["utf-16", "utf-32", "cp1252", "utf-8-sig"])
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def damage(body: bytes, rng: random.Random) -> bytes:
    """Return bytes with some removed, repeated or changed."""
    at, to = sorted((rng.randint(0, len(body)), rng.randint(0, len(body))))
    return rng.choice(
        [
            b"",
            body[:at],
            body[at:],
            body[:at] + body[to:],
            body[:to] + body[at:],
            body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :],
            body[:at]
            + rng.choice([b"\xff", b"\xed\xa0\x80", b"\0", b"\n", b'"', b"\\", b"{", b"]", b","])
            + body[at:],
            body * 2,
            b"\xef\xbb\xbf" + body,
            b"<html><title>" + body[:50],
            body + b" x",
        ]
    )


def _copied(value: Any) -> Any:
    """Return a copy; null for what is nested too deeply, which Python 3.12 and later can read."""
    try:
        return deepcopy(value)
    except RecursionError:
        return None


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found, waiting = [], [(path, value)]
    while waiting and len(found) < 5000:
        path, value = waiting.pop()
        found.append(path)
        if isinstance(value, dict):
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), item) for index, item in enumerate(value)]
    return found


def _changed(value: Any, rng: random.Random) -> Any:
    paths = _paths(value)
    shallow = [path for path in paths if len(path) <= 3]
    path = rng.choice(shallow if rng.random() < 0.6 else paths)
    if not path:
        return _other(value, rng)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    key, choice = path[-1], rng.random()
    if choice < 0.15:
        del parent[key]
    elif choice < 0.25 and isinstance(parent, list):
        parent.insert(key, _copied(rng.choice(parent)))
    elif choice < 0.25:
        parent[rng.choice(["", "id", "next", "error", "errors", "detail", "data", "type", key + "x"])] = (
            deepcopy(rng.choice(VALUES))  # they may be changed later
        )
    else:
        parent[key] = _other(parent[key], rng)
    return value


def _other(value: Any, rng: random.Random) -> Any:
    """Return another value: any of them, or one that is near."""
    if rng.random() < 0.6:
        return deepcopy(rng.choice(VALUES))
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return rng.choice([-value, value + 1, f"{value}", value * 2, [value], value == 1])
    if isinstance(value, str):
        return rng.choice(
            [value + value, value[:-1], value.upper(), value + "\0", [value], f" {value}", len(value)]
        )
    if isinstance(value, list):
        return rng.choice(
            [value * 2, value[:1], {str(n): item for n, item in enumerate(value)}, [value], value[::-1]]
        )
    if isinstance(value, dict):
        return rng.choice(
            [[value], list(value.values()), list(value), dict.fromkeys(value), json.dumps(value)]
        )
    return [value]
