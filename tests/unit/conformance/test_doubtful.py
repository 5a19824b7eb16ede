"""Doubtful replies: what a service made or kept in spite of its reply is found by its name, and removed."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.conformance.created import CreatedObjects
from airflow_provider.conformance.runner import Runner
from airflow_provider.conformance.wire import MeteredTransport
from airflow_provider.core.http.endpoint import Request
from tests.unit.conformance.test_scratch import clean_up, files, scratch, snapshot

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

CREATIONS = {
    "mapsindoors": ("POST", "/api/geodata", "M6.post_code"),
    "amigocloud": ("POST", "/datasets/create", "A9.lag"),
    "iotstudio": ("POST", "/things", "I6.null"),
    "leanix": ("PUT", "/configurations", "L7.create"),
}
"""Method and end of the path of a creation, and a check that needs it."""

REMOVALS = {
    "mapsindoors": ("/api/geodata", "M6.post_code"),
    "amigocloud": ("/datasets/", "A9.lag"),
    "iotstudio": ("/things/", "I6.null"),
    "leanix": ("/configurations", "L7.create"),
}

Hook = Callable[[Request, int], int | None]


@pytest.fixture
def intercept(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hook], list[Request]]:
    """Return a function that changes the status of real replies, as a proxy does; it returns the requests."""

    def start(hook: Hook) -> list[Request]:
        sent: list[Request] = []
        perform = MeteredTransport._perform

        def changed(self: MeteredTransport, request: Request) -> Any:
            reply: Any = perform(self, request)
            sent.append(request)
            status = hook(request, len(sent))
            if status is not None:
                reply.status_code, reply._content, reply.raw = status, b"", io.BytesIO(b"")
            return reply

        monkeypatch.setattr(MeteredTransport, "_perform", changed)
        return sent

    return start


def is_creation(name: str, request: Request) -> bool:
    method, path, _ = CREATIONS[name]
    return request.method == method and request.url.partition("?")[0].endswith(path)


def answered(name: str, status: int) -> Hook:
    """Return a hook that changes the status of the first creation, which the service has made."""
    found: list[Request] = []

    def hook(request: Request, _: int) -> int | None:
        if is_creation(name, request):
            found.append(request)
        return status if found == [request] else None

    return hook


DOUBTS = [(name, status) for name in CREATIONS for status in (408, 504)]
DOUBTS += [("iotstudio", status) for status in (409, 425, 429, 500, 502, 503)]


@pytest.mark.parametrize(("name", "status"), DOUBTS)
def test_what_was_made_in_spite_of_its_reply_is_removed(
    sandbox: Any, intercept: Any, name: str, status: int, working_folder: Path
) -> None:
    before = snapshot(sandbox)
    sent = intercept(answered(name, status))
    assert scratch(sandbox, name, "--only", CREATIONS[name][2]) in {0, 1}
    assert snapshot(sandbox) == before
    assert files(working_folder) == []
    if name != "leanix":  # A PUT of the same key makes no second object.
        assert sum(is_creation(name, request) for request in sent) == 1


def test_a_creation_whose_token_is_refused_is_not_repeated(
    sandbox: Any, intercept: Any, working_folder: Path
) -> None:
    sent = intercept(answered("iotstudio", 401))
    scratch(sandbox, "iotstudio", "--only", "I6.null")
    assert sum(is_creation("iotstudio", request) for request in sent) == 1


@pytest.mark.parametrize("name", list(CREATIONS))
def test_a_creation_that_is_refused_for_its_rate_is_sent_again(
    sandbox: Any, name: str, working_folder: Path
) -> None:
    before = snapshot(sandbox)
    method, path, check = CREATIONS[name]
    fault = sandbox.faults.add("status", service=name, method=method, path=f"{path}$", status=429)
    assert scratch(sandbox, name, "--only", check) == 0
    assert fault.hits == 1
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


def test_both_objects_of_a_name_are_removed(
    sandbox: Any, intercept: Any, monkeypatch: pytest.MonkeyPatch, working_folder: Path
) -> None:
    """The search after a 429 does not show yet what was made."""
    before = snapshot(sandbox)
    search = Runner._search
    late = [[]]
    monkeypatch.setattr(Runner, "_search", lambda *given: late.pop() if late else search(*given))
    sent = intercept(answered("iotstudio", 429))
    assert scratch(sandbox, "iotstudio", "--only", "I6.null") == 0
    assert sum(is_creation("iotstudio", request) for request in sent) == 2
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


@pytest.mark.parametrize("name", list(REMOVALS))
def test_a_stray_404_of_a_removal_is_not_believed(sandbox: Any, name: str, working_folder: Path) -> None:
    before = snapshot(sandbox)
    path, check = REMOVALS[name]
    fault = sandbox.faults.add("stray_404", service=name, method="DELETE", path=path)
    assert scratch(sandbox, name, "--only", check) == 0
    assert fault.hits == 1
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


def test_a_removal_that_is_a_404_each_time_leaves_the_file(
    sandbox: Any, working_folder: Path, capsys: Any
) -> None:
    before = snapshot(sandbox)
    sandbox.faults.add("stray_404", service="iotstudio", method="DELETE", path="/things/", times=None)
    assert scratch(sandbox, "iotstudio", "--only", "I6.null") == 5
    [path] = files(working_folder)
    assert f"--clean-up {path}" in capsys.readouterr().err
    sandbox.faults.clear()
    assert clean_up(sandbox, "iotstudio", path) == 0
    assert snapshot(sandbox) == before


@pytest.mark.parametrize(("name", "path"), [("iotstudio", "/things/"), ("amigocloud", r"/datasets/\d+$")])
def test_a_stray_404_of_a_later_look_is_not_believed(
    sandbox: Any, working_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    before = snapshot(sandbox)
    with monkeypatch.context() as patched:
        patched.setattr(Runner, "clean_up", lambda *_, **__: [])
        assert scratch(sandbox, name, "--only", CREATIONS[name][2]) == 5
    assert snapshot(sandbox) != before
    fault = sandbox.faults.add("stray_404", service=name, method="GET", path=path)
    [left] = files(working_folder)
    assert clean_up(sandbox, name, left) == 0
    assert fault.hits == 1
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


@pytest.mark.parametrize("name", list(CREATIONS))
def test_an_interrupted_removal_names_the_file_and_the_objects(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, working_folder: Path, capsys: Any, name: str
) -> None:
    before = snapshot(sandbox)
    perform = MeteredTransport._perform
    with monkeypatch.context() as patched:

        def interrupt(self: MeteredTransport, request: Request) -> Any:
            if request.method == "DELETE":
                raise KeyboardInterrupt
            return perform(self, request)

        patched.setattr(MeteredTransport, "_perform", interrupt)
        assert scratch(sandbox, name, "--only", CREATIONS[name][2]) == 5
        [path] = files(working_folder)
        said = capsys.readouterr().err
        assert "Interrupted." in said
        assert f"--clean-up {path}" in said
        assert all(created.name in said for created in CreatedObjects.open(path).left)
        assert clean_up(sandbox, name, path) == 5
        assert f"--clean-up {path}" in capsys.readouterr().err
    assert clean_up(sandbox, name, path) == 0
    assert snapshot(sandbox) == before


def test_a_room_that_may_not_be_deleted_with_its_children_is_removed(
    sandbox: Any, working_folder: Path
) -> None:
    sandbox.switches.set(sandbox.switches.check({"mapsindoors.delete_children": "refuse"}))
    before = snapshot(sandbox)
    assert scratch(sandbox, "mapsindoors", "--only", "M7") == 2
    assert snapshot(sandbox) == before
    assert files(working_folder) == []
