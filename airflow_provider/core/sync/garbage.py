"""Garbage collection: paused while many objects are made that all stay in use."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()

_state = {"paused": 0, "was_enabled": True}
"""Blocks that run now, and whether the collector was on before the first of them."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the search for cyclic garbage within the block; several blocks may overlap.

    Rows and objects of a plan hold no cycles, and all of them stay in use until the plan is made. The
    collector would traverse all of them many times and free nothing: a third of a plan's processor time.
    Objects without cycles are freed at once, as ever.
    """
    with _lock:
        if not _state["paused"]:
            _state["was_enabled"] = gc.isenabled()
            gc.disable()
        _state["paused"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["paused"] -= 1
            if not _state["paused"] and _state["was_enabled"]:
                gc.enable()
