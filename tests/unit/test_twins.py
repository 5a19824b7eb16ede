"""Twins of the four hooks: every method that sends works from an event loop, too, and does the same."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from pathlib import Path

import pytest
from airflow.sdk import BaseHook

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http import auth, rate_limit
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.iotstudio import hooks_base
from airflow_provider.sandbox.server import Sandbox
from tests.support import twin_scripts as scripts
from tests.support.twin_scripts import HOOKS, SCRIPTS

SEND_NOTHING = {
    # What a hook describes its service with.
    *("asset", "bases", "budget", "credential", "read_error", "shared_budget", "shared_token_budget"),
    *("shares_tokens", "token_budget", "prepared", "explained", "diagnose_address", "need_project"),
    # Callbacks of AmigoCloud's events, before the listening.
    *("add_callback", "listen_dataset_events", "listen_user_events"),
    # A block of a worker; asyncio.timeout does the same in an event loop.
    "until",
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
        if name != "get_cursor":
            assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin), name
        assert not inspect.iscoroutinefunction(method), name


def test_a_script_calls_each_method_that_sends(kind: type[ApiHook]) -> None:
    called = {one.name for one in SCRIPTS[kind]}
    assert senders(kind) - called - {"close", "send", "start_listening"} == set()


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
