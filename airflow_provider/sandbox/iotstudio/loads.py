"""Loads of the space: many Things with a long history, computed when it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, overload

from msgspec import Meta

from airflow_provider.sandbox.iotstudio.formats import rfc3339, ulid
from airflow_provider.sandbox.iotstudio.records import Thing
from airflow_provider.sandbox.iotstudio.seed import ACTIONS, CLIMATE, EPOCH_MS, EVENTS, HISTORY_MS
from airflow_provider.sandbox.iotstudio.state import IoTStudioState
from airflow_provider.sandbox.loads import Load, Seed

Things = Annotated[int, Meta(ge=1, le=200_000)]
Values = Annotated[int, Meta(ge=0, le=100_000_000)]
Interval = Annotated[int, Meta(ge=1, le=31_536_000)]
_LOADED_MS = 50_000_000
"""Milliseconds after the seeded Things at which loaded Things are created, so that their ids come later."""


class ComputedSeries(Sequence[tuple[int, Any]]):
    """Recorded values that take no memory.

    :param values: number of values.
    :param interval: milliseconds between two of them.
    :param phase: where the series begins, so that Things differ.
    """

    def __init__(self, values: int, interval: int, phase: int) -> None:
        self.values, self.interval, self.phase = values, interval, phase

    def __len__(self) -> int:
        return self.values

    @overload
    def __getitem__(self, at: int) -> tuple[int, Any]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[int, Any]]: ...

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(self.values))]
        index = at + self.values if at < 0 else at
        if not 0 <= index < self.values:
            raise IndexError(at)
        step = (index * 7 + self.phase) % 1440
        return HISTORY_MS + index * self.interval, round(21 + 3 * math.sin(step / 229), 2)


@dataclass(eq=False)
class ThingsLoad(Load):
    """Things of the category Sensors, each with recorded temperatures from 2026-01-01 on.

    :param things: number of Things.
    :param values: recorded temperatures of each of them.
    :param interval: seconds between two of them.
    :param seed: equal seeds make equal Things.
    """

    kind = "things"

    things: Things = 1
    values: Values = 0
    interval: Interval = 60
    seed: Seed = 0

    def run(self, service: IoTStudioState) -> dict[str, Any]:
        """Add the Things after those that were loaded before."""
        known = service.space.things
        first = sum(thing.title.startswith("Loaded ") for thing in known.values())
        uids = []
        for index in range(first, first + self.things):
            thing = self._thing(index)
            known[thing.uid] = thing
            uids.append(thing.uid)
        return {"things": len(uids), "values": self.values * len(uids), "first": uids[0], "last": uids[-1]}

    def _thing(self, index: int) -> Thing:
        milliseconds = EPOCH_MS + _LOADED_MS + index * 1000
        created = rfc3339(milliseconds * 1_000_000)
        series = ComputedSeries(self.values, self.interval * 1000, index * 13 + self.seed * 101)
        warm = series[-1][1] if self.values else 21.0
        return Thing(
            uid=ulid(milliseconds, f"loaded {self.seed} {index}"),
            title=f"Loaded {index:06d}",
            created=created,
            modified=created,
            categories=["Sensors"],
            fields={
                "@type": ["Sensor", "Climate"],
                "properties": CLIMATE,
                "actions": ACTIONS,
                "events": EVENTS,
            },
            status={"temperature": warm, "humidity": 45.0, "co2": 600, "setpoint": 21.5, "mode": "auto"},
            history={"temperature": series} if self.values else {},
        )
