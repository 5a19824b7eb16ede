"""Examples of the vendor's OpenAPI description: a strict sandbox accepts each of them."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider.sandbox.server import Sandbox
from tests.contract import api_specs

NUMBERS = {name: {"type": "number"} for name in ("cpu", "memory", "disk")}


def examples() -> list[tuple[str, str, Any]]:
    document = api_specs.load("altair-iot-studio-anythingdb.openapi.yaml")
    out = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = (operation.get("requestBody") or {}).get("content") if method != "parameters" else None
            media = (content or {}).get("application/json", {})
            found = [media["example"]] if "example" in media else []
            found += [one["value"] for one in (media.get("examples") or {}).values() if "value" in one]
            out += [(method.upper(), path, body) for body in found if "cursor" not in path]
    return out


class Api:
    """Requests below the space, logged in."""

    def __init__(self, sandbox: Sandbox) -> None:
        connection = json.loads(sandbox.connections["iotstudio_default"])
        keys = {"client_id": connection["login"], "client_secret": connection["password"]}
        form = {**keys, "grant_type": "client_credentials", "scope": "thing category model query"}
        self._root = f"{connection['host']}/spaces/{connection['extra']['space']}"
        reply = requests.post(f"{connection['host']}/oauth2/token", data=form, timeout=5)
        self._headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}

    def __call__(self, method: str, path: str, body: Any) -> requests.Response:
        return requests.request(method, self._root + path, json=body, headers=self._headers, timeout=5)


def test_the_examples_of_the_vendors_file_are_accepted(sandbox: Sandbox) -> None:
    found = examples()
    assert len(found) >= 8
    for method, path, body in found:
        sandbox.reset()
        api = Api(sandbox)
        for name in ("ArduinoModel", "RaspberryPiModel"):
            api("POST", "/models", {"name": name})
            for _ in range(2):
                api("POST", f"/models/{name}/versions", {"title": "one"})
        for name in ("ElectronicBoards", "category1", "category2"):
            api("POST", "/categories", {"name": name})
        made = api("POST", "/things", {"categories": ["ElectronicBoards"], "properties": NUMBERS}).json()
        where = path.removeprefix("/spaces/{space}").replace("{category-name}", "ElectronicBoards")
        where = where.replace("{model-name}", "RaspberryPiModel").replace("{thing-id}", made["uid"])
        answer = api(method, where.replace("{property}", "memory"), body)
        assert answer.ok, (method, path, answer.text)
