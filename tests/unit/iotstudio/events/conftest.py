"""Events of the seeded space, reported at chosen times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from airflow_provider.iotstudio.export import incremental
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.iotstudio.records import Entry

EVENT = "highTemperature"
EVENTS = "iotstudio GET /spaces/{space}/things/{thing}/events/{name}"

Report = Callable[..., str]


@pytest.fixture(autouse=True)
def without_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "CLOCK_MARGIN", 0.0)


@pytest.fixture
def sensors(service: IoTStudioService) -> list[str]:
    """Return the ids of the Things that declare the event, in their order; the space has few others."""
    ids = sorted(uid for uid, thing in service.space.things.items() if "Sensors" in thing.categories)
    meters = [uid for uid, thing in service.space.things.items() if "Meters" in thing.categories]
    service.space.things = {uid: service.space.things[uid] for uid in (*ids[:4], *meters[:2])}
    return ids[:4]


@pytest.fixture
def report(service: IoTStudioService) -> Report:
    """Return a function that reports an event of a Thing and returns its id."""

    def add(uid: str, data: Any = 61.5, at: datetime | float | None = None, name: str = EVENT) -> str:
        moment = at.timestamp() if isinstance(at, datetime) else at
        now = service.around.clock.now() if moment is None else moment
        entry = Entry(service.new_id(), name, now, {} if data is None else {"data": data})
        service.space.things[uid].events.append(entry)
        return entry.uid

    return add
