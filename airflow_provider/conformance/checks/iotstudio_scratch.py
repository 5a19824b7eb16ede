"""Checks of Altair IoT Studio with a Thing that they make and remove."""

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
    SkippedError,
    Step,
)
from airflow_provider.conformance.checks.iotstudio import SPACE
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader

THINGS = f"{SPACE}/things"
VALUES = f"{THINGS}/{{probe}}/properties"
REFUSED = frozenset({400, 413, 422})
LARGE = 6 * 1024
"""Bytes of a value above the documented maximum of a message."""


def _uid(answer: Answer, facts: Facts) -> str | None:
    thing = answer.json()
    return thing["uid"] if thing.get("title") == f"{facts['run']}-probe" else None


def _titled(answer: Answer, name: str) -> list[str]:
    return [thing["uid"] for thing in answer.json()["data"] if thing.get("title") == name]


DESCRIPTION: dict[str, Any] = {
    "title": "{run}-probe",
    "properties": {
        "level": {"type": "number", "minimum": 0, "maximum": 100},
        "fixed": {"type": "number", "readOnly": True},
        "note": {"type": "string"},
        "choice": {"type": "string", "enum": ["a", "b"]},
    },
    "actions": {"probe": {"title": "Probe"}},
    "events": {"probe": {"title": "Probe", "data": {"type": "number"}}},
}
MAKE = Step(
    "POST", THINGS, json={**DESCRIPTION, "status": {"level": 1, "note": "conformance"}}, makes="probe"
)
CREATIONS = {
    "probe": Creation(
        "a Thing with four properties, an action and an event",
        Finder(MAKE, _uid, "the Thing was not made"),
        Step("DELETE", f"{THINGS}/{{id}}"),
        Step("GET", THINGS, params={"title": "{name}"}),
        _titled,
        (Step("GET", f"{THINGS}/{{id}}"), "title"),
    )
}


ACTIONS = f"{THINGS}/{{probe}}/actions/probe"
REQUEST = Step("POST", ACTIONS, json={"probe": {}}, once=True)
REPORTED = Step(
    "PUT", f"{ACTIONS}/{{action}}", json={"probe": {"status": "completed", "output": {"ok": True}}}
)
GROUPED = Step(
    "GET", f"{THINGS}/{{probe}}/properties-history", params={"group": "true", "limit": "1"}, fresh=True
)


def _action(answer: Answer, _: Facts) -> str | None:
    return str(answer.json()["probe"]["href"]).rpartition("/")[2] or None


NO_METHOD = frozenset({404, 405, 501})
PATCH: dict[str, Any] = {
    "headers": {"Content-Type": "application/json-patch+json"},
    "accepts": SUCCESS | NO_METHOD,
}
CHANGE = [{"op": "add", "path": "/description", "value": "conformance"}]
EVENTS = f"{THINGS}/{{probe}}/events/probe"
EVENT = Step("POST", EVENTS, json={"probe": {"data": 1}}, once=True)


FINDERS = {"action": Finder(REQUEST, _action, "the request of the action has no id")}


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


def _null(answers: Answers, _: Facts) -> str:
    return "accept" if answers[-1].status in SUCCESS else "reject"


def _enum(answers: Answers, _: Facts) -> str:
    return "ignore" if answers[-1].status in SUCCESS else "enforce"


def _partial(answers: Answers, _: Facts) -> str:
    found = answers[-1].json()
    if answers[0].status in SUCCESS and found["note"] == WRONG["note"]:
        raise OpenQuestionError("the service accepts a number for a text")
    return "valid" if found["level"] == WRONG["level"] else "none"


def _group_limit(answers: Answers, _: Facts) -> str:
    one, two = (answer.json()["data"][0]["properties"] for answer in answers[1:])
    if len(one) < 2 and len(two) < 2:
        raise OpenQuestionError("the values of one time are not in one item")
    return "items" if len(one) > 1 else "values"


def _equal_values(answers: Answers, _: Facts) -> str:
    found = [item["properties"]["level"] for item in answers[-1].json()["data"]]
    if not found.count(EQUAL["level"]):
        raise OpenQuestionError("the history has none of the values yet")
    return "record" if found.count(EQUAL["level"]) > 1 else "skip"


def _has_patch(answers: Answers, _: Facts) -> bool:
    return answers[0].status in SUCCESS


def _patch_results(answers: Answers, _: Facts) -> str:
    if answers[0].status not in SUCCESS:
        raise SkippedError(NO_PATCH)
    results = answers[0].json()["results"]
    if not isinstance(results, (list, dict)):
        raise OpenQuestionError("the results are neither a list nor an object")
    return "list" if isinstance(results, list) else "by_id"


def _put_without_status(answers: Answers, _: Facts) -> str:
    return "keep" if answers[-1].json().get("level") == KEPT["level"] else "clear"


def _event_order(answers: Answers, _: Facts) -> str:
    found = [item["probe"]["data"] for item in answers[-1].json()["data"]]
    return {(2, 1): "newest", (1, 2): "oldest"}[tuple(found[:2])]


NO_PATCH = "the service has no PATCH"
KEPT = {"level": 4, "note": "conformance"}


def _shows_output(answers: Answers, _: Facts) -> bool:
    return bool(answers[-1].json()["probe"].get("output"))


EQUAL = {"level": 6}
"""Value that no other check writes."""

WRONG = {"level": 7, "note": 5}
"""Values of which the second one has a wrong type."""

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
    Check(
        "I6.null",
        "scratch",
        "Is null a value of every type?",
        (_write({"note": None}),),
        "null_values",
        "accept",
        "null is a value of every type",
        "iotstudio/values.py",
        choice_reader(_null, ACCEPTED),
    ),
    Check(
        "I6.enum",
        "scratch",
        "Are keywords of a declaration enforced beyond type and bounds, such as enum?",
        (_write({"choice": "c"}),),
        "further_keywords",
        "ignore",
        "further keywords are not enforced",
        "iotstudio/properties/writer.py",
        choice_reader(_enum, {"ignore": "another value accepted", "enforce": "another value refused"}),
    ),
    Check(
        "I6.partial",
        "scratch",
        "Which values does a write store when one of them is refused?",
        (_write(WRONG), Step("GET", VALUES, fresh=True)),
        "partial_writes",
        "none",
        "a write with a refused value stores none",
        "iotstudio/properties/writer.py",
        choice_reader(_partial, {"none": "none stored", "valid": "the valid ones stored"}),
        danger=True,
    ),
    Check(
        "I6.equal",
        "scratch",
        "Does the history get an entry for a value that is stored already?",
        (
            _write(EQUAL),
            _write(EQUAL),
            Step("GET", f"{THINGS}/{{probe}}/properties-history/level", params={"limit": "100"}, fresh=True),
        ),
        "equal_values",
        "record",
        "each write is an entry of the history",
        "iotstudio/events/silence.py",
        choice_reader(_equal_values, {"record": "an entry for each write", "skip": "one for both"}),
        danger=True,
    ),
    Check(
        "I4.group",
        "scratch",
        "Does the limit of a history with group count times or values?",
        (
            _write({"level": 3, "note": "group"}),
            GROUPED,
            replace(GROUPED, params={**GROUPED.params, "limit": "2"}),
        ),
        "group_limit",
        "items",
        "the limit counts times",
        "iotstudio/export/history.py",
        choice_reader(_group_limit, {"items": "times", "values": "values"}),
    ),
    Check(
        "I6.output",
        "scratch",
        "Is the output of an action among what a read returns?",
        (REPORTED, Step("GET", f"{ACTIONS}/{{action}}", fresh=True)),
        "actions_show_output",
        True,
        "the output of an action can be read",
        "iotstudio/actions.py",
        choice_reader(_shows_output, {True: "the output", False: "none"}),
    ),
    Check(
        "I6.patch",
        "scratch",
        "Can a Thing be changed with PATCH?",
        (Step("PATCH", f"{THINGS}/{{probe}}", json=CHANGE, **PATCH),),
        "has_patch",
        True,
        "a Thing can be changed with PATCH",
        "iotstudio/hooks_admin.py",
        choice_reader(_has_patch, {True: "it changed", False: "a refusal"}),
    ),
    Check(
        "I6.bulk_patch",
        "scratch",
        "Are the results of a PATCH of many Things a list, or an object by id?",
        (Step("PATCH", THINGS, json=[{"id": "{probe}", "patch": CHANGE}], **PATCH),),
        "patch_results",
        "list",
        "the results of a PATCH of many Things are a list",
        "iotstudio/hooks_admin.py",
        choice_reader(_patch_results, {"list": "a list", "by_id": "an object"}),
        moot={"has_patch": NO_PATCH},
    ),
    Check(
        "I6.events",
        "scratch",
        "Does a list of events begin with the newest event?",
        (EVENT, replace(EVENT, json={"probe": {"data": 2}}), Step("GET", EVENTS, fresh=True)),
        "event_order",
        "newest",
        "a list of events begins with the newest",
        "iotstudio/events/export.py",
        choice_reader(_event_order, {"newest": "the newest first", "oldest": "the oldest first"}),
    ),
    Check(
        "I6.put",
        "scratch",
        "Does a new description of a Thing without its values leave them?",
        (
            _write(KEPT),
            Step("PUT", f"{THINGS}/{{probe}}", json=DESCRIPTION),
            Step("GET", VALUES, fresh=True),
        ),
        "put_without_status",
        "keep",
        "a description without values leaves them",
        "iotstudio/sync/execute.py",
        choice_reader(_put_without_status, {"keep": "them there", "clear": "them gone"}),
    ),
)
