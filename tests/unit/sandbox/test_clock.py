"""The sandbox's clock at another rate, and a sandbox that restarts."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import requests

from airflow_provider.sandbox import Sandbox
from airflow_provider.sandbox.__main__ import main
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService
from airflow_provider.sandbox.service import Clock
from tests.support.fake_clock import set_in_module
from tests.support.wait import until


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the test say how late it is."""
    passed = [0.0]
    now = {"monotonic": lambda: 5.0 + passed[0], "time": lambda: 1_000_000.0 + passed[0]}
    set_in_module(monkeypatch, "airflow_provider.sandbox.service", "time", **now)
    return passed


@pytest.fixture(scope="module")
def fast() -> Iterator[Sandbox]:
    with Sandbox(kinds=[MapsIndoorsService], clock_rate=12) as sandbox:
        yield sandbox


def test_a_clock_with_a_rate_of_12_passes_a_day_in_two_hours(moments: list[float]) -> None:
    clock = Clock(12)
    began = clock.now()
    moments[0] = 7200
    assert clock.now() - began == 86_400
    assert clock.ahead() == 86_400 - 7200


def test_a_change_of_the_rate_keeps_the_time_that_has_passed(moments: list[float]) -> None:
    clock = Clock()
    moments[0] = 10
    clock.run_at(5)
    moments[0] = 20
    clock.advance(100)
    clock.run_at(1)
    moments[0] = 30
    assert clock.now() == 1_000_000 + 10 + 50 + 100 + 10


def test_a_clock_that_stands_still_never_goes_back(moments: list[float]) -> None:
    clock = Clock(0)
    moments[0] = 50
    assert clock.now() == 1_000_000


def test_a_reset_returns_to_the_real_time_and_the_first_rate(moments: list[float]) -> None:
    clock = Clock(12)
    clock.run_at(2)
    clock.advance(1000)
    clock.reset()
    moments[0] = 10
    assert (clock.rate, clock.ahead()) == (12, 110)


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf"), 10_001])
def test_a_rate_that_is_none_is_refused_and_nothing_changes(rate: float) -> None:
    clock = Clock(3)
    with pytest.raises(ValueError, match="from 0 to 10000"):
        clock.run_at(rate)
    assert clock.rate == 3


def test_another_process_sets_the_rate_and_reads_it(fast: Sandbox) -> None:
    url = f"{fast.url}/_sandbox/clock"
    assert requests.get(url, timeout=5).json()["rate"] == 12
    reply = requests.post(url, json={"rate": 0, "advance": 500}, timeout=5)
    assert reply.json() == {"now": reply.json()["now"], "rate": 0}
    assert reply.json()["now"] >= time.time() + 490
    fast.reset()
    assert requests.get(url, timeout=5).json()["rate"] == 12


@pytest.mark.parametrize("body", [{}, {"rate": -1}, {"speed": 2}, {"advance": 1, "speed": 2}, [12]])
def test_a_body_that_is_not_understood_is_refused(fast: Sandbox, body: object) -> None:
    reply = requests.post(f"{fast.url}/_sandbox/clock", json=body, timeout=5)
    assert (reply.status_code, fast.clock.rate) == (400, 12)


def test_the_command_refuses_a_rate_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--clock-rate", "-3"])
    assert "--clock-rate" in capsys.readouterr().err


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_restart_refuses_connections_for_a_while_and_keeps_what_is_stored(fast: Sandbox) -> None:
    fast.mapsindoors.campus.geodata.popitem()
    stored = len(fast.mapsindoors.campus.geodata)
    port = int(fast.url.rpartition(":")[2])
    open_one = socket.create_connection(("127.0.0.1", port), timeout=5)
    requests.get(f"{fast.url}/_sandbox/clock", timeout=5)  # accepted after the open one
    assert requests.post(f"{fast.url}/_sandbox/restart", json={"seconds": 0.5}, timeout=5).status_code == 204
    assert not _connects(port)
    with pytest.raises(ConnectionResetError):
        open_one.recv(1)
    open_one.close()
    until(lambda: _connects(port))
    assert requests.get(f"{fast.url}/_sandbox/clock", timeout=5).status_code == 200
    assert len(fast.mapsindoors.campus.geodata) == stored


@pytest.mark.parametrize("seconds", [-1, 601, float("nan")])
def test_a_restart_of_no_length_is_refused(fast: Sandbox, seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be"):
        fast.restart(seconds)
    assert _connects(int(fast.url.rpartition(":")[2]))


def test_a_sandbox_can_stop_while_it_is_away() -> None:
    with Sandbox(kinds=[MapsIndoorsService]) as sandbox:
        sandbox.restart(300)
        assert not _connects(int(sandbox.url.rpartition(":")[2]))
