"""IoT Studio's sandbox in a process of its own, so that it takes no time from the measured process.

Run by :class:`SandboxProcess`; each line of its input is a command, each reply is one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

SPACING_MS = 1000


class Ramp(Sequence[Any]):
    """Long history that takes no memory: one value per second."""

    def __init__(self, began: int, size: int) -> None:
        self.began, self.size = began, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) or not 0 <= index < self.size:
            raise IndexError(index)
        return self.began + index * SPACING_MS, index / 8


class SandboxProcess:
    """Context manager that runs the sandbox.

    :param things: minimum number of Things in the space; the seed has 264.
    """

    def __init__(self, things: int = 0) -> None:
        self._things = things

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __spec__.name, str(self._things)]
        self._process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)
        self.connection: str = self._answer()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def ask(self, command: str, value: float = 0) -> Any:
        """Send a command: ``delay`` (seconds), ``history`` (values a Thing), ``count``, ``things``."""
        assert self._process.stdin
        print(json.dumps([command, value]), file=self._process.stdin, flush=True)
        return self._answer()

    def requests(self, path: str = "") -> int:
        """Return the number of requests since the last call, for routes that end with this path."""
        counted: dict[str, int] = self.ask("count")
        return sum(count for route, count in counted.items() if route.endswith(path))

    def _answer(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


def main(things: int) -> None:
    """Serve until the input ends."""
    from airflow_provider.sandbox.iotstudio.formats import ulid
    from airflow_provider.sandbox.iotstudio.records import Thing
    from airflow_provider.sandbox.iotstudio.seed import HISTORY_MS
    from airflow_provider.sandbox.server import Sandbox

    def answer(command: str, value: float) -> Any:
        if command == "delay":
            sandbox.faults.clear()
            sandbox.faults.add("delay", times=None, seconds=value)
        if command == "history":
            for thing in space.things.values():
                thing.history = {"temperature": Ramp(HISTORY_MS, int(value))}
        if command == "things":
            return list(space.things)
        counted = {**sandbox.counters.requests, "tokens": sandbox.counters.tokens_issued["iotstudio"]}
        sandbox.counters.clear()
        return counted

    with Sandbox() as sandbox:
        space, sandbox.iotstudio.unknown_property = sandbox.iotstudio.space, "accept"
        for index in range(things - len(space.things)):
            uid = ulid(1_700_000_000_000 + index, f"more {index}")
            space.things[uid] = Thing(uid, fields={"properties": {"setpoint": {}}}, status={"setpoint": 0})
        print(json.dumps(sandbox.connections["iotstudio_default"]), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
