"""Twins of the four hooks: every method that sends works from an event loop, too, and does the same."""

from __future__ import annotations

import asyncio
import builtins
import functools
import inspect
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.sdk import BaseHook

from airflow_provider.core import redaction
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import async_transport, auth, rate_limit, twins
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import ProviderError
from airflow_provider.iotstudio import hooks_base
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.sandbox.server import Sandbox
from tests.support import twin_scripts as scripts
from tests.support.canary_secrets import break_everything, leaks, plant
from tests.support.twin_scripts import HOOKS, READS_AND_WRITES, SCRIPTS, THING

SEND_NOTHING = {
    # What a hook describes its service with.
    *("asset", "bases", "budget", "credential", "read_error", "shared_budget", "shared_token_budget"),
    *("shares_tokens", "token_budget", "prepared", "explained", "diagnose_address", "need_project"),
    # Callbacks of AmigoCloud's events, before the listening.
    *("add_callback", "listen_dataset_events", "listen_user_events"),
    # A block of a worker; asyncio.timeout does the same in an event loop.
    "until",
}
TESTED_ELSEWHERE = {
    # Each test closes its hooks; all other methods call send.
    *("close", "send"),
    # tests/unit/amigocloud/realtime/test_callbacks.py
    "start_listening",
    # It runs in a thread as upload_file does, and pandas takes long to load.
    "get_df",
}
WORKERS_ONLY = {"stream", "download", "upload"}
"""Chunks of bodies: what download_results and create_run use, in a thread."""

LOOPS_ONLY = {"aload", "aendpoint", "amatching"}
"""What only event loops and methods of hooks need."""


def public_methods(hook: type[ApiHook]) -> set[str]:
    return {
        name
        for name in dir(hook)
        if not name.startswith("_") and callable(getattr(hook, name)) and not hasattr(BaseHook, name)
    }


def senders(hook: type[ApiHook]) -> set[str]:
    names = public_methods(hook)
    twins = {name for name in names if name[0] == "a" and name[1:] in names | {"test_connection"}}
    return names - twins - SEND_NOTHING - WORKERS_ONLY - LOOPS_ONLY | {"test_connection"}


@pytest.fixture(params=HOOKS, ids=lambda hook: hook.__name__)
def kind(request: pytest.FixtureRequest) -> type[ApiHook]:
    found: type[ApiHook] = request.param
    return found


@pytest.fixture
def place(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for hook in HOOKS:
        monkeypatch.setattr(hook, "retry_limits", RetryLimits(attempts=3, base=0.005))
    monkeypatch.setattr(hooks_base, "MISSING_RECHECK_SECONDS", 0.0)
    monkeypatch.setattr(rate_limit, "TOKENS_PER_SECOND", 1000.0)
    (tmp_path / "up.csv").write_text("name\na\n")
    _forget(sandbox, monkeypatch, tmp_path / "first")
    return tmp_path


def _forget(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    """Start from the same state: of the services, the machine, and the process."""
    sandbox.reset()
    monkeypatch.setenv("DIGITAL_TWIN_STORE", str(store))
    monkeypatch.setattr(auth, "_slots", {})


def test_each_method_that_sends_has_a_twin_with_the_same_arguments(kind: type[ApiHook]) -> None:
    names = public_methods(kind)
    for name in senders(kind):
        assert f"a{name}" in names, f"{kind.__name__}.{name} has no twin"
        method, twin = getattr(kind, name), getattr(kind, f"a{name}")
        assert inspect.signature(method).parameters == inspect.signature(twin).parameters, name
        assert twin.__doc__, name
        assert twin.__qualname__.endswith(f".a{name}"), twin.__qualname__
        if name != "get_cursor":
            assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin), name
        assert not inspect.iscoroutinefunction(method), name


def test_a_script_calls_each_method_that_sends(kind: type[ApiHook]) -> None:
    called = {one.name for one in SCRIPTS[kind]}
    assert senders(kind) - called - TESTED_ELSEWHERE == set()


@pytest.mark.parametrize("part", ["-" + "x" * 42, "x" * 42 + "-", "x" * 21 + "-" + "x" * 21])
def test_a_token_is_left_out_of_the_comparison_whatever_it_consists_of(part: str) -> None:
    assert scripts.comparable(f"{part}.{part}") == "'#.#'"


def test_both_twins_give_the_same_results_with_the_same_requests(
    kind: type[ApiHook], sandbox: Sandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[list[tuple[str, Counter[str]]]] = [[], []]
    with kind() as hook:
        wanted = scripts.run(
            hook, str(place), lambda name: requests[0].append((name, Counter(sandbox.counters.requests)))
        )
    _forget(sandbox, monkeypatch, place / "second")

    async def run() -> scripts.Results:
        async with kind() as hook:
            return await scripts.arun(
                hook, str(place), lambda name: requests[1].append((name, Counter(sandbox.counters.requests)))
            )

    found = asyncio.run(run())
    for one, other in zip(wanted, found, strict=True):
        assert other == one
    for first, second in zip(*requests, strict=True):
        assert second == first


FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 403},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}")
def test_both_twins_raise_the_same_errors_after_the_same_attempts(
    kind: type[ApiHook],
    fault: dict[str, Any],
    sandbox: Sandbox,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A pause after a 429 is real.
    chosen = READS_AND_WRITES[kind][: 1 if fault.get("status") == 429 else None]
    monkeypatch.setitem(SCRIPTS, kind, chosen)
    found: list[tuple[scripts.Results, Counter[str]]] = []
    for number, run in enumerate((_on_a_worker, _in_a_loop)):
        _forget(sandbox, monkeypatch, place / str(number))
        monkeypatch.setattr(rate_limit, "_budgets", {})
        sandbox.faults.add(**fault, times=None, path="^(?!.*token)")
        found.append((run(kind, str(place), ignore), Counter(sandbox.counters.requests)))
        sandbox.faults.clear()
    assert found[0] == found[1]
    assert any("Error" in result for _, result in found[0][0])


def ignore(_: str) -> None:
    """Take note of no step."""


def _on_a_worker(kind: type[ApiHook], folder: str, each: Callable[[str], None]) -> scripts.Results:
    with kind() as hook:
        return scripts.run(hook, folder, each)


def _in_a_loop(kind: type[ApiHook], folder: str, each: Callable[[str], None]) -> scripts.Results:
    async def run() -> scripts.Results:
        async with kind() as hook:
            return await scripts.arun(hook, folder, each)

    return asyncio.run(run())


def test_no_twin_blocks_its_event_loop(
    kind: type[ApiHook], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watch what blocks: requests of the other transport, files, and sleeps."""
    blocked: list[str] = []

    def watch(owner: Any, name: str) -> None:
        usual = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            if asyncio._get_running_loop() and not str(args[0]).endswith(".py"):
                blocked.append(f"{name} {args[:1]}")
            return usual(*args, **options)

        monkeypatch.setattr(owner, name, watched)

    for owner, name in ((requests.Session, "send"), (builtins, "open"), (time, "sleep")):
        watch(owner, name)
    _in_a_loop(kind, str(place), ignore)
    assert blocked == []


def test_no_credential_is_left_in_errors_and_logs_of_twins(
    kind: type[ApiHook],
    sandbox: Sandbox,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setattr(scripts, "comparable", str)
    plant(sandbox, monkeypatch)
    others = {"create_geodata", "access_token", "cached_access_token", "send"}
    monkeypatch.setitem(SCRIPTS, kind, [one for one in SCRIPTS[kind] if one.name not in others])
    asyncio.run(_acall_once(kind))
    break_everything(sandbox, {"kind": "status", "status": 400})
    results = _in_a_loop(kind, str(place), ignore)
    assert any("400" in text for _, text in results)
    assert leaks({**dict(results), "log": caplog.text}, sandbox) == []


async def _acall_once(kind: type[ApiHook]) -> None:
    """Fetch a token, so that there is one to be found."""
    async with kind() as hook:
        await hook.aprobe()


async def test_two_hundred_tasks_of_a_loop_share_token_connection_and_places(
    sandbox: Sandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    usual = IoTStudioHook.aget_connection

    async def aget_connection(_: type[IoTStudioHook], conn_id: str) -> Any:
        read.append(conn_id)
        return await usual(conn_id)

    monkeypatch.setattr(IoTStudioHook, "aget_connection", classmethod(aget_connection))
    async with IoTStudioHook() as hook:
        values = await asyncio.gather(*(hook.aget_property(THING, "temperature") for _ in range(200)))
        assert hook.requests == 201
    assert len(values) == 200
    assert read == ["iotstudio_default"]
    assert sandbox.counters.tokens_issued["iotstudio"] == 1
    assert sandbox.counters.peak_in_flight <= async_transport.MAX_REQUESTS
    assert sandbox.counters.connections <= async_transport.MAX_REQUESTS + 1


async def test_tasks_of_a_loop_keep_to_the_connections_max_concurrency(
    sandbox: Sandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = json.loads(sandbox.connections["iotstudio_default"])
    value["extra"] = {**value["extra"], "max_concurrency": 3}
    monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", json.dumps(value))
    sandbox.faults.add("delay", seconds=0.05, times=None, path="/properties/")
    async with IoTStudioHook() as hook:
        await asyncio.gather(*(hook.aget_property(THING, "temperature") for _ in range(12)))
    assert sandbox.counters.peak_in_flight == 3


def test_a_hook_works_in_one_loop_after_another_and_on_a_worker_between(
    sandbox: Sandbox, place: Path
) -> None:
    hook = IoTStudioHook()

    async def read() -> Any:
        many = await asyncio.gather(*(hook.aget_property(THING, "temperature") for _ in range(5)))
        await hook.aclose()
        return many[0]

    first = asyncio.run(read())
    assert hook.get_property(THING, "temperature") == first
    assert asyncio.run(read()) == first
    hook.close()


async def test_async_with_closes_the_pool_unless_another_hook_uses_it(sandbox: Sandbox, place: Path) -> None:
    other = IoTStudioHook()
    await other.aget_thing(THING)
    clients = async_transport._clients[asyncio.get_running_loop()]
    (shared,) = clients.values()
    async with IoTStudioHook() as hook:
        await hook.aget_thing(THING)
    (client,) = shared.clients
    assert not client.client.is_closed
    await other.aget_thing(THING)
    await other.aclose()
    assert client.client.is_closed
    assert clients == {}


async def test_async_with_revokes_the_token_where_the_connection_says_so(
    sandbox: Sandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = json.loads(sandbox.connections["iotstudio_default"])
    value["extra"] = {**value["extra"], "revoke_on_close": True}
    monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", json.dumps(value))
    async with IoTStudioHook() as hook:
        await hook.aget_thing(THING)
    assert sandbox.counters.total("revoke") == 1


class OwnHook(IoTStudioHook):
    """Hook of a user, who has replaced methods as before there were twins."""

    def get_thing(self, thing_id: str) -> dict[str, Any]:
        return {"own": thing_id}

    def list_things(self, **options: Any) -> Any:
        return iter([{"own": 1}, {"own": 2}])

    def probe(self) -> str:
        raise ProviderError("own")


OWN = ("get_thing", "list_things", "probe")


async def test_a_method_that_a_user_has_replaced_has_a_twin_that_calls_it(
    sandbox: Sandbox, place: Path
) -> None:
    made: Any = type("Made", (IoTStudioHook,), {name: vars(OwnHook)[name] for name in OWN})
    for hook in (OwnHook(), made()):
        assert await hook.aget_thing("x") == {"own": "x"}
        assert [one async for one in hook.alist_things()] == [{"own": 1}, {"own": 2}]
        assert await hook.atest_connection() == (False, "own")
        assert await asyncio.to_thread(hook.test_connection) == (False, "own")
        assert await hook.aget_property(THING, "temperature") is not None


def audited(method: Any) -> Any:
    """Decorate a method as users do, who log its calls."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        self.calls = [*getattr(self, "calls", []), method.__name__]
        return method(self, *args, **options)

    return call


class Audited(IoTStudioHook):
    """Hook of a user, whose methods have a decorator."""

    set_properties = audited(IoTStudioHook.set_properties)

    @audited
    def get_thing(self, thing_id: str) -> dict[str, Any]:
        return super().get_thing(thing_id)

    @audited
    def list_things(self, **options: Any) -> Any:
        yield from super().list_things(**options)

    @classmethod
    def probe(cls) -> str:
        return cls.__name__


class Blocking(IoTStudioHook):
    """Hook of a user who writes methods as this package does."""

    @twins.blocking
    async def get_thing(self, thing_id: str) -> dict[str, Any]:  # type: ignore[override]
        return {"own": thing_id, "value": await self.aget_property(thing_id, "temperature")}

    @twins.blocking_iterator
    async def list_things(self, **options: Any) -> Any:
        yield {"own": 1}
        yield {"own": 2}


async def test_a_replaced_method_that_is_written_as_those_of_the_package_gets_its_twin(
    sandbox: Sandbox, place: Path
) -> None:
    async with Blocking() as hook:
        thing = await hook.aget_thing(THING)
        assert [one async for one in hook.alist_things()] == [{"own": 1}, {"own": 2}]
    assert thing == await asyncio.to_thread(Blocking().get_thing, THING)
    assert thing["own"] == THING
    assert list(Blocking().list_things()) == [{"own": 1}, {"own": 2}]


class Guard:
    """Mixin that refuses writes."""

    def set_properties(self, *args: Any, **options: Any) -> Any:
        raise PermissionError("refused by the guard")


class Guarded(Guard, IoTStudioHook):
    """Hook with a mixin."""


class GuardedLater(Guard, Audited):
    """Hook with a mixin before a hook with replaced methods."""


async def test_twins_call_the_decorator_of_a_replaced_method(sandbox: Sandbox, place: Path) -> None:
    async with Audited() as hook:
        thing = await hook.aget_thing(THING)
        await hook.aset_properties(THING, {"temperature": 33})
        assert [one async for one in hook.alist_things()]
        assert await hook.aprobe() == "Audited"
    assert thing["uid"] == THING
    assert hook.calls == ["get_thing", "set_properties", "list_things"]  # type: ignore[attr-defined]
    assert sandbox.counters.total("PUT ") == 1
    made: Any = Audited
    for twin in (made.aget_thing, made.alist_things, made.aprobe):
        assert twin.__qualname__ == f"Audited.{twin.__name__}"


async def test_a_wait_blocks_a_worker_and_suspends_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(IoTStudioHook):
        @twins.blocking
        async def rest(self, seconds: float) -> str:
            await twins.wait(seconds)
            return f"rested {seconds}"

        arest = twins.twin(rest, loads=False)

    slept: list[float] = []
    with monkeypatch.context() as stopped:
        stopped.setattr(twins, "time", SimpleNamespace(sleep=slept.append))
        assert Waiting().rest(30) == "rested 30"
    assert slept == [30]
    resting = asyncio.create_task(Waiting().arest(0))
    await asyncio.sleep(0)
    assert not resting.done()
    assert await resting == "rested 0"


async def test_secrets_are_masked_by_workers_and_event_loops_in_their_own_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Masking(IoTStudioHook):
        @twins.blocking
        async def hide(self, text: str) -> str:
            await twins.mask_texts([text])
            return await twins.aside(text.upper)

        ahide = twins.twin(hide, loads=False)

    masked: list[Any] = []

    async def amask(texts: list[str]) -> None:
        masked.append(("loop", texts))

    monkeypatch.setattr(redaction, "mask", lambda texts: masked.append(("worker", texts)))
    monkeypatch.setattr(redaction, "amask", amask)
    assert (Masking().hide("a"), await Masking().ahide("b")) == ("A", "B")
    assert masked == [("worker", ["a"]), ("loop", ["b"])]


def test_a_method_that_blocks_may_not_be_suspended() -> None:
    class Waiting(IoTStudioHook):
        @twins.blocking
        async def suspended(self) -> None:
            await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaited something else than a call"):
        Waiting().suspended()
    assert not twins.is_blocking()


@pytest.mark.parametrize("kind", [Guarded, GuardedLater])
async def test_a_mixin_that_replaces_a_method_replaces_its_twin(
    kind: type[IoTStudioHook], sandbox: Sandbox, place: Path
) -> None:
    async with kind() as hook:
        with pytest.raises(PermissionError, match="refused by the guard"):
            await hook.aset_properties(THING, {"temperature": 33})
        assert (await hook.aget_thing(THING))["uid"] == THING
    assert sandbox.counters.total("PUT ") == 0


def test_a_hook_that_replaces_nothing_gets_no_twins(kind: type[ApiHook]) -> None:
    own = type("Own", (kind,), {})
    assert [name for name in vars(own) if not name.startswith("__")] == []


async def test_tasks_that_share_a_hook_may_each_close_it(sandbox: Sandbox, place: Path) -> None:
    hook = IoTStudioHook()
    sandbox.faults.add("delay", seconds=0.1, times=3, path="/events")

    async def write(number: int) -> Any:
        async with hook:
            return await hook.aadd_event(THING, "highTemperature", number)

    await asyncio.gather(*(write(number) for number in range(6)))
    assert hook._async_transport is None


async def test_closing_a_hook_leaves_its_requests_in_progress_alone(sandbox: Sandbox, place: Path) -> None:
    hook = IoTStudioHook()
    await hook.aget_thing(THING)
    (shared,) = async_transport._clients[asyncio.get_running_loop()].values()
    (client,) = shared.clients
    fault = sandbox.faults.add("delay", seconds=0.1, path="/events")
    writing = asyncio.create_task(hook.aadd_event(THING, "highTemperature", 1))
    while not fault.hits:
        await asyncio.sleep(0.001)
    await hook.aclose()
    assert not client.client.is_closed
    await writing
    assert client.client.is_closed
