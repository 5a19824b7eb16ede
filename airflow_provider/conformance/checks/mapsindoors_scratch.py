"""Checks of MapsIndoors with POIs and a room that they make and remove, below a floor that the user chose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider.conformance.check import (
    SUCCESS,
    Answer,
    Check,
    Creation,
    Finder,
    Observed,
    OpenQuestionError,
    Step,
)
from airflow_provider.conformance.checks.mapsindoors import DATASET, GEODATA
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader, rows_of, status_reader

PATH = "{key}/api/geodata"
NO_PARENT = "name a floor or venue with --scratch-parent"
NO_PLACE = "the object that --scratch-parent names is not in the solution, or has no place"
KEY = "conformanceKey"
_OFFSET = 1.23456789e-5
"""Degrees, about a metre: a place beside another one, with many decimals."""


def _own(answer: Answer, facts: Facts, kind: str = "poi") -> dict[str, Any]:
    for item in rows_of(answer):
        if item["id"] == facts[kind]:
            return dict(item)
    raise OpenQuestionError("the object is not among the objects of the reply")


def _place(offset: float) -> Any:
    def extract(answer: Answer, facts: Facts) -> Any:
        parent = next((item for item in rows_of(answer) if item["id"] == facts["parent"]), None)
        if parent is None:
            return None
        lng, lat = (parent.get("anchor") or {}).get("coordinates", [None, None])
        return None if lng is None else [round(lng + offset, 12), round(lat + offset, 12)]

    return extract


def _ring(answer: Answer, facts: Facts) -> Any:
    place = _place(0.0)(answer, facts)
    if place is None:
        return None
    (lng, lat), side = place, _OFFSET
    return [[lng, lat], [lng + side, lat], [lng + side, lat + side], [lng, lat + side], [lng, lat]]


def _clockwise(answer: Answer, facts: Facts) -> Any:
    ring = _ring(answer, facts)
    return None if ring is None else ring[::-1]


def _display_type(answer: Answer, _: Facts) -> str | None:
    return next((item["id"] for item in rows_of(answer)), None)


def _first_id(answer: Answer, _: Facts) -> str | None:
    return next((key for key in rows_of(answer) if isinstance(key, str)), None)


def _named(answer: Answer, name: str) -> list[str]:
    return [item["id"] for item in rows_of(answer) if item.get("externalId") == name]


def _make(kind: str, base_type: str, parent: str, geometry: Any, **further: Any) -> Step:
    item = {
        "externalId": f"{{run}}-{kind}",
        "parentId": parent,
        "datasetId": "{dataset_id}",
        "baseType": base_type,
        "displayTypeId": "{display_type}",
        "geometry": geometry,
        "status": 0,
        "properties": {"name@{language}": "{run}", f"{KEY}@{{language}}": "a"},
        **further,
    }
    return Step("POST", PATH, json=[item], makes=kind)


def _point(name: str) -> dict[str, str]:
    return {"type": "Point", "coordinates": f"{{{name}}}"}


MAKE = {
    **{kind: _make(kind, "poi", "{parent}", _point("place")) for kind in ("poi", "poi2", "poi3")},
    "room": _make("room", "room", "{parent}", {"type": "Polygon", "coordinates": ["{ring}"]}),
    "room_poi": _make("room_poi", "poi", "{room}", _point("place")),
}
REMOVE = Step("DELETE", PATH, json=["{id}"])
CREATIONS = {
    kind: Creation(
        f"a {'room' if kind == 'room' else 'POI'} of the status 0 (not shown)",
        Finder(step, _first_id, "the object was not made"),
        REMOVE,
        GEODATA,
        _named,
    )
    for kind, step in MAKE.items()
}


def _is_seen(answer: Answer, facts: Facts) -> bool:
    return any(item["id"] == facts["poi"] for item in rows_of(answer))


BELOW = {"rootElements": "{parent}", "baseTypes": "poi"}
LAG = Step("GET", PATH, params=BELOW, needs=("poi",), until=_is_seen, at_most=60.0)
READ = Step("GET", PATH, params=BELOW, after_write=True)
READ_ALL = Step("GET", PATH, params={"baseTypes": "poi"}, after_write=True)


def _put(*items: dict[str, Any], accepts: frozenset[int] = SUCCESS) -> Step:
    return Step("PUT", PATH, json=list(items), accepts=accepts)


FINDERS = {
    "parent": Finder(DATASET, lambda _, __: None, NO_PARENT),
    "dataset_id": Finder(DATASET, lambda answer, _: answer.json().get("id"), "the solution has no id"),
    "language": Finder(
        DATASET, lambda answer, _: answer.json().get("baseLanguage"), "the solution has no base language"
    ),
    "display_type": Finder(
        Step("GET", "{key}/api/displaytypes"), _display_type, "the solution has no display types"
    ),
    "place": Finder(replace(GEODATA, needs=("parent",)), _place(_OFFSET), NO_PLACE),
    "place2": Finder(replace(GEODATA, needs=("parent",)), _place(2 * _OFFSET), NO_PLACE),
    "ring": Finder(replace(GEODATA, needs=("parent",)), _ring, NO_PLACE),
    "clockwise": Finder(replace(GEODATA, needs=("parent",)), _clockwise, NO_PLACE),
}


def _visible(answers: Answers, _: Facts) -> Observed:
    seconds = float(round(answers[-1].seconds))
    return Observed(seconds, f"found it visible after {seconds:g} s")


def _lower_case(answers: Answers, facts: Facts) -> bool:
    keys = [key.partition("@")[0] for key in _own(answers[-1], facts)["properties"]]
    if KEY not in keys and KEY.lower() not in keys:
        raise OpenQuestionError("the key is not among the properties")
    return KEY not in keys


def _nested_put(answers: Answers, facts: Facts) -> str:
    keys = [key.partition("@")[0].lower() for key in _own(answers[-1], facts)["properties"]]
    return "merge" if KEY.lower() in keys else "replace"


def _decimals(answers: Answers, facts: Facts) -> Observed:
    found = max(_count_decimals(number) for number in _own(answers[-1], facts)["geometry"]["coordinates"])
    sent = max(_count_decimals(number) for number in facts["place"])
    if found >= sent:
        return Observed(None, "found all of them")
    return Observed(found, f"found {found}")


def _count_decimals(number: float) -> int:
    return len(f"{number:.12f}".rstrip("0").partition(".")[2])


def _anchor_moves(answers: Answers, facts: Facts) -> bool:
    before, after = _own(answers[1], facts), _own(answers[-1], facts)
    if before["geometry"]["coordinates"] == after["geometry"]["coordinates"]:
        raise OpenQuestionError("the geometry was not changed")
    return bool(before["anchor"]["coordinates"] != after["anchor"]["coordinates"])


def _batch_mode(answers: Answers, facts: Facts) -> str:
    if answers[-2].status in SUCCESS:
        raise OpenQuestionError("the service accepts the status 99")
    changed = [bool(_own(answers[-1], facts, kind).get("aliases")) for kind in ("poi", "poi3")]
    modes = {(False, False): "atomic", (True, False): "stop-at-first", (True, True): "skip-bad"}
    return modes[changed[0], changed[1]]


def _ring_order(answers: Answers, _: Facts) -> str:
    return "any" if answers[-1].status in SUCCESS else "counter-clockwise"


def _takes_text(answers: Answers, _: Facts) -> bool:
    return answers[-1].status in SUCCESS


def _delete_twice(answers: Answers, _: Facts) -> str:
    return "ignore" if answers[-1].status in SUCCESS else "refuse"


def _children(answers: Answers, facts: Facts) -> str:
    if answers[-2].status not in SUCCESS:
        return "refuse"
    return "leave" if any(item["id"] == facts["room_poi"] for item in rows_of(answers[-1])) else "cascade"


TURNED = {"id": "{room}", "geometry": {"type": "Polygon", "coordinates": ["{clockwise}"]}}
MOVED = {"id": "{poi}", "geometry": _point("place2")}
RENAMED = {"id": "{poi}", "properties": {"name@{language}": "{run} renamed"}}
BATCH = (
    {"id": "{poi}", "aliases": ["conformance"]},
    {"id": "{poi2}", "status": 99},
    {"id": "{poi3}", "aliases": ["conformance"]},
)
REMOVE_POI = Step("DELETE", PATH, json=["{poi3}"], removes="poi3")
REMOVE_ROOM = Step(
    "DELETE", PATH, json=["{room}"], removes="room", accepts=SUCCESS | {400, 409}, needs=("room_poi",)
)

SCRATCH = (
    Check(
        "M6.post_code",
        "scratch",
        "Which status does a successful POST of geodata have?",
        (MAKE["poi"],),
        "post_status",
        200,
        "a POST of geodata answers 200",
        "mapsindoors/api.py",
        status_reader(200, 201),
    ),
    Check(
        "M6.visible",
        "scratch",
        "After how many seconds does a read have what was written?",
        (MAKE["poi"], LAG),
        "stale_seconds",
        0.0,
        "a write can be read at once",
        "mapsindoors/sync/verify.py",
        _visible,
    ),
    Check(
        "M6.keys",
        "scratch",
        "Is the key of a property stored in lower case?",
        (MAKE["poi"], READ),
        "lower_case_keys",
        True,
        "keys of properties are stored in lower case",
        "mapsindoors/geodata/diff.py",
        choice_reader(_lower_case, {True: "it in lower case", False: "its capital preserved"}),
        danger=True,
    ),
    Check(
        "M6.decimals",
        "scratch",
        "How many decimals of coordinates are stored?",
        (MAKE["poi"], READ),
        "decimals",
        None,
        "all decimals of coordinates are stored",
        "mapsindoors/geodata/diff.py",
        _decimals,
    ),
    Check(
        "M6.properties",
        "scratch",
        "Does a PUT of one property leave the others?",
        (MAKE["poi"], _put(RENAMED), READ),
        "nested_put",
        "merge",
        "a PUT of one property leaves the others",
        "mapsindoors/geodata/diff.py",
        choice_reader(_nested_put, {"merge": "the others there", "replace": "the others gone"}),
        danger=True,
    ),
    Check(
        "M6.anchor",
        "scratch",
        "Does a PUT of a geometry without an anchor move the anchor?",
        (MAKE["poi"], READ, _put(MOVED), replace(READ, fresh=True)),
        "derive_anchor_on_put",
        False,
        "a PUT of a geometry leaves the anchor",
        "mapsindoors/geodata/diff.py",
        choice_reader(_anchor_moves, {False: "the anchor unchanged", True: "the anchor moved"}),
    ),
    Check(
        "M6.unknown_id",
        "scratch",
        "Which status does a PUT with an unknown id have?",
        (_put({"id": "{unknown}", "status": 0}, accepts=frozenset({400, 404})),),
        "put_unknown_status",
        400,
        "a PUT with an unknown id is a 400",
        "mapsindoors/geodata/batches.py",
        status_reader(400, 404),
    ),
    Check(
        "M6.numbers",
        "scratch",
        "Is a number in a text accepted where a number is expected?",
        (MAKE["poi"], _put({"id": "{poi}", "status": "0"}, accepts=SUCCESS | {400, 422})),
        "numbers_in_text",
        False,
        "a number in a text is refused",
        "mapsindoors/geodata/validation.py",
        choice_reader(_takes_text, {False: "it refused", True: "it accepted"}),
    ),
    Check(
        "M6.batch",
        "scratch",
        "Which objects does a PUT write when one of them is invalid?",
        (*(MAKE[kind] for kind in ("poi", "poi2", "poi3")), _put(*BATCH, accepts=SUCCESS | {400, 422}), READ),
        "batch_mode",
        "atomic",
        "a PUT with an invalid object writes nothing",
        "mapsindoors/geodata/batches.py",
        choice_reader(
            _batch_mode,
            {
                "atomic": "nothing written",
                "stop-at-first": "the objects before it written",
                "skip-bad": "all others written",
            },
        ),
        danger=True,
    ),
    Check(
        "M6.delete_code",
        "scratch",
        "Which status does a successful DELETE of geodata have?",
        (MAKE["poi3"], REMOVE_POI),
        "delete_status",
        204,
        "a DELETE of geodata answers 204",
        "mapsindoors/api.py",
        status_reader(200, 204, of=-1),
    ),
    Check(
        "M6.delete_twice",
        "scratch",
        "Is the DELETE of an object refused that is gone already?",
        (
            MAKE["poi3"],
            REMOVE_POI,
            replace(REMOVE_POI, removes="", fresh=True, accepts=SUCCESS | {400, 404}),
        ),
        "delete_unknown",
        "ignore",
        "a second DELETE is ignored",
        "mapsindoors/sync/execute.py",
        choice_reader(_delete_twice, {"ignore": "it ignored", "refuse": "it refused"}),
    ),
    Check(
        "M6.ring",
        "scratch",
        "Is a polygon accepted whose points are in clockwise order?",
        (MAKE["room"], _put(TURNED, accepts=SUCCESS | {400, 422})),
        "ring_order",
        "any",
        "points of a polygon have any order",
        "mapsindoors/geodata/validation.py",
        choice_reader(_ring_order, {"any": "it accepted", "counter-clockwise": "it refused"}),
    ),
    Check(
        "M7.children",
        "scratch",
        "Does the DELETE of a room delete the POIs in it?",
        (MAKE["room"], MAKE["room_poi"], REMOVE_ROOM, READ_ALL),
        "delete_children",
        "cascade",
        "a DELETE deletes the children, too",
        "mapsindoors/plan/dependencies.py",
        choice_reader(
            _children, {"cascade": "them deleted", "leave": "them left without a room", "refuse": "a refusal"}
        ),
        danger=True,
    ),
)
