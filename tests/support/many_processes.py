"""Many tasks that read from MapsIndoors at the same time, each in a process of its own, as Airflow runs them.

Each process writes one line of JSON: the moments at which its requests were answered, on the monotonic clock,
and the error that ended it, if any.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from tests.support import forked


@dataclass(frozen=True)
class Done:
    """Result of one process.

    :param answered: the moments at which its requests were answered.
    :param error: the error that ended it; empty for none.
    """

    answered: list[float]
    error: str


def run_processes(
    processes: int, requests_each: int, env: Mapping[str, str] | None = None, seconds: float = 110
) -> list[Done]:
    """Run processes that read as fast as their budget allows, and return what each of them did.

    :param processes: number of processes.
    :param requests_each: requests of each one.
    :param env: variables of their environment, besides this process's.
    :param seconds: maximum seconds of the run.
    """
    with tempfile.NamedTemporaryFile("r") as lines:
        first = forked.start(_run, processes, requests_each, lines.name, dict(env or {}))
        first.join(seconds)
        if first.exitcode is None:
            first.kill()
            raise AssertionError("the processes hang")
        done = [Done(**json.loads(line)) for line in lines]
    assert (first.exitcode, len(done)) == (0, processes)
    return done


def fairness(done: Sequence[Done], share: float = 0.5) -> float:
    """Return Jain's index of the requests answered so far, after a share of the run; 1 is equal for all."""
    moments = sorted(moment for one in done for moment in one.answered)
    end = moments[int(len(moments) * share)]
    counts = [sum(moment <= end for moment in one.answered) for one in done]
    return sum(counts) ** 2 / (len(counts) * sum(count**2 for count in counts))


def _work(requests_each: int, start_line: int) -> Done:
    answered: list[float] = []
    try:
        with MapsIndoorsHook() as hook:
            hook.access_token()
            os.read(start_line, 1)
            for _ in range(requests_each):
                hook.get_dataset()
                answered.append(time.monotonic())
    except Exception as error:
        return Done(answered, f"{type(error).__name__}: {error}")
    return Done(answered, "")


def _run(processes: int, requests_each: int, lines: str, env: dict[str, str]) -> None:
    """Fork the processes, and wait for their ends."""
    os.environ.update(env)
    children = []
    start_line, start = os.pipe()
    out = os.open(lines, os.O_WRONLY | os.O_APPEND)
    for _ in range(processes):
        if child := os.fork():
            children.append(child)
            continue
        done = _work(requests_each, start_line)
        # One write, so that lines do not mix.
        os.write(out, (json.dumps(vars(done)) + "\n").encode())
        os._exit(0)
    time.sleep(1)  # All of them have logged in by now, and begin together.
    with (
        MapsIndoorsHook() as hook
    ):  # With a budget that is used up: else the first of them may take it alone.
        for _ in range(int(hook.settings.extras["requests_per_second"])):
            hook.get_dataset()
    os.write(start, bytes(processes))
    for child in children:
        os.waitpid(child, 0)
