"""Loads of the campus: many rooms on one floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from airflow_provider.sandbox.loads import Load
from airflow_provider.sandbox.mapsindoors.seed import GROWN, grow

if TYPE_CHECKING:
    from airflow_provider.sandbox.mapsindoors.solution import Solution

Rooms = Annotated[int, Meta(ge=1, le=500_000)]


@dataclass(eq=False)
class RoomsLoad(Load):
    """Rooms of the campus, on its first floor, with external ids from G-000000 on.

    :param rooms: number of rooms.
    """

    kind = "rooms"

    rooms: Rooms = 1

    def run(self, service: Any) -> dict[str, Any]:
        """Add the rooms after those that were loaded before."""
        campus: Solution = service.campus
        first = sum(str(item.get("externalId")).startswith(GROWN) for item in campus.geodata.values())
        grow(campus, self.rooms, first)
        return {"rooms": self.rooms, "objects": len(campus.geodata)}
