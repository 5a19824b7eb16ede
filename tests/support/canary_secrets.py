"""Credentials that every encoding changes, planted in all connections, and the search for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import auth, rate_limit
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.redaction import encodings
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.server import Sandbox


def plant(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put credentials into all connections that every encoding changes; nothing takes long."""
    monkeypatch.setattr(auth, "_slots", {})
    monkeypatch.setattr(rate_limit, "_budgets", {})
    monkeypatch.setattr(ApiHook, "retry_limits", RetryLimits(attempts=2, base=0.001, cap=0.01))
    connection = {**sandbox.amigocloud.connection(), "password": seed.AWKWARD_TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", json.dumps(connection))
    sandbox.mapsindoors.rate_limit = None
    sandbox.amigocloud.job_latency = 0.05
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = 0.05
    sandbox.iotstudio.device_seconds = 0.05


def secrets_of(sandbox: Sandbox) -> dict[str, list[str]]:
    """Give all credentials in play by service: the connection's, and every token made since."""
    tokens: dict[str, Callable[[Any], Iterable[str]]] = {
        "mapsindoors": lambda service: [*service.auth._tokens, service.connection()["extra"]["api_key"]],
        "amigocloud": lambda service: [*service.websocket_sessions, seed.AWKWARD_TOKEN],
        "iotstudio": lambda service: service.tokens,
        "leanix": lambda service: service._tokens,
    }
    found: dict[str, list[str]] = {}
    for name, service in sandbox.services.items():
        # AmigoCloud's own token is a plain word, which says nothing when it is found somewhere.
        own = [] if name == "amigocloud" else [service.connection()["password"]]
        found[name] = [*tokens[name](service), *own]
    return found


def break_everything(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """Let every answer of a service fail, and say again all that the service was ever told."""
    for service, told in secrets_of(sandbox).items():
        said = {"body": {"error": " ".join(told), "detail": told}, "headers": {"X-Said": quote(told[0])}}
        more = said if fault["kind"] == "status" else {}
        sandbox.faults.add(service=service, times=None, **fault, **more)


def leaks(left: Mapping[str, str], sandbox: Sandbox) -> list[str]:
    """Find credentials, in every spelling, in what is left of a run.

    :param left: texts, by where they are.
    """
    every = {one for told in secrets_of(sandbox).values() for one in told}
    return [f"{where}: {text}" for where, text in search(left.items(), every)]


def search(texts: Iterable[tuple[str, str]], secrets: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Give where a secret is, raw, percent-encoded, escaped or in base64, with what is around it."""
    spelled = {spelling for secret in secrets for spelling in encodings(secret)}
    for where, text in texts:
        for spelling in spelled:
            if (at := text.find(spelling)) >= 0:
                yield where, f"...{text[max(0, at - 150) : at + 20]}"
