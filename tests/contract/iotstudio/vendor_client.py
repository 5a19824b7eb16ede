"""Runs the vendor's own client, ``iots``, against the sandbox; works only in an environment that has it.

Prints what it saw as one JSON object. The client cannot be installed beside Airflow 3.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from iots import API
from iots.models.exceptions import ResponseError

THING = "01GQ2E9M2Y45BX9EW0F2BM032Q"


def last_segment(href: str) -> str:
    return href.rsplit("/", 1)[1]


def main(connection: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    api = API(host=connection["host"])
    with api.set_credentials(connection["login"], connection["password"], ["category", "thing"]) as api:
        space = api.spaces(connection["extra"]["space"])
        seen["categories"] = [one.name for one in space.categories().get()]
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
        try:
            space.things(made.uid).get()
        except ResponseError as error:
            seen["deleted"] = error.http_response().status_code
    return seen


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
