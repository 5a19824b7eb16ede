"""Fuzz target of AmigoCloud's socket: frames, and the state of a watcher that events change."""

from __future__ import annotations

import json

from airflow_provider.amigocloud.realtime import engineio
from airflow_provider.amigocloud.watchers.observations import EventObservation, ObservedState
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target


def _frames(data: bytes) -> None:
    """Parse each line as a frame, and give its event to a watcher, as the monitor does."""
    state = ObservedState(("*",), 1)
    for line in data.decode("utf-8", "replace").split("\n"):
        frame = engineio.parse_frame(line)
        if isinstance(frame, engineio.Handshake) and not 0 < frame.ping_interval < 1e10:
            raise AssertionError(f"{frame} of {line!r}")
        if not isinstance(frame, engineio.Event):
            continue
        repr(frame.payload)
        payload = frame.brief()
        state.events(EventObservation(frame.name, payload, "m1"), 1.0)
        stored = state.changed_state()
        state.adopt(json.loads(json.dumps(stored)))


def _mutate(data: bytes, number: int) -> bytes:
    start = data.find(b"[") if data.find(b"[") >= 0 else data.find(b"{")
    if start < 0:
        return mutate_json(data, number)
    return data[:start] + mutate_json(data[start:], number)


TARGETS = [
    Target(
        "frames",
        _frames,
        (
            "airflow_provider.amigocloud.realtime.engineio",
            "airflow_provider.amigocloud.watchers.observations",
        ),
        (),
        _mutate,
        max_bytes=30_000,
    )
]
