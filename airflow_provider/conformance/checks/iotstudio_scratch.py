"""Checks of Altair IoT Studio with a Thing that they make and remove."""

from __future__ import annotations

from typing import Any

from airflow_provider.conformance.check import SUCCESS, Answer, Check, Creation, Finder, Observed, Step
from airflow_provider.conformance.checks.iotstudio import SPACE
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader

THINGS = f"{SPACE}/things"
VALUES = f"{THINGS}/{{probe}}/properties"
REFUSED = frozenset({400, 413, 422})
LARGE = 6 * 1024
"""Bytes of a value above the documented maximum of a message."""


def _uid(answer: Answer, _: Facts) -> str | None:
    return str(answer.json()["uid"])


def _titled(answer: Answer, name: str) -> list[str]:
    return [thing["uid"] for thing in answer.json()["data"] if thing.get("title") == name]


MAKE = Step(
    "POST",
    THINGS,
    json={
        "title": "{run}-probe",
        "properties": {
            "level": {"type": "number", "minimum": 0, "maximum": 100},
            "fixed": {"type": "number", "readOnly": True},
            "note": {"type": "string"},
        },
        "status": {"level": 1, "note": "conformance"},
    },
    makes="probe",
)
CREATIONS = {
    "probe": Creation(
        "a Thing with three properties",
        Finder(MAKE, _uid, "the Thing was not made"),
        Step("DELETE", f"{THINGS}/{{id}}"),
        Step("GET", THINGS, params={"title": "{name}"}),
        _titled,
    )
}


def _write(values: dict[str, Any]) -> Step:
    return Step("PUT", VALUES, json=values, accepts=SUCCESS | REFUSED)


def _accepts(answers: Answers, _: Facts) -> str:
    return "accept" if answers[-1].status in SUCCESS else "reject"


def _out_of_range(answers: Answers, _: Facts) -> str:
    if answers[0].status not in SUCCESS:
        return "reject"
    return "accept" if answers[1].json()["level"] == 1000 else "clamp"


def _maximum(answers: Answers, _: Facts) -> Observed:
    if answers[-1].status in SUCCESS:
        return Observed(None, f"found {LARGE} bytes accepted")
    return Observed(5 * 1024, f"found {LARGE} bytes refused")


ACCEPTED = {"accept": "it accepted", "reject": "it refused"}

SCRATCH = (
    Check(
        "I6.unknown_property",
        "scratch",
        "Is the write of a property refused that a Thing does not declare?",
        (_write({"conformance": 1}),),
        "unknown_property",
        "reject",
        "the write of an undeclared property is refused",
        "iotstudio/properties/writer.py",
        choice_reader(_accepts, ACCEPTED),
    ),
    Check(
        "I6.read_only",
        "scratch",
        "Is the write of a read-only property accepted?",
        (_write({"fixed": 2}),),
        "read_only",
        "accept",
        "the write of a read-only property is accepted",
        "iotstudio/properties/writer.py",
        choice_reader(_accepts, ACCEPTED),
    ),
    Check(
        "I6.out_of_range",
        "scratch",
        "Is a number beyond its bounds refused, or changed?",
        (_write({"level": 1000}), Step("GET", VALUES, fresh=True)),
        "out_of_range",
        "reject",
        "a number beyond its bounds is refused",
        "iotstudio/properties/writer.py",
        choice_reader(_out_of_range, {**ACCEPTED, "clamp": "it stored as the bound"}),
        danger=True,
    ),
    Check(
        "I6.large",
        "scratch",
        "Is a message of 6 KB refused?",
        (_write({"note": "x" * LARGE}),),
        "max_message_bytes",
        5 * 1024,
        "a message of more than 5 KB is refused",
        "iotstudio/properties/requests.py",
        _maximum,
    ),
)
