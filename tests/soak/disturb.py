"""Disturb: make the scheduled disturbances happen."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

from tests.soak.parts import SANDBOX, Parts, kill_process
from tests.soak.schedule import Disturbance

TASK_SECONDS = 30.0
"""Maximum seconds to wait for a task that can be killed or paused."""

RESTART_SECONDS = 3.0
"""Seconds between the kill of a part and its next start."""


class Disturber:
    """Thread that makes disturbances happen, several at once.

    :param parts: the processes.
    :param planned: the disturbances in order.
    :param say: receives a line for each that has happened.
    """

    def __init__(self, parts: Parts, planned: list[Disturbance], say: Callable[[str], None]) -> None:
        self.parts, self.planned, self.say = parts, planned, say
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []
        self._control = httpx.Client(base_url=f"{parts.sandbox_url}/_sandbox", timeout=60, trust_env=False)
        self._locks = {name: threading.Lock() for name in parts.started}
        self._switches: dict[str, Any] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disturbances", daemon=True)

    def start(self) -> None:
        """Begin now."""
        self._began = time.monotonic()
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything that is planned has happened."""
        self._thread.join()

    def stop(self) -> None:
        """Let what has begun come to its end, and remove all faults."""
        self._stop.set()
        self._thread.join()
        self._send("DELETE", "/faults")
        if self._switches:
            self._send("PATCH", "/switches", json=self._switches)

    def _run(self) -> None:
        with ThreadPoolExecutor(6, thread_name_prefix="disturbance") as pool:
            for one in self.planned:
                if self._stop.wait(max(0.0, self._began + one.at - time.monotonic())):
                    return
                pool.submit(self._cause, one)

    def _cause(self, one: Disturbance) -> None:
        try:
            if self._act(one):
                self.done[one.kind] += 1
                self.say(f"        {one}")
        except Exception as error:
            self.problems.append(f"{one}: {type(error).__name__}: {error}")

    def _act(self, one: Disturbance) -> bool:
        about = one.about
        what, _, name = one.kind.rpartition(" of the ")
        part = {"scheduler": "scheduler", "triggerer": "triggerer", "API server": "api-server"}.get(
            name, SANDBOX
        )
        if one.kind == "fault":
            return self._fault(about)
        if one.kind == "storm of 429":
            wait = {"Retry-After": str(about["wait"])}
            return self._fault(
                {
                    "service": about["service"],
                    "kind": "status",
                    "status": 429,
                    "headers": wait,
                    "times": about["times"],
                }
            )
        if one.kind == "limit of requests":
            return self._limit(about)
        if one.kind == "restart of the services":
            return self._send("POST", "/restart", json={"seconds": about["seconds"]}).is_success
        if one.kind.endswith("of a task"):
            return self._task(one)
        return self._kill(part) if what == "kill" else self._pause(part, about["seconds"])

    def _fault(self, about: Mapping[str, Any]) -> bool:
        return self._send("POST", "/faults", json=dict(about)).is_success

    def _limit(self, about: Mapping[str, Any]) -> bool:
        name = f"{about['service']}.requests_per_second"
        self._switches.setdefault(name, _value(self._send("GET", "/switches").json(), name))
        self._send("PATCH", "/switches", json={name: about["rate"]})
        self._stop.wait(about["seconds"])
        return self._send("PATCH", "/switches", json={name: self._switches[name]}).is_success

    def _kill(self, part: str) -> bool:
        with self._lock(part):
            self.parts.kill(part)
            self._stop.wait(RESTART_SECONDS)
            self.parts.start_part(part)
        return True

    def _pause(self, part: str, seconds: float) -> bool:
        with self._lock(part):
            self.parts.signal(part, signal.SIGSTOP)
            try:
                self._stop.wait(seconds)
            finally:
                self.parts.signal(part, signal.SIGCONT)
        return True

    def _task(self, one: Disturbance) -> bool:
        """Kill or pause a task that runs now or soon."""
        dice = random.Random(f"{one.at}")
        deadline = time.monotonic() + TASK_SECONDS
        while not self._stop.wait(0.2) and time.monotonic() < deadline:
            tasks = self.parts.tasks()
            if not tasks:
                continue
            task = dice.choice(sorted(tasks, key=lambda process: process.pid))
            if one.kind == "kill of a task":
                self._stop.wait(one.about["after"])
                return _kill_task(task, with_worker=one.about["worker"])
            with suppress(ProcessLookupError, psutil.NoSuchProcess):  # it may end while it is chosen
                task.suspend()
                self._stop.wait(one.about["seconds"])
                task.resume()
            return True
        return False

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a control request, as often as it takes: the services may be away."""
        deadline = time.monotonic() + 120
        while True:
            try:
                with self._lock(SANDBOX):
                    return self._control.request(method, path, **more).raise_for_status()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    @contextmanager
    def _lock(self, part: str) -> Iterator[None]:
        with self._locks[part]:
            yield


def _kill_task(task: psutil.Process, *, with_worker: bool) -> bool:
    """Kill a task, and its worker first; return whether one of them was still there."""
    victims = [task]
    if with_worker:
        with suppress(psutil.NoSuchProcess):  # the task may have ended meanwhile
            victims = [worker for worker in [task.parent()] if worker] + victims
    killed = [kill_process(victim) for victim in victims]
    return any(killed)


def _value(known: Any, name: str) -> Any:
    """Return the value of a switch in the list of all switches."""
    service, _, switch = name.partition(".")
    return known[service][switch]["value"]
