"""Each kind of fault, over real TCP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.mapsindoors.seed import API_KEY
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.service import Service


class NotesService(Service):
    """A minimal service that stores notes."""

    name = "notes"

    def reset(self) -> None:
        self.notes: list[str] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/notes", self.list),
            Route("/notes", self.add, methods=["POST"]),
            Route("/notes", self.clear, methods=["DELETE"]),
        ]

    def connection(self) -> Mapping[str, Any]:
        return {"conn_type": self.name, "host": self.base_url}

    async def list(self, _: Request) -> JSONResponse:
        return JSONResponse(self.notes)

    async def add(self, request: Request) -> JSONResponse:
        self.notes.append((await request.body()).decode())
        return JSONResponse({"added": len(self.notes)}, 201)

    async def clear(self, _: Request) -> Response:
        self.notes = []
        return Response(status_code=204)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(kinds=[NotesService]) as sandbox:
        yield sandbox


@pytest.fixture
def notes(server: Sandbox) -> Sandbox:
    server.reset()
    return server


def get(sandbox: Sandbox, **options: Any) -> requests.Response:
    return requests.get(f"{sandbox.url}/notes/notes", timeout=5, allow_redirects=False, **options)


def post(sandbox: Sandbox, text: str = "a note") -> requests.Response:
    return requests.post(f"{sandbox.url}/notes/notes", data=text, timeout=5)


def test_status_fault_answers_in_the_services_place(notes: Sandbox) -> None:
    notes.faults.add("status", status=429, headers={"Retry-After": 7}, body={"error": "slow down"})
    reply = post(notes)
    assert (reply.status_code, reply.headers["Retry-After"], reply.json()) == (
        429,
        "7",
        {"error": "slow down"},
    )
    assert notes.notes.notes == []


def test_html_fault_looks_like_a_proxys_error_page(notes: Sandbox) -> None:
    notes.faults.add("html", status=503)
    reply = get(notes)
    assert reply.status_code == 503
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "503 Service Unavailable" in reply.text


def test_reset_before_cuts_the_connection_and_the_service_sees_nothing(notes: Sandbox) -> None:
    fault = notes.faults.add("reset_before", method="post")
    with pytest.raises(requests.ConnectionError):
        post(notes)
    assert fault.hits == 1
    assert notes.notes.notes == []


def test_reset_after_loses_the_answer_of_a_request_that_took_effect(notes: Sandbox) -> None:
    notes.faults.add("reset_after", method="POST")
    with pytest.raises(requests.ConnectionError):
        post(notes, "kept")
    assert get(notes).json() == ["kept"]


def test_truncate_announces_the_whole_body_and_sends_half_of_it(notes: Sandbox) -> None:
    notes.notes.notes = ["x" * 100_000]
    whole = len(get(notes).content)
    notes.faults.add("truncate")
    with get(notes, stream=True) as reply:
        assert int(reply.headers["Content-Length"]) == whole
        received: list[bytes] = []
        with pytest.raises(requests.RequestException):
            received.extend(reply.iter_content(1000))
    assert 0 < sum(map(len, received)) <= whole // 2


def test_truncate_cuts_the_head_of_a_reply_that_has_no_body(notes: Sandbox) -> None:
    """With a whole head, the reply would be good, and the next request on the connection sometimes lost."""
    notes.notes.notes = ["a note"]
    fault = notes.faults.add("truncate")
    with pytest.raises(requests.ConnectionError):
        requests.delete(f"{notes.url}/notes/notes", timeout=5)
    assert fault.hits == 1
    assert notes.notes.notes == []


def test_slow_dribbles_a_complete_body(notes: Sandbox) -> None:
    notes.notes.notes = ["y" * 1000]
    notes.faults.add("slow", seconds=0.2)
    started = time.monotonic()
    assert get(notes).json() == ["y" * 1000]
    assert time.monotonic() - started >= 0.2


def test_delay_holds_the_request_back_before_the_service_acts(notes: Sandbox) -> None:
    notes.faults.add("delay", seconds=0.2)
    started = time.monotonic()
    assert post(notes).status_code == 201
    assert time.monotonic() - started >= 0.2


def test_redirect_points_elsewhere(notes: Sandbox) -> None:
    notes.faults.add("redirect", location="http://127.0.0.1:1/elsewhere")
    reply = get(notes)
    assert (reply.status_code, reply.headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_content_type_mislabels_a_good_answer(notes: Sandbox) -> None:
    notes.faults.add("content_type", content_type="text/plain")
    reply = get(notes)
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.json() == []


def test_a_fault_hits_the_given_number_of_requests_after_letting_some_pass(notes: Sandbox) -> None:
    fault = notes.faults.add("status", status=500, times=2, after=1)
    assert [get(notes).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert fault.hits == 2


def test_a_fault_without_times_hits_until_it_is_removed(notes: Sandbox) -> None:
    fault = notes.faults.add("status", times=None)
    assert {get(notes).status_code for _ in range(3)} == {500}
    notes.faults.remove(fault)
    assert get(notes).status_code == 200


@pytest.mark.parametrize("filters", [{"service": "storage"}, {"method": "POST"}, {"path": "^/notes$"}])
def test_a_fault_does_not_hit_other_requests(notes: Sandbox, filters: dict[str, str]) -> None:
    fault = notes.faults.add("status", **filters)
    assert get(notes).status_code == 200
    assert fault.hits == 0


def test_an_unknown_kind_or_option_is_refused_by_name(notes: Sandbox) -> None:
    with pytest.raises(ValueError, match="no fault of kind 'explode'"):
        notes.faults.add("explode")
    with pytest.raises(ValueError, match="'slow' has no option status"):
        notes.faults.add("slow", status=1)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "service": "note"}, "service must be one of notes, storage, not 'note'"),
        ({"kind": "status", "method": "FETCH"}, "method must be one of DELETE, GET, "),
        ({"kind": "status", "method": 5}, "method must be one of "),
        ({"kind": "status", "path": 5}, "path must be a regular expression, not 5"),
        ({"kind": "status", "path": "("}, "path must be a regular expression, not '('"),
        ({"kind": "status", "times": 0}, "times must be a whole number of at least 1, or null, not 0"),
        (
            {"kind": "status", "times": "two"},
            "times must be a whole number of at least 1, or null, not 'two'",
        ),
        ({"kind": "status", "after": -1}, "after must be a whole number of at least 0, not -1"),
        ({"kind": "status", "after": True}, "after must be a whole number of at least 0, not True"),
        ({"kind": "status", "status": "500"}, "status must be a whole number from 200 to 599, not '500'"),
        ({"kind": "html", "status": 99}, "status must be a whole number from 200 to 599, not 99"),
        ({"kind": "status", "headers": ["a"]}, "headers must be an object, not"),
        ({"kind": "delay", "seconds": -1}, "seconds must be a number of at least 0, not -1"),
        ({"kind": "slow", "pieces": 0}, "pieces must be a whole number of at least 1, not 0"),
        ({"kind": "redirect", "location": 5}, "location must be a text, not 5"),
    ],
)
def test_a_fault_that_could_hit_nothing_or_not_be_made_is_refused(
    notes: Sandbox, fault: dict[str, Any], words: str
) -> None:
    reply = requests.post(f"{notes.url}/_sandbox/faults", json=fault, timeout=5)
    assert reply.status_code == 400
    assert words in reply.json()["detail"]
    assert notes.faults.active() == []


def test_threads_share_one_count(notes: Sandbox) -> None:
    fault = notes.faults.add("status", times=5)
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(get(notes).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen.count(500), seen.count(200), fault.hits) == (5, 3, 5)


@pytest.mark.parametrize(
    ("service", "path", "message"),
    [
        ("iotstudio", "/iotstudio/spaces/my-iot-project/things", "Item not found"),
        ("mapsindoors", f"/mapsindoors/{API_KEY}/api/dataset", "Not Found"),
        ("amigocloud", "/amigocloud/api/v1/me", "Not found."),
        ("leanix", "/leanix/services/integration-api/v1/configurations", "Not found"),
    ],
)
def test_a_stray_404_has_the_services_form_and_is_gone_the_next_time(
    sandbox: Sandbox, service: str, path: str, message: str
) -> None:
    sandbox.faults.add("stray_404", service=service)
    replies = [requests.get(sandbox.url + path, timeout=5) for _ in range(2)]
    assert replies[0].status_code == 404
    assert message in replies[0].text
    assert replies[0].json()
    assert replies[1].status_code in {200, 401}
