"""The sandbox's counters, as another process reads them: requests, statuses, the busiest second, tokens."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.counters import Counters, busiest
from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET
from airflow_provider.sandbox.mapsindoors.seed import API_KEY
from airflow_provider.sandbox.server import Sandbox
from tests.support.sandbox_command import running

DATASET = "mapsindoors GET /{api_key}/api/dataset"


def counters(url: str) -> dict[str, Any]:
    return dict(requests.get(f"{url}/_sandbox/counters", timeout=5).json())


def read(url: str, times: int) -> None:
    with requests.Session() as session:
        for _ in range(times):
            session.get(f"{url}/mapsindoors/{API_KEY}/api/dataset", timeout=5)


def test_replies_are_counted_by_route_and_status(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time()
    monkeypatch.setattr(sandbox.clock, "now", lambda: moment)
    read(sandbox.url, 13)
    found = counters(sandbox.url)
    assert found["requests"][DATASET] == 13
    assert found["statuses"][DATASET] == {"200": 10, "429": 3}
    assert found["services"]["mapsindoors"]["statuses"] == {"200": 10, "429": 3}
    assert sandbox.counters.replies("mapsindoors") == {200: 10, 429: 3}
    assert sandbox.counters.report() == found


def test_refusals_are_counted_below_the_route_that_refused(sandbox: Sandbox) -> None:
    requests.get(f"{sandbox.url}/iotstudio/spaces/my-iot-project/things", timeout=5)
    requests.get(f"{sandbox.url}/iotstudio/nothing", timeout=5)
    requests.delete(f"{sandbox.url}/iotstudio/oauth2/token", timeout=5)
    found = counters(sandbox.url)["statuses"]
    assert found["iotstudio GET /spaces/{space}/things"] == {"401": 1}
    assert found["iotstudio GET (no such route)"] == {"404": 1}
    assert found["iotstudio DELETE /oauth2/token"] == {"405": 1}


def test_a_fault_is_counted_with_the_status_that_the_client_got(sandbox: Sandbox) -> None:
    sandbox.faults.add("status", service="mapsindoors", status=503)
    read(sandbox.url, 2)
    assert counters(sandbox.url)["statuses"][DATASET] == {"503": 1, "200": 1}


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
def test_a_request_without_a_reply_has_no_status(sandbox: Sandbox, kind: str) -> None:
    sandbox.faults.add(kind, service="mapsindoors")
    with pytest.raises(requests.ConnectionError):
        read(sandbox.url, 1)
    found = counters(sandbox.url)
    assert found["requests"][DATASET] == 1
    assert DATASET not in found["statuses"]


def test_an_error_of_a_handler_is_counted_as_500(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.mapsindoors, "solutions", None)
    read(sandbox.url, 1)
    assert counters(sandbox.url)["statuses"][DATASET] == {"500": 1}


def test_the_busiest_second_is_of_each_route_and_service(sandbox: Sandbox) -> None:
    read(sandbox.url, 5)
    requests.get(f"{sandbox.url}/mapsindoors/{API_KEY}/api/geodata", timeout=5)
    found = counters(sandbox.url)
    assert 1 <= found["busiest_second"][DATASET] <= 5
    assert found["busiest_second"][DATASET] <= found["services"]["mapsindoors"]["busiest_second"] <= 6
    assert sandbox.counters.busiest_second() == found["services"]["mapsindoors"]["busiest_second"]


def test_the_busiest_second_slides() -> None:
    assert busiest([]) == 0
    assert busiest([0.0, 0.9, 1.1, 1.8, 3.0]) == 3
    assert busiest([0.0, 1.0, 2.0]) == 1
    assert busiest([2.5, 0.0, 2.4, 0.1, 2.6]) == 3


def test_the_seconds_of_a_service_are_from_its_first_to_its_last_request() -> None:
    found = Counters()
    for moment in (5.0, 7.5, 6.0):
        found.requests["leanix GET /x"] += 1
        found.arrivals["leanix GET /x"].append(moment)
    assert found.report()["services"]["leanix"]["seconds"] == 2.5


def test_tokens_are_counted_by_service(sandbox: Sandbox) -> None:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    for _ in range(3):
        requests.post(f"{sandbox.url}/iotstudio/oauth2/token", data=form, timeout=5)
    found = counters(sandbox.url)
    assert found["tokens_issued"] == {"iotstudio": 3}
    assert found["services"]["iotstudio"]["tokens_issued"] == 3


def test_counters_alone_can_be_cleared(sandbox: Sandbox) -> None:
    sandbox.mapsindoors.lower_case_keys = False
    read(sandbox.url, 2)
    assert requests.delete(f"{sandbox.url}/_sandbox/counters", timeout=5).status_code == 204
    found = counters(sandbox.url)
    assert (found["requests"], found["statuses"], found["services"]) == ({}, {}, {})
    assert found["connections"] <= 1
    assert sandbox.mapsindoors.lower_case_keys is False


def test_a_reply_to_a_request_from_before_a_reset_is_not_counted() -> None:
    found = Counters()
    before = found.begin("leanix GET /x")
    found.clear()
    found.reply("leanix GET /x", 200, before)
    found.end(found.resets)
    assert found.report()["statuses"] == {}
    assert found.in_flight == 0


def test_a_websocket_is_counted_as_101(sandbox: Sandbox) -> None:
    client = pytest.importorskip("websockets.sync.client")
    url = sandbox.url.replace("http", "ws") + "/v2_socket.io/?EIO=4&transport=websocket"
    with client.connect(url):
        pass
    found = counters(sandbox.url)["statuses"]
    assert [counts for name, counts in found.items() if "WEBSOCKET" in name] == [{"101": 1}]


def test_another_process_reads_the_share_that_was_refused() -> None:
    with running("--set", "mapsindoors.requests_per_second=0.001") as url:
        read(url, 4)
        found = counters(url)["services"]["mapsindoors"]
        assert found["statuses"] == {"200": 1, "429": 3}
        assert found["requests"] == 4
        assert requests.post(f"{url}/_sandbox/reset", timeout=5).status_code == 204
        assert counters(url)["services"] == {}


def test_a_reset_forgets_requests_that_still_wait() -> None:
    """A test that leaves a socket open does not raise the peak of the next one."""
    counters = Counters()
    counters.begin("left open")
    left = counters.resets
    counters.reset()
    counters.begin("new")
    counters.end(left)
    assert (counters.in_flight, counters.peak_in_flight) == (1, 1)
    counters.end(counters.resets)
    assert counters.in_flight == 0


def test_requests_are_totalled_while_others_begin() -> None:
    """The server counts in its own thread: a new key in the middle of a total must wait for its end."""
    counters = Counters()
    other = threading.Thread(target=counters.begin, args=("notes GET /new",))

    class Key(str):
        def __contains__(self, part: object) -> bool:
            if not other.ident:
                other.start()
                other.join(0.2)
            return super().__contains__(part)  # type: ignore[arg-type]

    for key in ("notes GET /first", "notes GET /second"):
        counters.begin(Key(key))
    assert counters.total("notes") == 2
    other.join()
    assert counters.total("notes") == 3
