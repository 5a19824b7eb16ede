"""Signals to the parts of the cluster."""

from __future__ import annotations

import contextlib

import psutil

from dev.processes import Started


def signal_part(part: Started, number: int) -> None:
    """Send a signal to a part's process and all of its descendants."""
    for process in part.family():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
