"""Serialised triggers outlive the process and an upgrade of this package: Airflow creates them again.

``releases/<version>.json`` holds the serialised triggers that a release added, and the method and further
arguments with which its tasks resume. A release adds a file; the files of earlier releases never change.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.core.input.values import is_blank
from airflow_provider.errors import InputError
from tests.support import every_task
from tests.support.every_watcher import WATCHERS
from tests.support.hypothesis_sizes import examples
from tests.support.task_runner import rebuild_trigger

RELEASES = sorted(Path(__file__).with_name("releases").glob("*.json"))
STORED: list[Any] = [
    pytest.param(path, kwargs, id=f"{release.stem} {path.rpartition('.')[2]} {number}")
    for release in RELEASES
    for number, (path, kwargs) in enumerate(json.loads(release.read_text())["triggers"])
]
SEEN = {param.values[0] for param in STORED}

TEXT = st.text(max_size=20)
SCALAR = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
NAMES = st.text("abcXYZ-/", min_size=1, max_size=8)
CONDITIONS = st.booleans() | st.integers(-(2**53), 2**53) | NAMES | NAMES.map("gt:{}".format)
EVENTS = st.lists(TEXT.filter(lambda text: not is_blank(text)), min_size=1, max_size=4)
STATUSES = st.lists(st.sampled_from(["FINISHED", "failed", "STOPPED"]), min_size=1, max_size=3)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(1, 10**9),
    float: st.floats(0.1, 1e10),
    list: st.lists(TEXT, max_size=4),
    dict: st.dictionaries(TEXT, SCALAR, max_size=4),
    type(None): st.none() | TEXT,
}


def kind_of(path: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    kind: type[Any] = getattr(import_module(module), name)
    return kind


def through_the_database(trigger: Any) -> tuple[str, dict[str, Any]]:
    """Return a trigger's serialised form, after it was stored and created again."""
    path, kwargs = rebuild_trigger(trigger).serialize()
    return path, json.loads(json.dumps(kwargs))


@pytest.mark.parametrize(("path", "kwargs"), STORED)
def test_a_trigger_stored_by_an_earlier_release_is_created_unchanged(
    path: str, kwargs: dict[str, Any]
) -> None:
    now_path, now = through_the_database(kind_of(path)(**kwargs))
    assert now_path == path
    assert {name: now[name] for name in kwargs} == kwargs


@pytest.mark.parametrize(("path", "kwargs"), STORED)
def test_arguments_that_an_earlier_release_did_not_store_take_their_defaults(
    path: str, kwargs: dict[str, Any]
) -> None:
    kind = kind_of(path)
    defaults = {
        name: parameter.default
        for name, parameter in signature(kind.__init__).parameters.items()
        if parameter.default is not Parameter.empty
    }
    fewer = {name: value for name, value in kwargs.items() if name not in defaults}
    _, now = through_the_database(kind(**fewer))
    assert {name: now[name] for name in defaults} == json.loads(json.dumps(defaults))


@pytest.mark.parametrize(("path", "kwargs"), STORED)
@settings(max_examples=examples(25))
@given(data=st.data())
def test_a_stored_trigger_is_created_unchanged(
    path: str, kwargs: dict[str, Any], data: st.DataObject
) -> None:
    kind = kind_of(path)
    drawn = {name: data.draw(VALUES[type(value)], name) for name, value in kwargs.items()}
    if kind.__name__ in ("AmigoCloudEventTrigger", "AmigoCloudDatasetTrigger"):
        # They refuse to be stored when they can never fire.
        drawn |= {"dataset": data.draw(st.integers(1, 10**9), "dataset")}
        drawn |= {"events": data.draw(EVENTS, "events")} if "events" in drawn else {}
    if isinstance(kwargs.get("expected"), list):
        drawn["expected"] = data.draw(st.lists(VALUES[dict], max_size=3), "expected")
    if kind.__name__ == "IoTStudioThingTrigger":
        # It refuses conditions that can never hold when it is stored.
        drawn["filters"] = data.draw(st.dictionaries(NAMES, CONDITIONS, min_size=1, max_size=4), "filters")
        drawn |= {name: data.draw(st.none() | NAMES, name) for name in ("category", "space")}
    if {"thing_ids", "filters"} <= kwargs.keys():
        drawn["thing_ids"] = data.draw(st.none() | VALUES[list], "thing_ids")
        drawn["filters"] = data.draw(st.none() | VALUES[dict], "filters")
    if kind.__name__ == "IoTStudioEventTrigger":
        # So does the watcher of events.
        drawn |= {"filters": None, "thing_ids": None, "thing_id": None, "event": data.draw(NAMES, "event")}
        drawn |= {name: data.draw(st.none() | NAMES, name) for name in ("category", "space")}
    if kind.__name__ == "LeanIXRunEndedTrigger":
        # It refuses conditions that no run can meet when it is stored.
        drawn["description"] = data.draw(NAMES, "description")
        drawn["statuses"] = data.draw(STATUSES, "statuses")
    trigger = kind(**drawn)
    first_path, first = trigger.serialize()
    assert first == {**drawn, **{name: first[name] for name in first.keys() - drawn.keys()}}
    assert through_the_database(trigger) == (first_path, json.loads(json.dumps(first)))


def test_every_trigger_is_in_the_releases() -> None:
    def below(kind: type) -> set[type]:
        return {kind, *(one for child in kind.__subclasses__() for one in below(child))}

    for vendor in ("mapsindoors", "amigocloud", "iotstudio", "leanix"):
        import_module(f"airflow_provider.{vendor}.triggers")
    public = {
        kind.__name__
        for kind in below(BaseTrigger)
        if kind.__module__.startswith("airflow_provider.") and not kind.__name__.startswith("_")
    }
    bases = {"EventWatcher", "FleetPollTrigger", "NewItemsTrigger", "PollTrigger"}
    assert public - bases == {path.rpartition(".")[2] for path in SEEN}


def test_every_task_that_defers_is_in_the_releases() -> None:
    resumes = {name for release in RELEASES for name in json.loads(release.read_text())["resumes"]}
    classes = every_task.public_classes()
    assert {name for name, kind in classes.items() if every_task.can_defer(kind)} == resumes


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_a_task_deferred_by_an_earlier_release_resumes(release: Path) -> None:
    resumes = json.loads(release.read_text())["resumes"]
    classes = every_task.public_classes()
    for name, (method, more) in resumes.items():
        signature(getattr(classes[name], method)).bind(None, {}, event={}, **dict.fromkeys(more))


@pytest.mark.parametrize("name", sorted(WATCHERS))
def test_an_interval_of_a_watcher_is_stored_in_seconds_whatever_it_was(name: str) -> None:
    for interval, seconds in ((90, 90), (timedelta(seconds=1.5), 1.5), ("90", 90), ("0:01:30", 90)):
        watcher = WATCHERS[name]()
        watcher.poll_interval = interval
        assert watcher.serialize()[1]["poll_interval"] == seconds
    for wrong in (0, -1, None, math.nan, math.inf, True, "soon", timedelta()):
        watcher = WATCHERS[name]()
        watcher.poll_interval = wrong
        with pytest.raises(InputError, match="'poll_interval' must be a number of seconds above 0"):
            watcher.serialize()
