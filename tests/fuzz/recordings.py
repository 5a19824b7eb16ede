"""Recordings: the sandbox's replies to every method of the hooks, kept in the repository.

``python -m tests.fuzz.recordings`` makes them again.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID
from tests.fault_matrix import method_rows, method_rows_iotstudio
from tests.fault_matrix.method_rows import Row
from tests.fuzz.player import Exchange, Player
from tests.fuzz.target import SECRET, TOKEN
from tests.support.every_task import THING

if TYPE_CHECKING:
    from airflow_provider.sandbox.server import Sandbox

FILE = Path(__file__).with_name("recordings.json.gz")

ORIGIN, STORAGE = "http://127.0.0.1:11111", "http://127.0.0.1:22222"
"""Origins in the recordings; the player's own take their place."""

MAX_ITEMS = 3
"""Items of a list that are kept: a reply of hundreds is no other input."""

FURTHER = [
    Row("amigocloud", "start_export", lambda h, _: h.start_export(1, "KML")),
    Row("leanix", "check_workspace", lambda h, _: h.check_workspace(WORKSPACE_ID)),
    Row("leanix", "sync_log_url", lambda h, _: h.sync_log_url()),
    Row("iotstudio", "revoke_token", lambda h, _: (h.get_thing(THING), h.revoke_token())),
    Row(
        "iotstudio",
        "list_events",
        lambda h, _: h.list_events(THING),
        prepare=lambda h: h.add_event(THING, "highTemperature", 40) and None,
    ),
    Row(
        "iotstudio",
        "list_actions",
        lambda h, _: h.list_actions(THING, "reboot"),
        prepare=lambda h: h.invoke_action(THING, "reboot") and None,
    ),
    Row(
        "iotstudio",
        "list_models",
        lambda h, _: h.list_models(),
        prepare=lambda h: h.create_model("pump") and None,
    ),
    Row(
        "iotstudio",
        "patch_results",
        lambda h, _: h.patch_results([{"id": THING, "patch": []}]),
    ),
    *(
        Row(vendor, name, call)
        for vendor in ("mapsindoors", "amigocloud", "iotstudio", "leanix")
        for name, call in {
            "test_connection": lambda h, _: h.test_connection(),
            "access_token": lambda h, _: h.access_token(),
        }.items()
    ),
]
"""Methods that the fault matrix leaves out, and those whose replies are empty there."""

ROWS: dict[str, Row] = {
    f"{row.vendor}.{row.method}": row for row in (*method_rows.ROWS, *method_rows_iotstudio.ROWS, *FURTHER)
}


class Recording(NamedTuple):
    """What a call of a method needs, and the replies that it gets."""

    prepared: Any
    exchanges: list[Exchange]


def write() -> None:
    """Record every method against the sandbox."""
    from tests.fault_matrix.faults import HOOKS, QUICK, fresh
    from tests.support.budgets import forget_budgets

    out = {}
    with recorder() as (sandbox, player):
        known = {name: _connection(player, text) for name, text in sandbox.connections.items()}
        for label, row in ROWS.items():
            with HOOKS[row.vendor]() as hook:
                fresh(sandbox, row.vendor)
                sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 0.0
                sandbox.leanix.seconds_per_item = sandbox.iotstudio.device_seconds = 0.0
                hook.retry_limits = QUICK
                prepared = row.prepare(hook)
                forget_budgets()
                player.exchanges.clear()
                with HOOKS[row.vendor]() as recorded:
                    row.call(recorded, prepared)
                out[label] = {"prepared": prepared, "exchanges": texts(player)}
    write_file(FILE, {"connections": known, "calls": out})


@contextmanager
def recorder() -> Iterator[tuple[Sandbox, Player]]:
    """Yield a sandbox, and the player between it and its clients, which records what it replies."""
    from airflow_provider.sandbox.server import Sandbox
    from tests.fault_matrix.faults import connected
    from tests.fault_matrix.operators import no_waiting

    os.environ["DIGITAL_TWIN_STORE"] = tempfile.mkdtemp(prefix="fuzz-")
    player = Player()
    with Sandbox() as sandbox, no_waiting():
        player.targets = sandbox.url, sandbox.around.storage_origin
        sandbox.around.origin, sandbox.around.storage_origin = player.origin, player.storage_origin
        with connected(sandbox):
            yield sandbox, player
    player.close()


def write_file(path: Path, content: Any) -> None:
    """Write recordings, the same bytes for the same content."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode("utf-8", "surrogatepass"), 9, mtime=0))


def _connection(player: Player, text: str) -> str:
    text = json.dumps({**json.loads(text), "password": SECRET})
    for before, now in ((player.origin, ORIGIN), (player.storage_origin, STORAGE)):
        text = text.replace(before, now).replace(before.partition("://")[2], now.partition("://")[2])
    return text


def texts(player: Player, shorten: bool = True) -> list[list[Any]]:
    """Return what a player has recorded, as JSON.

    :param shorten: whether to cut lists to a few items.
    """
    found = []
    for one in player.exchanges:
        body = _without_tokens(_shortened(one.body) if shorten else _text(one.body))
        body = body.replace(player.origin, ORIGIN).replace(player.storage_origin, STORAGE)
        headers = [
            (name, value.replace(player.origin, ORIGIN).replace(player.storage_origin, STORAGE))
            for name, value in one.headers
            if name.lower() in ("content-type", "retry-after", "link", "location")
        ]
        found.append([one.method, one.path, one.storage, one.status, headers, body])
    return found


def _shortened(body: bytes) -> str:
    """Return a body as text, its lists shortened."""
    try:
        value = json.loads(body)
    except ValueError:
        return _text(body)
    return json.dumps(_short(value), ensure_ascii=False)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(item) for item in (value if _are_numbers(value) else value[:MAX_ITEMS])]
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    return value


def _are_numbers(value: list[Any]) -> bool:
    """Return whether a list is one of coordinates, which must stay whole."""
    return all(
        isinstance(item, (int, float)) or (isinstance(item, list) and _are_numbers(item)) for item in value
    )


def _without_tokens(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and isinstance(value.get("access_token"), str):
        value["access_token"] = _token_like(value["access_token"])
    return json.dumps(value, ensure_ascii=False)


def _token_like(token: str) -> str:
    """Return the fuzz token; a JWT keeps its claims."""
    parts = token.split(".")
    return f"{parts[0]}.{parts[1]}.{base64.b64encode(TOKEN.encode()).decode()}" if len(parts) == 3 else TOKEN


@cache
def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


@cache
def recordings(path: Path = FILE) -> dict[str, Recording]:
    """Return the recordings of a file by label; by default those of methods, by vendor and method."""
    found = _read(path)["calls"]
    return {
        label: Recording(
            one["prepared"],
            [
                Exchange(
                    *(method, path, storage, status, [(name, value) for name, value in headers]),
                    body.encode("utf-8", "surrogateescape"),
                )
                for method, path, storage, status, headers, body in one["exchanges"]
            ],
        )
        for label, one in found.items()
    }


def connections(player: Player) -> dict[str, str]:
    """Return connections to the player, with a credential that every encoding changes."""
    return {name: _at(player, text) for name, text in _read(FILE)["connections"].items()}


def at_player(player: Player, exchange: Exchange) -> Exchange:
    """Return an exchange with the player's own origins."""
    body, headers = exchange.body, exchange.headers
    for before, now in ((ORIGIN, player.origin), (STORAGE, player.storage_origin)):
        body = body.replace(before.encode(), now.encode())
        headers = [(name, value.replace(before, now)) for name, value in headers]
    return exchange._replace(body=body, headers=headers)


def _at(player: Player, text: str) -> str:
    for before, now in ((ORIGIN, player.origin), (STORAGE, player.storage_origin)):
        text = text.replace(before, now).replace(before.partition("://")[2], now.partition("://")[2])
    return text


if __name__ == "__main__":
    write()
