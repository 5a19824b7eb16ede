"""Client of the emulated Integration API, which returns replies unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from airflow_provider.sandbox.mapsindoors import seed
from airflow_provider.sandbox.server import Sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Yield a client that is logged in and has the campus as its base URL."""
    sandbox.mapsindoors.rate_limit = None
    login = {"grant_type": "password", "client_id": "client"}
    login |= {"username": seed.USER, "password": seed.PASSWORD}
    with httpx.Client(base_url=f"{sandbox.url}/mapsindoors/{seed.API_KEY}/api") as client:
        answer = client.post(f"{sandbox.url}/mapsindoors/auth/connect/token", data=login)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client
