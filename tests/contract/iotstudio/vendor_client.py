"""Run the vendor's client, ``iots``, against the sandbox, in an environment that has it.

``vendor_client.py "<step>" <connection>``, both as JSON; the steps are ``use`` and ``mistakes``. Prints the
results as one JSON object. The client cannot be installed beside Airflow 3.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from iots import API
from iots.models.exceptions import ResponseError

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"


def last_segment(href: str) -> str:
    return href.rsplit("/", 1)[1]


def use(connection: dict[str, Any]) -> dict[str, Any]:
    """Call what the client's README shows."""
    seen: dict[str, Any] = {}
    api = API(host=connection["host"])
    with api.set_credentials(connection["login"], connection["password"], ["category", "thing"]) as api:
        space = api.spaces(connection["extra"]["space"])
        seen["categories"] = [category.name for category in space.categories().get()]
        seen["title"] = space.things(THING).get().title
        seen["sensors"] = sum(1 for _ in space.categories("Sensors").things().get())
        seen["warm"] = sum(1 for _ in space.things().get(params={"property:temperature": "gt:20"}))
        thing = space.things(THING)
        seen["updated"] = thing.properties("temperature").update(17.3)["temperature"]
        seen["many"] = thing.properties().update({"temperature": 18, "mode": "eco"})["mode"]
        seen["read"] = thing.properties().get()["temperature"]
        action = thing.actions("updateFirmware").create({"updateFirmware": {"input": "v2.0.0"}})
        action_id = last_segment(action["updateFirmware"].href)
        done = thing.actions("updateFirmware", action_id).update({"updateFirmware": {"status": "completed"}})
        seen["action"] = done["updateFirmware"].status
        thing.actions("updateFirmware", action_id).delete()
        event = thing.events("highTemperature").create({"highTemperature": {"data": 61.5}})
        thing.events("highTemperature", last_segment(event["highTemperature"].href)).delete()
        made = space.things().create({"title": "Pump", "categories": ["Meters"]})
        seen["renamed"] = space.things(made.uid).update({"title": "P1"}).title
        space.things(made.uid).delete()
    return seen


def refused(act: Callable[[], Any]) -> list[Any]:
    """Return the status and the error of the client's exception."""
    try:
        act()
    except ResponseError as error:
        body = error.http_response().json()["error"]
        return [error.http_response().status_code, body["message"] if isinstance(body, dict) else body]
    raise AssertionError("nothing was refused")


def mistakes(connection: dict[str, Any]) -> dict[str, Any]:
    """Send requests that the service refuses."""
    api = API(host=connection["host"])
    space = api.set_credentials(connection["login"], connection["password"], ["thing"]).spaces(
        connection["extra"]["space"]
    )
    stranger = API(host=connection["host"]).set_token("unknown").spaces(connection["extra"]["space"])
    forger = API(host=connection["host"])
    return {
        "no such thing": refused(lambda: space.things("01ARZ3NDEKTSV4RRFFQ69G5FAV").get()),
        "no such property": refused(lambda: space.things(THING).properties().update({"nothing": 1})),
        "a right that was not asked for": refused(lambda: space.categories("Sensors").get()),
        "an unknown token": refused(lambda: stranger.things(THING).get()),
        "a wrong secret": refused(lambda: forger.set_credentials(connection["login"], "wrong", ["thing"])),
    }


if __name__ == "__main__":
    step, given = map(json.loads, sys.argv[1:])
    print(json.dumps({"use": use, "mistakes": mistakes}[step](given)))
