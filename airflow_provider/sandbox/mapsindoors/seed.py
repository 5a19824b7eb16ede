"""Seed: a campus, the read-only demo, and the solution of another customer."""

from __future__ import annotations

from functools import cache
from math import cos, radians
from typing import Any

from airflow_provider.sandbox.mapsindoors.auth import Account
from airflow_provider.sandbox.mapsindoors.geometry import anchor_of, with_bbox
from airflow_provider.sandbox.mapsindoors.solution import Json, Solution, new_id

CAMPUS_ID = "6b1f8f0e2c5d4a7b9e3f1d20"
API_KEY = "c4mpus7f3e9b4d1a8f60b52e"
DEMO_ID = "550c26a864617400a40f0000"
OTHER_ID = "7a90d3c45e1f4b68a2c7d90e"
CUSTOMER, OTHER_CUSTOMER = "nordhoj", "somebody-else"

USER, PASSWORD = "nightly+map@nordhoj.example", "Nordhøj+kort & 100% é/?"
CLIENT, SECRET = "nordhoj-nightly", "s3cret+/&=%é nightly client"
READER, EDITOR, STRANGER = "reader@nordhoj.example", "editor@nordhoj.example", "map@elsewhere.example"

VENUE = new_id("venue")
TUTORIAL_POI = "c88c996b231746d096db5eaa"
TUTORIAL_FLOOR = "34c588fecbee45f199e8d67c"
PRINTER = "52c120dfae7e47269e930b80"
SERVICES = "5823246d07215b23a02e3cd9"
ROOM_TYPES = {"Office": "Kontor", "Meeting room": "Mødelokale", "Lab": "Laboratorium", "Storage": "Lager"}
TYPES = {**ROOM_TYPES, "Workspace": "Arbejdsplads", "Coffee": "Kaffe", "Parking": "Parkering"}
CATEGORY_OF = {"Coffee": "FOOD", "Workspace": "WORK", "Office": "WORK"}

WEST, SOUTH = 12.5700, 55.7800
LAT_METRE = 1 / 111_320
LNG_METRE = LAT_METRE / cos(radians(SOUTH))


def accounts() -> tuple[list[Account], list[Account]]:
    """Return new accounts of the users and of the clients."""
    users = [
        _account(USER, CUSTOMER, PASSWORD),
        _account(EDITOR, CUSTOMER, PASSWORD, "editor"),
        _account(READER, CUSTOMER, PASSWORD, "reader"),
        _account(STRANGER, OTHER_CUSTOMER, PASSWORD),
    ]
    return users, [_account(CLIENT, CUSTOMER, SECRET)]


def _account(name: str, customer: str, secret: str, role: str = "administrator") -> Account:
    first = {"secret": secret, "description": "first", "createdAt": "2026-01-05T08:00:00Z"}
    return Account(name, customer, role, {new_id(name, "secret"): first})


def campus() -> Solution:
    """Return a new campus: a venue with three buildings, and a small office with the tutorial's POI."""
    return _campus().copy()


def demo() -> Solution:
    """Return a new read-only demo with the tutorial's objects only."""
    return _demo().copy()


def other() -> Solution:
    """Return an empty solution of another customer."""
    return _empty(OTHER_ID, "Elsewhere", OTHER_CUSTOMER)


GROWN = "G-"
"""Begin of the external ids of rooms that were added to the seed."""


def grow(solution: Solution, rooms: int, first: int = 0) -> None:
    """Add rooms to a solution's first floor.

    :param first: number of the first room.
    """
    builder = SolutionBuilder(solution)
    floor = next(item["id"] for item in builder.objects.values() if item["baseType"] == "floor")
    for number in range(first, first + rooms):
        spot = _box(3 + number % 300 * 0.2, 3 + number // 300 * 0.2, 0.18, 0.18)
        builder.add("room", f"{GROWN}{number:06d}", floor, spot, f"Desk {number}", "Office")
    solution.geodata = builder.objects


class SolutionBuilder:
    """Builder of a solution's geodata.

    :param solution: the solution; its objects stay, and new objects belong to its dataset.
    """

    def __init__(self, solution: Solution) -> None:
        self.dataset = solution.id
        self.objects = dict(solution.geodata)

    def add(
        self,
        base_type: str,
        external_id: str,
        parent: str | None,
        geometry: Json,
        name: str = "",
        kind: str = "",
        key: str = "",
        **further: Any,
    ) -> str:
        """Add an object with the fields in the order of the service, and return its id."""
        key = key or new_id(self.dataset, external_id)
        item = {
            "id": key,
            "parentId": parent,
            "datasetId": self.dataset,
            "externalId": external_id or None,
            "baseType": base_type,
            "displayTypeId": (PRINTER if kind == "Printer" else new_id("type", kind)) if kind else None,
            "displaySetting": None,
            "geometry": with_bbox(geometry, None),
            "anchor": with_bbox(anchor_of(geometry), 8),
            "aliases": [] if kind else None,
            "categories": [new_id("category", CATEGORY_OF[kind])] if kind in CATEGORY_OF else None,
            "status": 3,
            "baseTypeProperties": {"administrativeid": external_id or key},
            "properties": _named(name) if name else {},
            **further,
        }
        self.objects[key] = {field: value for field, value in item.items() if value is not None}
        return key


def _named(name: str) -> Json:
    return {"name@en": name, "name@da": name}


@cache
def _campus() -> Solution:
    solution = _empty(CAMPUS_ID, "Nordhøj Campus", CUSTOMER)
    builder = SolutionBuilder(solution)
    builder.add("venue", "NORDHOJ", None, _box(0, 0, 400, 240), "Nordhøj Campus", key=VENUE)
    _building(builder, "A", "Administration", floors=3, x=20)
    _building(builder, "B", "Workshop", floors=2, x=140)
    _building(builder, "C", "Laboratory", floors=2, x=260)
    builder.add("area", "PARK-1", VENUE, _box(20, 150, 100, 60), "Parking north", "Parking")
    colour = "colorProperty@generic"
    stands = _box(140, 150, 30, 10)
    names = {**_named("Bicycle stands"), colour.lower(): "green"}
    bikes = builder.add("area", "BIKE-1", VENUE, stands, "Bicycle stands", "Parking", properties=names)
    # One key was written with capitals, as apps write them that read their own properties.
    solution.spellings[bikes] = {colour.lower(): colour}
    _tutorial(builder)
    solution.geodata = builder.objects
    for number in range(6):
        key = new_id("route", number)
        solution.route_elements[key] = {
            "id": key,
            "datasetId": CAMPUS_ID,
            "externalId": f"DOOR-{number + 1}",
            "geometry": {"type": "Point", "coordinates": _at(20 + number * 30, 70)},
            "restrictions": [],
            "waitTime": 0,
        }
    return solution


@cache
def _demo() -> Solution:
    solution = _empty(DEMO_ID, "Demo", "mapspeople")
    solution.read_only = True
    builder = SolutionBuilder(solution)
    _tutorial(builder)
    solution.geodata = builder.objects
    return solution


def _empty(key: str, name: str, customer: str) -> Solution:
    languages = ["en", "da"]
    solution = Solution(
        {"id": key, "name": name, "availableLanguages": languages, "baseLanguage": "en"}, customer
    )
    kinds = {PRINTER: ("Printer", "Printer")} | {new_id("type", en): (en, da) for en, da in TYPES.items()}
    for ident, (english, danish) in kinds.items():
        rule = {"name": "default", "zoomFrom": 17, "zoomTo": 22, "visible": True, "labelVisible": True}
        names = {"name@en": english, "name@da": danish}
        solution.display_types[ident] = {
            "id": ident,
            "name": english,
            "displayRules": [rule],
            "properties": names,
        }
    groups = {SERVICES: ("SERVICES", "Services", "Service")} | {
        new_id("category", "WORK"): ("WORK", "Work places", "Arbejdspladser"),
        new_id("category", "FOOD"): ("FOOD", "Food and drink", "Mad og drikke"),
    }
    for ident, (code, english, danish) in groups.items():
        solution.categories[ident] = {"id": ident, "key": code, "name": {"en": english, "da": danish}}
    for role in ("Staff", "Visitor"):
        ident = new_id("role", role)
        solution.roles[ident] = {"id": ident, "names": [{"language": "en", "name": role}]}
    return solution


def _building(builder: SolutionBuilder, letter: str, name: str, *, floors: int, x: float) -> None:
    outline = _box(x, 40, 80, 50)
    building = builder.add("building", f"BLD-{letter}", VENUE, outline, name)
    for level in range(floors):
        index = {"name": str(level), "administrativeid": str(level * 10)}
        floor = builder.add("floor", f"{letter}-{level}", building, outline, baseTypeProperties=index)
        for number in range(8):
            kind = list(ROOM_TYPES)[(number + level) % len(ROOM_TYPES)]
            spot = _box(x + 2 + number % 4 * 19, 42 + number // 4 * 26, 17, 18)
            code = f"{letter}-{level}-{number + 1:02d}"
            builder.add("room", code, floor, spot, f"{kind} {letter}{level}.{number + 1:02d}", kind)
        for number, kind in enumerate(("Printer", "Coffee", "Workspace")):
            point = {"type": "Point", "coordinates": _at(x + 10 + number * 25, 62.5)}
            builder.add(
                "poi", f"{letter}-{level}-P{number + 1}", floor, point, f"{kind} {letter}{level}", kind
            )
        desks = _box(x + 3, 61, 30, 4)
        builder.add("area", f"{letter}-{level}-D", floor, desks, f"Desks {letter}{level}", "Workspace")


def _tutorial(builder: SolutionBuilder) -> None:
    """Add a small office in Aalborg, with the objects of the vendor's Python tutorial."""
    lng, lat = 9.95688874041662, 57.0859076569953
    box = _box(-20, -15, 40, 30, lng, lat)
    venue = builder.add("venue", "AALBORG", None, box, "Aalborg office")
    building = builder.add("building", "AALBORG-1", venue, box, "Aalborg office")
    ground = {"name": "0", "administrativeid": "0"}
    builder.add("floor", "AALBORG-1-0", building, box, key=TUTORIAL_FLOOR, baseTypeProperties=ground)
    builder.add(
        "poi",
        "",
        TUTORIAL_FLOOR,
        {"type": "Point", "coordinates": [lng, lat]},
        kind="Printer",
        key=TUTORIAL_POI,
        displaySetting={"name": "default"},
        anchor={"type": "Point", "coordinates": [lng, lat]},
        categories=[SERVICES],
        baseTypeProperties={
            "administrativeid": "311a5837-395f-4e2b-9b88-c21b1b5c7833",
            "activefrom": "2015-01-16T07:09:00Z",
            "capacity": "0",
        },
        properties={"name@en": "Printing facilities", "name@da": "Print"},
    )


def _at(x: float, y: float, lng: float = WEST, lat: float = SOUTH) -> list[float]:
    return [round(lng + x * LNG_METRE, 7), round(lat + y * LAT_METRE, 7)]


def _box(x: float, y: float, wide: float, high: float, lng: float = WEST, lat: float = SOUTH) -> Json:
    """Return a rectangle, given in metres from a corner."""
    corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y)]
    ring: list[Any] = [_at(*corner, lng, lat) for corner in corners]
    return {"type": "Polygon", "coordinates": [ring]}
