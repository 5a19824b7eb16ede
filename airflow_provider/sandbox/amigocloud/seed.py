"""Seed data: a user with tokens, projects, and the datasets of a campus."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider.sandbox.amigocloud.auth import Token
from airflow_provider.sandbox.amigocloud.sql.dialect import format_moment
from airflow_provider.sandbox.amigocloud.sql.geometry import ewkb
from airflow_provider.sandbox.amigocloud.sql.store import Dataset, Store

USER = 123
USER_UUID = "0b6e1d7c-52c0-4c9e-9c55-6d2f0a1f0123"
PROJECT = 1234
PROJECT_UUID = "5f0a7c11-8a34-4ed1-9d0e-7c3a55d01234"
EMPTY_PROJECT = 1235
FIRST, ASSETS, ZONES = 1, 2001, 2002
ASSET_COUNT = 3000
QUERY = 77

USER_TOKEN = "A:sandboxAdminOfTheCampus0000000000000123"
READ_TOKEN = "R:dlNDEiOWciP3y26kG2cHklYpr2HIPK40HD32r1"
CREATE_PROJECT_TOKEN = "C:Ndl3xGWeasYt9rqyuVsByf5HPMAGyte10y1Mub"
EDIT_PROJECT_TOKEN = "E:sandboxEditorOfTheCampus00000000001234"
READ_PROJECT_TOKEN = "R:sandboxReaderOfTheCampus00000000001234"
AWKWARD_TOKEN = "A:a+b/c%2Fd=e&f#g h%0000000000000000000"
"""A user token full of characters with a meaning in URLs."""

START = datetime(2025, 1, 1, 6, 0, tzinfo=UTC)
CENTRE = (12.57, 55.78)
ASSET_BUILDINGS = (
    "Main Hall",
    "Library",
    "Laboratory East",
    "Laboratory West",
    "Workshop",
    "Canteen",
    "Dormitory",
)
ASSET_KINDS = (
    ("Fire extinguisher", "safety", None),
    ("Air handling unit", "hvac", 4500),
    ("Heat pump", "hvac", 9000),
    ("Water meter", "metering", 3),
    ("Electricity meter", "metering", 2),
    ("Projector", "av", 320),
    ("Bench", "furniture", None),
    ("Bicycle pump", "mobility", None),
    ("Charging point", "mobility", 22000),
    ("Coffee machine", "catering", 1450),
)
ASSET_MAKERS = ("Grundfos", "Sørensen & Sønner", "Müller GmbH", "東芝", "Éclair, S.A.", None)
ASSET_NOTES = (None, None, None, 'Says "out of order"', "Ask at the desk,\nroom 0.12", "ключ у охраны", "")

_ASSET_TYPES = {
    "amigo_id": "string",
    "number": "integer",
    "name": "string",
    "building": "string",
    "floor": "integer",
    "category": "string",
    "maker": "string",
    "power_w": "integer",
    "price": "float",
    "in_service": "boolean",
    "installed_on": "date",
    "inspected_at": "datetime",
    "updated_at": "datetime",
    "notes": "string",
    "wkb_geometry": "geometry",
}
_COLUMN_LIMITS: dict[str, dict[str, Any]] = {
    "amigo_id": {"max_length": 32},
    "wkb_geometry": {"geometry_type": "POINT"},
}

ASSET_COLUMNS: list[dict[str, Any]] = [
    {"name": name, "type": kind, **_COLUMN_LIMITS.get(name, {})} for name, kind in _ASSET_TYPES.items()
]


def asset(n: int, dice: random.Random) -> dict[str, Any]:
    """Return the n-th asset; equal for equal states of the random generator."""
    kind, category, power = ASSET_KINDS[n % len(ASSET_KINDS)]
    point = (CENTRE[0] + dice.gauss(0, 0.004), CENTRE[1] + dice.gauss(0, 0.002))
    installed = START - timedelta(days=dice.randrange(4000))
    inspected = START + timedelta(minutes=dice.randrange(400_000))
    return {
        "amigo_id": hashlib.md5(f"asset {n}".encode()).hexdigest(),
        "number": n,
        "name": f"{kind} {n:04d}",
        "building": ASSET_BUILDINGS[dice.randrange(len(ASSET_BUILDINGS))],
        "floor": dice.randrange(-1, 6),
        "category": category,
        "maker": ASSET_MAKERS[dice.randrange(len(ASSET_MAKERS))],
        "power_w": power,
        "price": round(dice.uniform(20, 20_000), 2),
        "in_service": None if n % 97 == 0 else n % 11 != 0,
        "installed_on": installed.date().isoformat(),
        "inspected_at": None if n % 5 == 0 else format_moment(inspected),
        "updated_at": format_moment(START + timedelta(minutes=7 * n)),
        "notes": ASSET_NOTES[dice.randrange(len(ASSET_NOTES))],
        "wkb_geometry": None if n % 101 == 100 else ewkb("POINT", point),
    }


def assets(count: int = ASSET_COUNT, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield assets.

    :param count: number of assets.
    :param first: number of the first asset.
    """
    dice = random.Random(PROJECT + first)  # noqa: S311 - made-up data
    for n in range(first, first + count):
        yield asset(n, dice)


def _zones() -> Iterator[dict[str, Any]]:
    for n in range(24):
        x, y = CENTRE[0] + (n % 6 - 3) * 0.002, CENTRE[1] + (n // 6 - 2) * 0.001
        ring = [(x, y), (x + 0.002, y), (x + 0.002, y + 0.001), (x, y + 0.001), (x, y)]
        yield {
            "amigo_id": hashlib.md5(f"zone {n}".encode()).hexdigest(),
            "name": f"Zone {n:02d}",
            "area_m2": 13_900.5 + n,
            "wkb_geometry": ewkb("MULTIPOLYGON", [[ring]]),
        }


def _physicists() -> Iterator[dict[str, Any]]:
    for n, name in enumerate(("Ångström", "Bohr", "Curie", "Dirac", "Euler", "Fermi", "Gauss", "Heisenberg")):
        yield {"amigo_id": hashlib.md5(name.encode()).hexdigest(), "name": name, "value": n * 1.5}


def seed_store(store: Store) -> None:
    """Add the seeded datasets to an empty store."""
    named = [{"name": "name", "type": "string"}]
    store.add(
        Dataset(FIRST, PROJECT, "Dataset 1", [*named, {"name": "value", "type": "float"}]), _physicists()
    )
    store.add(Dataset(ASSETS, PROJECT, "Campus assets", [dict(c) for c in ASSET_COLUMNS]), assets())
    geometry = {"name": "wkb_geometry", "type": "geometry", "geometry_type": "MULTIPOLYGON"}
    area = {"name": "area_m2", "type": "float"}
    store.add(Dataset(ZONES, PROJECT, "Campus zones", [*named, area, geometry]), _zones())


def seeded_tokens() -> dict[str, Token]:
    """Return the account's tokens by value."""
    made = [
        Token(USER_TOKEN, "A"),
        Token(READ_TOKEN, "R"),
        Token(CREATE_PROJECT_TOKEN, "C", PROJECT),
        Token(EDIT_PROJECT_TOKEN, "E", PROJECT),
        Token(READ_PROJECT_TOKEN, "R", PROJECT),
        Token(AWKWARD_TOKEN, "A"),
    ]
    return {token.value: token for token in made}


def seeded_projects() -> dict[int, dict[str, Any]]:
    """Return the user's projects by number, enough for two pages of a list."""
    made = {PROJECT: {"id": PROJECT, "name": "Campus", "description": "Assets and zones of the campus"}}
    for n in range(EMPTY_PROJECT, EMPTY_PROJECT + 24):
        made[n] = {"id": n, "name": f"Site {n - PROJECT:02d}", "description": ""}
    return made


def seeded_queries() -> dict[int, dict[str, Any]]:
    """Return the saved queries of the campus by number."""
    text = f"SELECT category, count(*) AS assets FROM dataset_{ASSETS} GROUP BY category ORDER BY category"
    return {QUERY: {"id": QUERY, "name": "Assets by category", "query": text, "project": PROJECT}}
