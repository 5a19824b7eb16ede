"""A strict workspace: configurations, headers, late results, and refused tokens, each switch both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID, configurations, tutorial_items
from airflow_provider.sandbox.server import Sandbox

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

API = "/services/integration-api/v1"
RUNS = "/synchronizationRuns"
INBOUND = {
    "connectorType": "cmdb",
    "connectorId": "campus",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "inbound",
}
OUTBOUND = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "processingDirection": "outbound",
}
TRIGGER: list[dict[str, Any]] = [{"type": "", "id": "", "data": {}}]


class Client:
    """Client that is logged in and returns replies unchanged."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.session = sandbox, requests.Session()
        self.log_in()

    def log_in(self) -> None:
        url = f"{self.sandbox.leanix.base_url}/services/mtm/v1/oauth2/token"
        grant, login = {"grant_type": "client_credentials"}, ("apitoken", self.sandbox.leanix.api_token)
        token = requests.post(url, auth=login, data=grant, timeout=5).json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"{self.sandbox.leanix.base_url}{API}{path}"
        return self.session.request(method, url, timeout=5, **options)

    def run(self, ldif: dict[str, Any]) -> str:
        run_id = str(self("POST", RUNS, json=ldif, params={"start": "true"}).json()["id"])
        self.sandbox.clock.advance(30)
        return run_id


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    client = Client(sandbox)
    yield client
    client.session.close()


# Configurations


def update(key: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"key": {"expr": key}, "values": [{"expr": value} for value in values], **more}


def writer(**fields: Any) -> dict[str, Any]:
    """Return a writer in the form of the vendor's docs."""
    facets = [{"facetKey": "FactSheetTypes", "operator": "OR", "keys": ["Application"]}]
    scope = {"scope": {"ids": [], "facetFilters": facets}, "filter": "${true}"}
    return {
        "processorType": "writeToLdif",
        "processorName": "Applications",
        "filter": {"advanced": "${integration.contentIndex==0}"},
        "identifier": {"search": {**scope, "multipleMatchesAllowed": True}},
        "run": 0,
        "updates": [
            update("content.id", "${lx.factsheet.id}"),
            update("content.type", "${lx.factsheet.type}"),
            update("Name", "${lx.factsheet.displayName}"),
        ],
        **fields,
    }


def configuration(*processors: Any, **fields: Any) -> dict[str, Any]:
    keys = [
        {"key": "connectorType", "value": "export"},
        {"key": "description", "value": "Export of ${header.customFields.month}"},
    ]
    return {
        **INBOUND,
        "connectorType": "export",
        "processingMode": "partial",
        "processors": list(processors),
        "targetLdif": {"ldifKeys": keys, "dataConsumer": {"type": "leanixStorage"}},
        **fields,
    }


WRONG: list[tuple[dict[str, Any], str]] = [
    (configuration(processors={}), "processors must be a list"),
    (configuration("x"), "processors[0] must be an object"),
    (configuration({}), "processors[0].processorType None"),
    (configuration(writer(processorType="writeToLDIF")), "processors[0].processorType writeToLDIF"),
    (configuration(writer(processorType=["writeToLdif"])), "processors[0].processorType"),
    (configuration(writer(processorType="outboundFactSheet")), "processors[0].processorType"),
    (configuration(writer(run="0")), "processors[0].run must be a whole number"),
    (configuration(writer(run=-1)), "processors[0].run must be 0 or more"),
    (configuration(writer(enabled="true")), "processors[0].enabled must be a boolean"),
    (configuration(writer(filter="Application")), "processors[0].filter must be an object"),
    (configuration(writer(filter={"type": "("})), "processors[0].filter.type is not a regular expression"),
    (configuration(writer(filter={"advanced": True})), "processors[0].filter.advanced must be a text"),
    (configuration(writer(updates={})), "processors[0].updates must be a list"),
    (configuration(writer(updates=["x"])), "processors[0].updates[0] must be an object"),
    (configuration(writer(updates=[{"values": []}])), "processors[0].updates[0].key.expr may not be null"),
    (configuration(writer(updates=[{"key": "x"}])), "processors[0].updates[0].key must be an object"),
    (configuration(writer(updates=[update("a", mode="all")])), "updates[0].mode must be list or selectFirst"),
    (
        configuration(writer(updates=[{"key": {"expr": "a"}, "values": ["x"]}])),
        "updates[0].values[0] must be",
    ),
    (configuration(writer(updates=[update("a", "x" * 501)])), "values[0].expr must not be longer than 500"),
    (configuration(writer(identifier={"search": "all"})), "identifier.search.scope"),
    (
        configuration(writer(identifier={"search": {"scope": {"facetFilters": [{"keys": "App"}]}}})),
        "identifier.search.scope.facetFilters[0] needs facetKey and keys",
    ),
    (configuration(targetLdif=[]), "targetLdif must be an object"),
    (configuration(targetLdif={"ldifKeys": {"connectorType": "x"}}), "targetLdif.ldifKeys must be a list"),
    (configuration(targetLdif={"ldifKeys": [{"key": "a", "value": 1}]}), "targetLdif.ldifKeys[0] needs key"),
    (configuration(targetLdif={"dataConsumer": {"type": "s3"}}), "targetLdif.dataConsumer.type"),
    (
        configuration(targetLdif={"dataConsumer": {"type": "azureStorage", "containerName": "c"}}),
        "targetLdif.dataConsumer.connectionString may not be empty",
    ),
    (configuration(sequentialExecution="yes"), "sequentialExecution must be a boolean"),
    (configuration(processingDirection="both"), "processingDirection must be inbound or outbound"),
    (configuration(processingMode="some"), "processingMode some is not allowed"),
    (configuration(connectorId="x" * 501), "connectorId must not be longer than 500"),
    ({**OUTBOUND, "processors": []}, "scope may not be null"),
    ({**OUTBOUND, "scope": {}, "processingMode": "full"}, "processingMode full is not allowed for outbound"),
    ({**OUTBOUND, "scope": {}, "processors": [writer()]}, "processors[0].processorType writeToLdif"),
    ({**OUTBOUND, "scope": "all"}, "scope must be an object or a list"),
]


@pytest.mark.parametrize(("body", "text"), WRONG, ids=[text for _, text in WRONG])
def test_a_wrong_configuration_is_refused_with_its_path(
    client: Client, sandbox: Sandbox, body: dict[str, Any], text: str
) -> None:
    before = dict(sandbox.leanix.configurations)
    answer = client("PUT", "/configurations", json=body)
    assert answer.status_code == 400, answer.text
    assert any(text in error for error in answer.json()["errors"]), answer.text
    assert sandbox.leanix.configurations == before
    sandbox.leanix.strict = False
    assert client("PUT", "/configurations", json=body).status_code == 204


def test_a_configuration_of_a_request_is_checked_too(client: Client) -> None:
    body = {"input": {**INBOUND, "content": TRIGGER}, "processorConfiguration": configuration({})}
    for path in (f"{RUNS}/withConfig", "/fastSynchronizationRuns/withConfig"):
        assert client("POST", path, json=body).status_code == 400


def test_the_seeded_configurations_and_the_examples_are_valid(client: Client) -> None:
    for found in configurations().values():
        assert client("PUT", "/configurations", json=found).status_code == 204
    for name in ("starterExample", "advancedExample"):
        example = client("GET", f"/examples/{name}").json()
        assert client("POST", f"{RUNS}/withConfig", json=example).status_code == 200


# What writers write


def exported(client: Client, *processors: dict[str, Any], **header: Any) -> dict[str, Any]:
    assert client("PUT", "/configurations", json=configuration(*processors)).status_code == 204
    ldif = {**INBOUND, "connectorType": "export", "content": TRIGGER, **header}
    run_id = client.run(ldif)
    found: dict[str, Any] = client("GET", f"{RUNS}/{run_id}/results").json()
    found["_warnings"] = client("GET", f"{RUNS}/{run_id}/warnings").json()
    return found


def test_a_writers_templates_make_the_items_and_the_header(client: Client) -> None:
    found = exported(client, writer(), customFields={"month": "May"})
    assert (found["connectorType"], found["description"]) == ("export", "Export of May")
    assert len(found["content"]) == 65
    assert found["content"][-1] == {
        "type": "Application",
        "id": "28db27b1-fc55-4e44",
        "data": {"Name": "Campus Website"},
    }
    assert found["_warnings"] == []


def test_writers_run_in_order_and_for_each_item_that_their_filter_lets_through(client: Client) -> None:
    ids = {"scope": {"ids": ["it-0001"]}}
    late = writer(run=2, identifier={"search": ids}, filter={"type": "Go.*"})
    off = writer(enabled=False)
    website = {"scope": {"ids": ["28db27b1-fc55-4e44"]}}
    early = writer(run=1, identifier={"search": website}, filter={"id": "b"})
    content = [{"type": "Go", "id": name, "data": {}} for name in "ab"]
    found = exported(client, late, off, early, content=content)
    assert [one["id"] for one in found["content"]] == ["28db27b1-fc55-4e44", "it-0001", "it-0001"]


def test_a_search_filter_and_the_runs_own_fields_select(client: Client) -> None:
    facets = [{"facetKey": "FactSheetTypes", "operator": "OR", "keys": ["${header.customFields.kind}"]}]
    search = {"scope": {"facetFilters": facets}, "filter": "${lx.factsheet.name == data.wanted}"}
    content = [{"type": "", "id": "", "data": {"wanted": "Platform 07"}}]
    found = exported(
        client, writer(identifier={"search": search}), content=content, customFields={"kind": "ITComponent"}
    )
    assert [one["id"] for one in found["content"]] == ["it-0007"]


def test_what_a_writer_cannot_write_is_an_error_of_the_run(client: Client) -> None:
    website = {"search": {"scope": {"ids": ["28db27b1-fc55-4e44"]}}}
    updates = [
        *writer()["updates"],
        update("Owner", "${lx.factsheet.owner}"),
        update("Alias", "${lx.factsheet.alias}", optional=True),
        update("Tags", "${lx.factsheet.name}", "${lx.factsheet.none}", mode="list"),
        update("When", "${integration.now.plusDays(1)}"),
    ]
    found = exported(client, writer(identifier=website, updates=updates))
    assert found["content"][0]["data"] == {"Name": "Campus Website", "Tags": ["Campus Website"]}
    texts = [row["message"] for row in found["_warnings"]]
    assert texts == [
        "The value of Owner is missing",
        "The expression integration.now.plusDays(1) is not known",
    ]
    nameless = exported(client, writer(identifier=website, updates=writer()["updates"][1:]))
    assert nameless["content"] == []
    assert [row["message"] for row in nameless["_warnings"]] == ["content.id and content.type are needed"]


def test_custom_fields_of_the_new_header_become_a_map(client: Client) -> None:
    body = configuration(writer())
    body["targetLdif"]["ldifKeys"] = [{"key": "customFields", "value": "${header.customFields}"}]
    client("PUT", "/configurations", json=body)
    ldif = {**INBOUND, "connectorType": "export", "content": TRIGGER, "customFields": {"a": {"b": [1]}}}
    run_id = client.run(ldif)
    assert client("GET", f"{RUNS}/{run_id}/results").json()["customFields"] == {"a": {"b": [1]}}


def test_a_fast_run_returns_what_its_writers_wrote(client: Client) -> None:
    client("PUT", "/configurations", json=configuration(writer()))
    ldif = {**INBOUND, "connectorType": "export", "content": TRIGGER}
    body = client("POST", "/fastSynchronizationRuns", json=ldif).json()
    assert len(body["results"]["content"]) == 65


# Headers


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"connectorType": ["cmdb"]}, "connectorType must be a text"),
        ({"lxVersion": {"major": 1}}, "lxVersion must be a text"),
        ({"description": ["x"]}, "description must be a text"),
        ({"customFields": ["x"]}, "customFields must be an object"),
        ({"customFields": "x"}, "customFields must be an object"),
        ({"chunkInformation": 3}, "chunkInformation must be an object"),
        ({"chunkInformation": {"maxDataObject": -1}}, "chunkInformation.maxDataObject must be"),
        ({"chunkInformation": {"maxDataObject": "9"}}, "chunkInformation.maxDataObject must be"),
    ],
)
def test_the_types_of_a_header_are_checked(
    client: Client, sandbox: Sandbox, change: dict[str, Any], text: str
) -> None:
    ldif = {**INBOUND, "content": tutorial_items(), **change}
    answer = client("POST", RUNS, json=ldif)
    assert answer.status_code == 400
    assert any(text in error for error in answer.json()["errors"])
    sandbox.leanix.strict = False
    assert text not in client("POST", RUNS, json=ldif).text


@pytest.mark.parametrize(
    "change",
    [
        {"customFields": {"month": "May", "deep": {"list": [1, None]}}},
        {"chunkInformation": {"firstDataObject": 0, "lastDataObject": 1, "maxDataObject": 2}},
        {"lxWorkspace": WORKSPACE_ID, "processingMode": "PARTIAL", "description": ""},
        {"content": [{"type": "Deployment", "id": "684c16bf", "data": {"app": None, "tags": ["a", {}]}}]},
    ],
)
def test_headers_and_items_of_the_docs_are_accepted(client: Client, change: dict[str, Any]) -> None:
    answer = client("POST", RUNS, json={**INBOUND, "content": tutorial_items(), **change})
    assert answer.status_code == 200, answer.text


# Results, tokens, sync log, 429


@pytest.mark.parametrize("name", ["results_lag_seconds", "results_delay"])
def test_results_come_some_time_after_the_end(client: Client, sandbox: Sandbox, name: str) -> None:
    setattr(sandbox.leanix, name, 60)
    assert sandbox.leanix.results_lag_seconds == sandbox.leanix.results_delay == 60
    run_id = client.run(OUTBOUND)
    assert client("GET", f"{RUNS}/{run_id}/status").json()["status"] == "FINISHED"
    assert client("GET", f"{RUNS}/{run_id}/results").status_code == 204
    assert client("GET", f"{RUNS}/{run_id}/resultsUrl").json() == {"url": None}
    sandbox.clock.advance(60)
    assert client("GET", f"{RUNS}/{run_id}/results").status_code == 200
    assert client("GET", f"{RUNS}/{run_id}/resultsUrl").json()["url"]


def test_the_old_name_of_the_lag_is_understood(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/_sandbox/switches"
    answer = requests.patch(url, json={"leanix.results_delay": 7}, timeout=5)
    assert answer.json()["leanix"]["results_lag_seconds"]["value"] == 7
    assert "results_delay" not in answer.json()["leanix"]


@pytest.mark.parametrize(
    ("expired", "refused", "statuses"),
    [(None, 401, (401, 401)), (None, 403, (403, 403)), (403, 401, (403, 401)), (401, 403, (401, 403))],
)
def test_an_expired_token_is_told_from_garbage(
    client: Client, sandbox: Sandbox, expired: Any, refused: int, statuses: tuple[int, int]
) -> None:
    sandbox.leanix.expired_token_status, sandbox.leanix.refused_token_status = expired, refused
    sandbox.clock.advance(3601)
    assert client("GET", RUNS).status_code == statuses[0]
    client.session.headers["Authorization"] = "Bearer garbage"
    assert client("GET", RUNS).status_code == statuses[1]
    del client.session.headers["Authorization"]
    assert client("GET", RUNS).status_code == statuses[1]


@pytest.mark.parametrize("named", [True, False])
def test_a_429_has_or_lacks_retry_after(client: Client, sandbox: Sandbox, named: bool) -> None:
    sandbox.leanix.requests_per_second, sandbox.leanix.retry_after = 0, named
    answer = client("GET", RUNS)
    assert answer.status_code == 429
    assert ("retry-after" in answer.headers) is named
