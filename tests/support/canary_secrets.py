"""Canary credentials: plant them in all connections, and search texts for them in every encoding."""

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
    """Put credentials that every encoding changes into all connections, and shorten all waits."""
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
    """Return all credentials by service: those of its connection, and every token issued since."""
    tokens: dict[str, Callable[[Any], Iterable[str]]] = {
        "mapsindoors": lambda service: [*service.auth._tokens, service.connection()["extra"]["api_key"]],
        "amigocloud": lambda service: [*service.websocket_sessions, seed.AWKWARD_TOKEN],
        "iotstudio": lambda service: service.tokens,
        "leanix": lambda service: service._tokens,
    }
    found: dict[str, list[str]] = {}
    for name, service in sandbox.services.items():
        # AmigoCloud's own token is a plain word: it would be found in unrelated texts.
        own = [] if name == "amigocloud" else [service.connection()["password"]]
        found[name] = [*tokens[name](service), *own]
    return found


def break_everything(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """Make every reply fail, and quote in it all credentials that the service has received."""
    for service, secrets in secrets_of(sandbox).items():
        body = {"error": " ".join(secrets), "detail": secrets}
        quoting = {"body": body, "headers": {"X-Said": quote(secrets[0])}}
        options = quoting if fault["kind"] == "status" else {}
        sandbox.faults.add(service=service, times=None, **fault, **options)


def leaks(left: Mapping[str, str], sandbox: Sandbox) -> list[str]:
    """Return each credential, in any encoding, that a run has left in a text.

    :param left: texts by their location.
    """
    secrets = {secret for found in secrets_of(sandbox).values() for secret in found}
    return [f"{location}: {text}" for location, text in search(left.items(), secrets)]


def search(texts: Iterable[tuple[str, str]], secrets: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the location of each secret, in any encoding, with the text around it."""
    encoded = {encoding for secret in secrets for encoding in encodings(secret)}
    for location, text in texts:
        for encoding in encoded:
            if (at := text.find(encoding)) >= 0:
                yield location, f"...{text[max(0, at - 150) : at + 20]}"
