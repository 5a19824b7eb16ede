"""Client of the emulated IoT Studio, which returns replies unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.server import Sandbox

Api = Callable[..., requests.Response]


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[Api]:
    """Yield a function that sends a request below the space, logged in."""
    connection = json.loads(sandbox.connections["iotstudio_default"])
    keys = {"client_id": connection["login"], "client_secret": connection["password"]}
    form = {**keys, "grant_type": "client_credentials", "scope": "thing category model query"}
    session = requests.Session()
    token = session.post(f"{connection['host']}/oauth2/token", data=form, timeout=5).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    root = f"{connection['host']}/spaces/{connection['extra']['space']}"

    def send(method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        return session.request(method, root + path, json=json, timeout=5, **options)

    yield send
    session.close()
