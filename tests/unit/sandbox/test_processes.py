"""Several processes of one sandbox: the same data, shared tokens and limits, counters together, one end."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.amigocloud.seed import USER_TOKEN
from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET, SPACE
from airflow_provider.sandbox.mapsindoors.seed import API_KEY, CLIENT, SECRET
from airflow_provider.sandbox.rate_limit import RateLimit
from airflow_provider.sandbox.shared import SharedState
from tests.support.sandbox_command import command, running, url_of
from tests.support.wait import until

pytestmark = pytest.mark.slow

PROCESSES = 3
SQL = "/amigocloud/api/v1/users/123/projects/1234/sql"


def get(url: str, **options: Any) -> requests.Response:
    """Send a request on a connection of its own, which the next process gets."""
    return requests.get(url, timeout=20, **options)


def login(url: str) -> requests.Response:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return requests.post(
        f"{url}/iotstudio/oauth2/token", data={**form, "scope": "thing category"}, timeout=20
    )


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def several() -> Any:
    with running("--processes", str(PROCESSES), "--load", "amigocloud.rows=2500") as url:
        yield url


@pytest.fixture
def url(several: str) -> str:
    assert requests.post(f"{several}/_sandbox/reset", timeout=60).status_code == 204
    return several


def test_all_processes_have_the_same_rows(url: str) -> None:
    params = {"query": "SELECT * FROM dataset_2003 ORDER BY amigo_id LIMIT 1000", "token": USER_TOKEN}
    found = {get(url + SQL, params=params).text for _ in range(2 * PROCESSES)}
    assert len(found) == 1


def test_connections_are_passed_to_the_processes_in_turn(url: str) -> None:
    """Without the others each one would be refused at its own maximum."""
    dumps = [get(f"{url}/amigocloud/api/v1/me", params={"token": USER_TOKEN}).status_code for _ in range(6)]
    assert dumps == [200] * 6
    found = get(f"{url}/_sandbox/counters").json()
    assert found["processes"] == PROCESSES
    assert found["services"]["amigocloud"]["requests"] == 6
    assert found["peak_in_flight"] == PROCESSES  # One at a time in each of them.


def test_counters_are_added_up_and_cleared_in_all_processes(url: str) -> None:
    for _ in range(7):
        get(f"{url}/mapsindoors/{API_KEY}/api/dataset")
    found = get(f"{url}/_sandbox/counters").json()
    (name,) = found["requests"]
    assert found["requests"][name] == 7
    assert found["statuses"][name] == {"200": 7}
    assert 1 <= found["busiest_second"][name] <= 7
    assert found["services"]["mapsindoors"]["rows_served"] == 7
    assert requests.delete(f"{url}/_sandbox/counters", timeout=20).status_code == 204
    assert get(f"{url}/_sandbox/counters").json()["services"] == {}


def test_a_token_of_one_process_is_valid_in_all(url: str) -> None:
    tokens = [login(url).json()["access_token"] for _ in range(PROCESSES)]
    assert len(set(tokens)) == PROCESSES
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        things = f"{url}/iotstudio/spaces/{SPACE}/categories"
        assert [get(things, headers=headers).status_code for _ in range(PROCESSES)] == [200] * PROCESSES
    assert get(f"{url}/_sandbox/counters").json()["tokens_issued"] == {"iotstudio": PROCESSES}


def test_a_token_that_is_revoked_is_invalid_in_all(url: str) -> None:
    token = login(url).json()["access_token"]
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": token}
    requests.post(f"{url}/iotstudio/oauth2/revoke", data=form, timeout=20)
    headers = {"Authorization": f"Bearer {token}"}
    things = f"{url}/iotstudio/spaces/{SPACE}/categories"
    assert {get(things, headers=headers).status_code for _ in range(PROCESSES)} == {401}


def test_no_two_processes_issue_the_same_token(url: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
    where = f"{url}/mapsindoors/auth/connect/token"
    tokens = [requests.post(where, data=form, timeout=20).json()["access_token"] for _ in range(PROCESSES)]
    assert len(set(tokens)) == PROCESSES


def test_limits_hold_over_all_processes(url: str) -> None:
    switches = {"iotstudio.max_tokens": 2, "mapsindoors.requests_per_second": 0.001}
    assert requests.patch(f"{url}/_sandbox/switches", json=switches, timeout=20).status_code == 200
    assert [login(url).status_code for _ in range(PROCESSES)] == [200, 200, 429]
    statuses = [get(f"{url}/mapsindoors/{API_KEY}/api/dataset").status_code for _ in range(PROCESSES)]
    assert statuses == [200, 429, 429]


def test_a_control_request_is_repeated_in_all_processes(url: str) -> None:
    control = f"{url}/_sandbox"
    assert requests.patch(f"{control}/switches", json={"leanix.x": 1}, timeout=20).status_code == 400
    body = {"kind": "status", "status": 418, "service": "amigocloud", "times": None}
    assert requests.post(f"{control}/faults", json=body, timeout=20).status_code == 201
    statuses = {get(f"{url}/amigocloud/api/v1/me").status_code for _ in range(PROCESSES)}
    assert statuses == {418}
    (fault,) = get(f"{control}/faults").json()
    assert (fault["options"]["status"], fault["hits"]) == (418, PROCESSES)
    assert requests.delete(f"{control}/faults", timeout=20).status_code == 204
    loaded = requests.post(f"{control}/amigocloud/rows", json={"dataset": 9, "rows": 40}, timeout=60)
    assert loaded.status_code == 201
    params = {"query": "SELECT count(*) AS n FROM dataset_9", "token": USER_TOKEN}
    assert {get(url + SQL, params=params).json()["data"][0]["n"] for _ in range(PROCESSES)} == {40}


def test_no_web_page_controls_several_processes(url: str) -> None:
    answer = requests.post(f"{url}/_sandbox/reset", headers={"Origin": "http://evil.example"}, timeout=20)
    assert answer.status_code == 403


def test_connections_name_the_common_port(url: str) -> None:
    found = {get(f"{url}/_sandbox/connections").text for _ in range(PROCESSES)}
    assert len(found) == 1
    assert f"{url}/amigocloud" in found.pop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_ends_all_processes(number: signal.Signals) -> None:
    with command("--port", "0", "--processes", "2") as process:
        url = url_of(process)
        found = children(process.pid)
        with requests.Session() as session:
            session.get(f"{url}/_sandbox/counters", timeout=20)
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert len(found) == 2
    assert [pid for pid in found if alive(pid)] == []


def test_a_killed_parent_leaves_no_processes() -> None:
    with command("--port", "0", "--processes", "2") as process:
        port = int(url_of(process).rpartition(":")[2])
        found = children(process.pid)
        process.kill()
        process.wait(timeout=20)
        until(lambda: not any(map(alive, found)), 20)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_process_that_ends_alone_ends_the_sandbox() -> None:
    with command("--port", "0", "--processes", "2") as process:
        url_of(process)
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"(pid {first}) has ended; the sandbox stops." in errors
    assert not alive(second)


@pytest.mark.parametrize("number", ["0", "-1", "many", "1000"])
def test_a_wrong_number_of_processes_is_refused(number: str) -> None:
    with command(f"--processes={number}") as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "--processes" in errors


def test_several_processes_name_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command("--port", str(port), "--processes", "2") as process:
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"Port {port} is taken" in errors


def test_a_shared_limit_is_forgotten_when_it_is_made_anew() -> None:
    shared = SharedState()
    first = RateLimit(1.0, "a", shared)
    other = RateLimit(1.0, "ab", shared)
    assert [bool(limit.take("k", 0.0, 1)) for limit in (first, first, other)] == [False, True, False]
    again = RateLimit(1.0, "a", shared)
    assert not again.take("k", 0.0, 1)
    assert other.take("k", 0.0, 1)


def test_events_are_read_from_where_a_process_left_off() -> None:
    shared = SharedState()
    shared.append({"n": 1})
    start = shared.end()
    shared.append({"n": 2})
    assert shared.events(0)[0] == [{"n": 1}, {"n": 2}]
    events, start = shared.events(start)
    assert events == [{"n": 2}]
    assert shared.events(start) == ([], start)


def test_a_restart_is_refused(url: str) -> None:
    reply = requests.post(f"{url}/_sandbox/restart", json={"seconds": 1}, timeout=20)
    assert (reply.status_code, "for one process" in reply.text) == (400, True)
