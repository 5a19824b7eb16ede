"""Seed data: a space with the sensors and meters of a campus, the same on every start."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from airflow_provider.sandbox.iotstudio.formats import rfc3339, ulid
from airflow_provider.sandbox.iotstudio.records import Category, Space, Thing

CLIENT_ID = "app::01HB3K8R5T7W9Y2A4C6E8G0J2M"
CLIENT_SECRET = "pl4nt/room+7=warm&dry%21#ok?"  # every character here changes when it is percent-encoded

SPACE = "my-iot-project"
FIRST_THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"
EPOCH_MS = 1_674_000_000_000  # January 2023: the space was set up
HISTORY_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z: the first recorded value
HISTORY_HOURS = 72
WITH_HISTORY = 20
"""Number of Things with seeded history."""

BUILDINGS = "ABCDEF"
FLOORS = (0, 1, 2, 3)
ROOMS = 10

CLIMATE: dict[str, Any] = {
    "temperature": {"title": "Temperature", "type": "number", "unit": "C", "minimum": -40, "maximum": 85},
    "humidity": {"type": "number", "unit": "%", "minimum": 0, "maximum": 100, "readOnly": True},
    "co2": {"title": "CO2", "type": "integer", "unit": "ppm", "minimum": 0, "readOnly": True},
    "setpoint": {"title": "Set point", "type": "number", "unit": "C", "minimum": 5, "maximum": 30},
    "mode": {"type": "string", "enum": ["auto", "eco", "comfort", "off"]},
    "window/open": {"title": "Window contact", "type": "boolean"},
}
METER: dict[str, Any] = {
    "energy": {"title": "Energy", "type": "number", "unit": "kWh", "minimum": 0},
    "power": {"title": "Power", "type": "number", "unit": "kW"},
    "tariff": {"title": "Tariff", "type": "object"},
    "limit": {"title": "Limit", "type": "number", "unit": "kW", "minimum": 0, "maximum": 500},
}
ACTIONS: dict[str, Any] = {
    "updateFirmware": {"title": "Update firmware", "input": {"type": "string"}},
    "reboot": {"title": "Reboot", "input": {"type": "object"}},
}
EVENTS: dict[str, Any] = {"highTemperature": {"title": "Too warm", "data": {"type": "number"}}}


def _climate(index: int, building: str, floor: int, room: int) -> Thing:
    # The first sensor has the id of the vendor's examples.
    uid = FIRST_THING if index == 0 else ulid(EPOCH_MS + index * 1000, f"climate {index}")
    number = f"{building}-{floor}.{room:02d}"
    wave = math.sin(index)
    return Thing(
        uid=uid,
        title=f"Climate {number}",
        categories=["Sensors"],
        fields={
            "description": f"Room climate sensor in {number}",
            "@type": ["Sensor", "Climate"],
            "properties": CLIMATE,
            "actions": ACTIONS,
            "events": EVENTS,
            "links": [{"href": f"urn:campus:room:{number}", "rel": "room"}],
        },
        status={
            "temperature": round(21 + 3 * wave, 1),
            "humidity": round(45 + 10 * wave, 1),
            "co2": 600 + int(250 * wave),
            "setpoint": 21.5,
            "mode": ("auto", "eco", "comfort")[index % 3],
            "window/open": index % 17 == 3,
        },
    )


def _meter(index: int, building: str, floor: int) -> Thing:
    return Thing(
        uid=ulid(EPOCH_MS + 10_000_000 + index * 1000, f"meter {index}"),
        title=f"Meter {building}-{floor}",
        categories=["Meters"],
        fields={
            "description": f"Electricity meter, building {building}, floor {floor}",
            "@type": "Meter",
            "properties": METER,
            "actions": {"reboot": ACTIONS["reboot"]},
            "links": [{"href": f"urn:campus:floor:{building}-{floor}", "rel": "floor"}],
        },
        status={
            "energy": 1000.5 + 37.25 * index,
            "power": round(12 + 4 * math.cos(index), 2),
            "tariff": {"name": "day", "price": 0.31},
            "limit": 100,
        },
    )


def _hours(index: int, base: float) -> list[tuple[int, float]]:
    return [
        (HISTORY_MS + hour * 3_600_000, round(base + 2 * math.sin((hour + index) / 4), 2))
        for hour in range(HISTORY_HOURS)
    ]


@lru_cache(maxsize=1)
def _seeded() -> Space:
    space = Space(SPACE)
    for name, text in (("Sensors", "Room climate"), ("Meters", "Electricity")):
        stamp = rfc3339(EPOCH_MS * 1_000_000 + 123_456_789)
        space.categories[name] = Category(name, stamp, stamp, {"description": text, "model": None})
    rooms = [(b, f, r) for b in BUILDINGS for f in FLOORS for r in range(1, ROOMS + 1)]
    things = [_climate(index, *room) for index, room in enumerate(rooms)]
    things += [_meter(index, b, f) for index, (b, f) in enumerate((b, f) for b in BUILDINGS for f in FLOORS)]
    for index, thing in enumerate(things):
        thing.created = rfc3339((EPOCH_MS + index * 1000) * 1_000_000 + 976_718_108)
        thing.modified = thing.created
        if index < WITH_HISTORY:
            thing.history = {"temperature": _hours(index, 21), "humidity": _hours(index, 45)}
    space.things = {thing.uid: thing for thing in things}
    return space


def seeded_space() -> Space:
    """Return a fresh copy of the seeded space."""
    return _seeded().clone()
