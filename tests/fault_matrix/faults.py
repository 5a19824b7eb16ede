"""Faults of the matrix: their options in the sandbox, and their injection into a run of requests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_to_bytes

from airflow.sdk._shared.secrets_masker import _secrets_masker

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.server import Sandbox
from tests.support.budgets import forget_budgets
from tests.support.recording_host import RecordingHost

HOOKS: dict[str, Any] = {
    "mapsindoors": MapsIndoorsHook,
    "amigocloud": AmigoCloudHook,
    "iotstudio": IoTStudioHook,
    "leanix": LeanIXHook,
}
QUICK = RetryLimits(attempts=3, base=0.001, cap=1.0, total=60.0)
LONGEST = 20.0
"""Maximum seconds of a call, also on a busy machine; a longer one counts as hung."""

TOKEN = "(connect|oauth2)/token"
NOT_TOKEN = rf"^(?!.*{TOKEN})"
FAULTS: dict[str, dict[str, Any]] = {
    "429, Retry-After": {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "502 HTML": {"kind": "html", "status": 502},
    "504 HTML": {"kind": "html", "status": 504},
    "reset before": {"kind": "reset_before"},
    "reset after": {"kind": "reset_after"},
    "truncated": {"kind": "truncate"},
    "slow": {"kind": "slow", "seconds": 0.02, "pieces": 2},
    "wrong type": {"kind": "content_type"},
    "401 once": {"kind": "status", "status": 401},
    "401 always": {"kind": "status", "status": 401, "times": None},
    "no tokens": {"kind": "status", "status": 503, "times": None, "path": TOKEN},
    "404 once": {"kind": "stray_404", "service": "iotstudio"},
    "redirect": {"kind": "redirect"},
    "hour off": {},
}
BAD = ("DUPLICATED", "LOST", "HUNG", "WRONG", "LEAKED")


class Injection:
    """One fault, injected until :meth:`end`.

    :param fault: a key of :data:`FAULTS`.
    :param after: number of requests before the fault, requests for tokens not counted.
    """

    def __init__(self, sandbox: Sandbox, fault: str, after: int = 0) -> None:
        self._sandbox, self._after, self._fault = sandbox, after, fault
        self._foreign = RecordingHost() if fault == "redirect" else None
        self._passed = 0
        self.hit = False
        options = dict(FAULTS[fault])
        if self._foreign:
            options["location"] = f"http://{self._foreign.address}/elsewhere"
        self._original_take = sandbox.faults.take
        self._fault_added = None
        if not options:
            sandbox.faults.take = self._take  # type: ignore[method-assign]
            return
        path = options.setdefault("path", NOT_TOKEN)
        if path == TOKEN and after:
            # In the middle: the service refuses the current token, and issues no new one.
            sandbox.faults.add("status", path=NOT_TOKEN, after=after, status=401)
            after = 1
        self._fault_added = sandbox.faults.add(after=after, **options)

    def _take(self, service: str, method: str, path: str) -> Any:
        if "token" not in path:
            self._passed += 1
            if self._passed == self._after + 1:
                self._sandbox.clock.advance(3600)
                self.hit = True
        return self._original_take(service, method, path)

    def end(self) -> None:
        """Remove the fault from the service."""
        self.hit = self.hit or bool(self._fault_added and self._fault_added.hits)
        self._sandbox.faults.clear()
        if not FAULTS[self._fault]:
            self._sandbox.faults.take = self._original_take  # type: ignore[method-assign]
        if self._foreign:
            self._foreign.close()

    @property
    def leaked(self) -> bool:
        """True when the host that the redirect named has received anything."""
        return bool(self._foreign and self._foreign.seen)

    @property
    def leaked_secret(self) -> bool:
        """True when that host has received a credential of a connection."""
        seen = unquote_to_bytes(self._foreign.seen) if self._foreign else b""
        secrets = [json.loads(text)["password"] for text in self._sandbox.connections.values()]
        return b"authorization" in seen.lower() or any(secret.encode() in seen for secret in secrets)


def fresh(sandbox: Sandbox, vendor: str) -> None:
    """Reset a service, and drop all tokens and rate limits."""
    sandbox.faults.clear()
    sandbox.clock.reset()
    # Only this service: seeding all four takes most of the time.
    sandbox.services[vendor].reset()
    sandbox.mapsindoors.requests_per_second = None
    sandbox.amigocloud.job_latency = 0.0
    forget_budgets()
    # Each known token slows the masker down, and a matrix uses hundreds of them.
    _secrets_masker().reset_masker()


@contextmanager
def connected(sandbox: Sandbox) -> Iterator[None]:
    """Put the sandbox's connections into the environment, and ``warehouse``, an empty database."""
    before = dict(os.environ)
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps({"conn_type": "sqlite", "host": ":memory:"})
    os.environ |= {f"AIRFLOW_CONN_{name.upper()}": text for name, text in sandbox.connections.items()}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
