"""The services' limits: requests a second, requests of the token endpoint, valid tokens of a client."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET, SPACE
from airflow_provider.sandbox.mapsindoors.seed import API_KEY, CLIENT, EDITOR, PASSWORD, SECRET, USER
from airflow_provider.sandbox.rate_limit import RateLimit
from airflow_provider.sandbox.server import Sandbox

GRANT = {"grant_type": "client_credentials"}
Ask = Callable[[Sandbox], requests.Response]


def leanix_login(sandbox: Sandbox) -> requests.Response:
    url = f"{sandbox.leanix.base_url}/services/mtm/v1/oauth2/token"
    return requests.post(url, auth=("apitoken", sandbox.leanix.api_token), data=GRANT, timeout=5)


def iotstudio_login(sandbox: Sandbox) -> requests.Response:
    form = {**GRANT, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": "thing category"}
    return requests.post(f"{sandbox.iotstudio.base_url}/oauth2/token", data=form, timeout=5)


def mapsindoors_login(sandbox: Sandbox, user: str = "") -> requests.Response:
    form = {**GRANT, "client_id": CLIENT, "client_secret": SECRET}
    if user:
        form = {"grant_type": "password", "client_id": "client", "username": user, "password": PASSWORD}
    return requests.post(f"{sandbox.mapsindoors.base_url}/auth/connect/token", data=form, timeout=5)


LOGINS: dict[str, Ask] = {
    "leanix": leanix_login,
    "iotstudio": iotstudio_login,
    "mapsindoors": mapsindoors_login,
}


def leanix_read(sandbox: Sandbox, token: str) -> requests.Response:
    url = f"{sandbox.leanix.base_url}/services/integration-api/v1/synchronizationRuns"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def iotstudio_read(sandbox: Sandbox, token: str) -> requests.Response:
    url = f"{sandbox.iotstudio.base_url}/spaces/{SPACE}/categories"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def mapsindoors_read(sandbox: Sandbox, token: str) -> requests.Response:
    sandbox.mapsindoors.require_token = True
    url = f"{sandbox.mapsindoors.base_url}/{API_KEY}/api/dataset"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5)


READS: dict[str, Callable[[Sandbox, str], requests.Response]] = {
    "leanix": leanix_read,
    "iotstudio": iotstudio_read,
    "mapsindoors": mapsindoors_read,
}


@pytest.fixture
def frozen(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stop the sandbox's clock; return a function that advances it."""
    moment = [time.time()]
    monkeypatch.setattr(sandbox.clock, "now", lambda: moment[0])

    def advance(seconds: float) -> None:
        moment[0] += seconds

    return advance


def token(sandbox: Sandbox, name: str) -> str:
    answer = LOGINS[name](sandbox)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def test_leanix_has_a_limit_when_it_is_set(sandbox: Sandbox, frozen: Any) -> None:
    sandbox.leanix.requests_per_second = 30
    value = token(sandbox, "leanix")
    statuses = [leanix_read(sandbox, value).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    refused = leanix_read(sandbox, value)
    assert refused.text == "USER_INTERVAL_REQUEST_LIMIT_EXCEEDED"
    assert refused.headers["Retry-After"] == "1"
    sandbox.leanix.retry_after = False
    assert "Retry-After" not in leanix_read(sandbox, value).headers
    frozen(1 / 30)
    assert leanix_read(sandbox, value).status_code == 200
    assert leanix_read(sandbox, value).status_code == 429


def test_a_second_token_of_the_same_user_shares_the_limit(sandbox: Sandbox, frozen: Any) -> None:
    sandbox.leanix.requests_per_second = 2
    values = [token(sandbox, "leanix") for _ in range(3)]
    assert [leanix_read(sandbox, value).status_code for value in values] == [200, 200, 429]


@pytest.mark.parametrize("name", ["iotstudio", "amigocloud", "leanix"])
def test_a_limit_that_is_not_documented_by_the_second_is_off(sandbox: Sandbox, name: str) -> None:
    assert getattr(sandbox, name).requests_per_second is None


def test_iotstudio_has_a_limit_when_it_is_set(sandbox: Sandbox, frozen: Any) -> None:
    sandbox.iotstudio.requests_per_second = 3
    value = token(sandbox, "iotstudio")
    assert [iotstudio_read(sandbox, value).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = iotstudio_read(sandbox, value)
    assert refused.json() == {"error": {"status": 429, "message": "Too Many Requests"}}
    assert refused.headers["Retry-After"] == "1"
    sandbox.iotstudio.retry_after = False
    assert "Retry-After" not in iotstudio_read(sandbox, value).headers
    assert iotstudio_read(sandbox, "unknown").status_code == 401


@pytest.mark.parametrize("name", sorted(LOGINS))
def test_the_token_endpoint_has_a_limit_when_it_is_set(sandbox: Sandbox, frozen: Any, name: str) -> None:
    getattr(sandbox, name).token_requests_per_minute = 2
    answers = [LOGINS[name](sandbox) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "30"
    assert sandbox.counters.tokens_issued[name] == 2
    frozen(30)
    assert LOGINS[name](sandbox).status_code == 200
    getattr(sandbox, name).retry_after = False
    assert "Retry-After" not in LOGINS[name](sandbox).headers


@pytest.mark.parametrize("name", sorted(LOGINS))
@pytest.mark.parametrize("status", [429, 403])
def test_a_token_above_the_maximum_is_refused(sandbox: Sandbox, frozen: Any, name: str, status: Any) -> None:
    service = getattr(sandbox, name)
    service.max_tokens, service.token_refused_status = 2, status
    values = [token(sandbox, name) for _ in range(2)]
    refused = LOGINS[name](sandbox)
    assert refused.status_code == status
    assert "2 valid tokens" in refused.text
    assert [READS[name](sandbox, value).status_code for value in values] == [200, 200]
    assert sandbox.counters.tokens_issued[name] == 2
    frozen(1_000_000)
    assert LOGINS[name](sandbox).status_code == 200


@pytest.mark.parametrize("name", sorted(LOGINS))
def test_a_token_above_the_maximum_ends_the_oldest(sandbox: Sandbox, frozen: Any, name: str) -> None:
    service = getattr(sandbox, name)
    service.max_tokens, service.token_above_max = 2, "end_oldest"
    values = []
    for _ in range(3):
        values.append(token(sandbox, name))
        frozen(1)
    assert [READS[name](sandbox, value).status_code for value in values] == [401, 200, 200]


def test_a_maximum_counts_the_tokens_of_each_client(sandbox: Sandbox) -> None:
    sandbox.mapsindoors.max_tokens = 1
    statuses = [mapsindoors_login(sandbox, user).status_code for user in (USER, EDITOR, USER)]
    assert statuses == [200, 200, 429]


def test_a_revoked_token_makes_room(sandbox: Sandbox) -> None:
    sandbox.iotstudio.max_tokens = 1
    value = token(sandbox, "iotstudio")
    assert iotstudio_login(sandbox).status_code == 429
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": value}
    assert (
        requests.post(f"{sandbox.iotstudio.base_url}/oauth2/revoke", data=form, timeout=5).status_code == 200
    )
    assert iotstudio_login(sandbox).status_code == 200


@pytest.mark.parametrize(("rate", "allowed"), [(0, 0), (0.5, 1), (1, 1), (2.5, 2), (None, 9)])
def test_a_rate_is_exact(rate: float | None, allowed: int) -> None:
    limit = RateLimit()
    assert sum(not limit.take("a", 100.0, rate) for _ in range(9)) == allowed
    later = sum(not limit.take("a", 100 + tenth / 10, rate) for tenth in range(1, 101))
    assert later == (100 if rate is None else rate * 10)


def test_the_limit_of_a_key_does_not_count_for_another() -> None:
    limit = RateLimit()
    assert [bool(limit.take(key, 0.0, 1)) for key in ("a", "b", "a")] == [False, False, True]
    assert limit.busiest() == 2
