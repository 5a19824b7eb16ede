"""Fake clock: sleeping moves it, and takes no time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from importlib import import_module
from types import ModuleType, SimpleNamespace

import pytest

REAL_SLEEP = asyncio.sleep


def set_in_module(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType | str,
    library: str,
    **functions: Callable[..., object],
) -> None:
    """Replace functions of a library, such as ``time``, for one module of the project.

    Set in the library itself, they would hold for the whole process. The event loop of the sandbox, in a
    thread of its own, asks for the time whenever it likes: a clock that has no time left ends the loop.
    """
    if isinstance(module, str):
        module = import_module(module)
    stand_in = SimpleNamespace(**{**vars(import_module(library)), **functions})
    monkeypatch.setattr(module, library, stand_in)


class FakeClock:
    """Replacement of ``time.time``, ``time.sleep`` and ``asyncio.sleep``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock, on a worker."""
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        """Move the clock, in the triggerer."""
        if threading.current_thread() is threading.main_thread():
            self.sleep(seconds)
        else:  # the sandbox, which serves in a thread of its own
            await REAL_SLEEP(seconds)
