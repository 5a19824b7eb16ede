"""Outsider: people and devices that use the services without the provider, by plain requests.

A request that has failed is sent again only when its effect is not there: the model knows what was sent.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx

from tests.soak.dags import DATASET, EVENT, REPORTER, WATCHED_DATASET
from tests.soak.nights import moment_of

Found = TypeVar("Found")
PATIENCE_SECONDS = 180.0
"""Maximum seconds until a service is there again."""

METERS = 6
"""Meters that record values."""


class ServiceAwayError(RuntimeError):
    """A service has not answered for too long."""


@dataclass
class Account:
    """How an outsider is known to a service.

    :param base: URL of the service.
    :param login: user or client.
    :param secret: password, token or secret.
    :param extra: further fields of the connection.
    """

    base: str
    login: str
    secret: str
    extra: Mapping[str, Any]


class Outsider:
    """Client of all four services.

    :param connections: Airflow connections as JSON, by id.
    """

    def __init__(self, connections: Mapping[str, str]) -> None:
        self.http = httpx.Client(
            timeout=30, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.accounts = {name.removesuffix("_default"): _account(text) for name, text in connections.items()}
        self._headers: dict[str, dict[str, str]] = {}

    # -- requests

    def send(self, service: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request with a token once; a refused token is renewed first.

        :raises httpx.HTTPError: without a good reply.
        """
        account = self.accounts[service]
        for fresh in (False, True):
            if fresh or service not in self._headers:
                self._headers[service] = self._log_in(service)
            reply = self.http.request(method, account.base + path, headers=self._headers[service], **more)
            if reply.status_code != 401:
                break
        return reply.raise_for_status()

    def read(self, service: str, path: str, **more: Any) -> Any:
        """Read JSON, as often as it takes."""
        return surely(lambda: self.send(service, "GET", path, **more).json(), lambda: None)

    def _log_in(self, service: str) -> dict[str, str]:
        account = self.accounts[service]
        if service == "amigocloud":
            return {}
        url = {
            "mapsindoors": f"{account.base}/auth/connect/token",
            "iotstudio": f"{account.base}/oauth2/token",
            "leanix": f"{account.base}/services/mtm/v1/oauth2/token",
        }[service]
        form = {
            "grant_type": "client_credentials",
            "client_id": account.login,
            "client_secret": account.secret,
        }
        if service == "mapsindoors":
            form = {
                "grant_type": "password",
                "client_id": "client",
                "username": account.login,
                "password": account.secret,
            }
        if service == "iotstudio":
            form["scope"] = "thing category"
        if service == "leanix":
            form["client_id"] = "apitoken"
        reply = self.http.post(url, data=form).raise_for_status()
        return {"Authorization": f"Bearer {reply.json()['access_token']}"}

    # -- changes

    def change_dataset(self, number: int) -> str:
        """Change the watched dataset; return the hash of its new state."""
        name = f"Changed {number}"
        before = self._state(WATCHED_DATASET)

        def change() -> str:
            sql = f"UPDATE dataset_{WATCHED_DATASET} SET name = '{name}' WHERE value = 0"
            self._amigocloud("POST", "/sql", data={"query": sql})
            return self._state(WATCHED_DATASET)

        def changed() -> str | None:
            after = self._state(WATCHED_DATASET)
            return after if after != before else None

        return surely(change, changed)

    def heat(self, thing: str, number: int) -> str:
        """Let a Thing measure more than 50 degrees; return its id."""
        value = 60 + number / 1000
        self._record(thing, "temperature", value)
        return thing

    def meter(self, thing: str, value: float) -> None:
        """Let a meter upload a value with the time of its own clock, which is right."""
        path = f"/spaces/{self.space}/things/{thing}/properties-history"
        row = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "properties": {"power": value}}

        def upload() -> bool:
            return self.send("iotstudio", "POST", path, json=row).is_success

        surely(upload, lambda: value in self.history(thing, "power") or None)

    def _record(self, thing: str, name: str, value: float) -> None:
        path = f"/spaces/{self.space}/things/{thing}/properties"

        def record() -> bool:
            return self.send("iotstudio", "PUT", path, json={name: value}).is_success

        def recorded() -> bool | None:
            return self.send("iotstudio", "GET", path).json().get(name) == value or None

        surely(record, recorded)

    def report(self, number: int) -> str:
        """Let a Thing report an event; return the event's id."""
        path = f"/spaces/{self.space}/things/{REPORTER}/events/{EVENT}"
        data = 50 + number / 1000

        def report() -> str:
            self.send("iotstudio", "POST", path, json={EVENT: {"data": data}})
            return reported() or ""

        def reported() -> str | None:
            found = self.send("iotstudio", "GET", path, params={"limit": 100}).json()["data"]
            ids = [row[EVENT]["href"].rpartition("/")[2] for row in found if row[EVENT].get("data") == data]
            return ids[0] if ids else None

        return surely(report, reported)

    # -- content

    @property
    def space(self) -> str:
        """Id of the space."""
        return str(self.accounts["iotstudio"].extra["space"])

    def things(self, category: str) -> dict[str, dict[str, Any]]:
        """Return the values of a category's Things by id."""
        found: dict[str, dict[str, Any]] = {}
        path = f"/spaces/{self.space}/categories/{category}/things"
        for thing in self.read("iotstudio", path, params={"limit": 1000})["data"]:
            found[thing["uid"]] = thing["status"]
        return found

    def history(self, thing: str, name: str) -> list[Any]:
        """Return the recorded values of a property."""
        path = f"/spaces/{self.space}/things/{thing}/properties-history/{name}"
        rows = self.read("iotstudio", path, params={"limit": 1000})["data"]
        return [row["properties"][name] for row in rows]

    def map_objects(self) -> list[dict[str, Any]]:
        """Return all objects of the map."""
        key = self.accounts["mapsindoors"].extra["api_key"]
        found: list[dict[str, Any]] = self.read("mapsindoors", f"/{key}/api/geodata")
        return found

    def assets(self) -> dict[int, tuple[str, int, str]]:
        """Return name, floor and last update of the dataset's rows by number."""
        rows = self._rows(f"SELECT number, name, floor, updated_at FROM dataset_{DATASET} ORDER BY number")
        return {row["number"]: (row["name"], row["floor"], plain_time(row["updated_at"])) for row in rows}

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            query = {"query": sql, "limit": 500, "offset": len(rows)}
            page = surely(lambda q=query: self._amigocloud("GET", "/sql", params=q).json(), lambda: None)
            rows += page["data"]
            if not page["data"] or len(rows) >= page["count"]:
                return rows

    def other_datasets(self) -> dict[str, str]:
        """Return the states of the datasets without changes."""
        return {str(number): self._state(number) for number in (2001, 2002)}

    def _state(self, dataset: int) -> str:
        found = surely(lambda: self._amigocloud("GET", f"/datasets/{dataset}/master").json(), lambda: None)
        return str(found["master"])

    def _amigocloud(
        self, method: str, path: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        account = self.accounts["amigocloud"]
        project = account.extra["project_url"]
        query = {**(params or {}), "token": account.secret}
        return self.send("amigocloud", method, f"/{project}{path}", params=query, **more)

    def store_outbound(self) -> None:
        """Store the configuration by which the nights read the components back."""
        surely(lambda: self._leanix("PUT", "/configurations", json=OUTBOUND), lambda: None)

    def fact_sheets(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the data of all fact sheets of a type by external id, from a run of its own."""
        configuration = {
            **OUTBOUND,
            "processors": [{**OUTBOUND["processors"][0], "filter": {"exactType": kind}}],
        }
        body = {"processorConfiguration": configuration, "input": {**HEADER, "description": "outsider"}}
        run = surely(
            lambda: self._leanix("POST", f"{RUNS}/withConfig", params={"start": True}, json=body),
            lambda: None,
        )
        path = f"{RUNS}/{run.json()['id']}"
        while (
            surely(lambda: self._leanix("GET", f"{path}/status"), lambda: None).json()["status"] != "FINISHED"
        ):
            time.sleep(0.5)
        content = surely(lambda: self._leanix("GET", f"{path}/results"), lambda: None).json()["content"]
        return {item["id"]: item["data"] for item in content}

    def runs(self) -> Counter[str]:
        """Return the ids of the finished runs of the nights."""
        rows = surely(lambda: self._leanix("GET", RUNS), lambda: None).json()
        ours = [row for row in rows if str(row.get("description")).startswith("soak ")]
        return Counter(row["id"] for row in ours if row["status"] == "FINISHED")

    def unfinished_runs(self) -> list[str]:
        """Return the nights' runs that were started or created and are not finished."""
        rows = surely(lambda: self._leanix("GET", RUNS), lambda: None).json()
        ours = [row for row in rows if str(row.get("description")).startswith("soak ")]
        return [f"{row['id']}: {row['status']}" for row in ours if row["status"] != "FINISHED"]

    def _leanix(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.send("leanix", method, f"/services/integration-api/v1{path}", **more)


RUNS = "/synchronizationRuns"
HEADER = {
    "connectorType": "soak",
    "connectorId": "components",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "outbound",
    "processingMode": "partial",
}
OUTBOUND: dict[str, Any] = {
    **{name: value for name, value in HEADER.items() if name != "lxVersion"},
    "sequentialExecution": False,
    "scope": {"ids": [], "facetFilters": []},
    "processors": [
        {
            "processorType": "outboundFactSheet",
            "processorName": "Components",
            "filter": {"exactType": "ITComponent"},
            "fields": ["name"],
        }
    ],
    "dataConsumer": {"type": "leanixStorage"},
}


def surely(act: Callable[[], Found], effect: Callable[[], Found | None]) -> Found:
    """Act until it has succeeded; return its result.

    :param act: raises ``httpx.HTTPError`` when it is not known whether it has succeeded.
    :param effect: returns the result that an earlier attempt has had; None for none.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return act()
        except (httpx.HTTPError, ValueError) as error:
            last = _transient(error)
        while True:
            if time.monotonic() > deadline:
                raise ServiceAwayError(f"{type(last).__name__}: {last}") from last
            time.sleep(0.5)
            try:
                found = effect()
                break
            except (httpx.HTTPError, ValueError) as error:
                last = _transient(error)
        if found is not None:
            return found


def _transient(error: Exception) -> Exception:
    """Return an error after which a service may answer; raise any other one."""
    status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
    if 400 <= status < 500 and status not in {401, 429}:
        raise ServiceAwayError(f"{error}: {error.response.text[:500]}") from error  # type: ignore[attr-defined]
    return error


def plain_time(value: Any) -> str:
    """Return a time as the model has it."""
    moment = (
        value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    )
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()


def _account(text: str) -> Account:
    fields = json.loads(text)
    extra = fields.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    return Account(fields["host"], fields.get("login") or "", fields["password"], extra)


__all__ = ["METERS", "Outsider", "moment_of", "plain_time", "surely"]
