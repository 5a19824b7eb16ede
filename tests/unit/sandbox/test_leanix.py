"""The emulated LeanIX workspace behaves as the documented one."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID, configuration_key, tutorial_items

INBOUND = {
    "connectorType": "cmdb",
    "connectorId": "campus",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "inbound",
    "processingMode": "partial",
}
OUTBOUND = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "outbound",
    "processingMode": "partial",
    "content": [],
}
RUNS = "/synchronizationRuns"


class Client:
    """Client that sends the requests of the vendor's tutorial."""

    def __init__(self, sandbox: Any) -> None:
        self.base = sandbox.leanix.base_url
        self.sandbox = sandbox
        self.session = requests.Session()
        reply = self.token(auth=("apitoken", sandbox.leanix.api_token))
        self.session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def token(self, auth: Any = None, **fields: Any) -> requests.Response:
        fields = fields or {"data": {"grant_type": "client_credentials"}}
        return requests.post(f"{self.base}/services/mtm/v1/oauth2/token", auth=auth, timeout=5, **fields)

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        url = f"{self.base}/services/integration-api/v1{path}"
        return self.session.request(method, url, timeout=5, **more)

    def create(self, ldif: dict[str, Any], **params: Any) -> str:
        reply = self("POST", RUNS, json=ldif, params=params)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["id"])

    def status(self, run_id: str) -> str:
        return str(self("GET", f"{RUNS}/{run_id}/status").json()["status"])

    def run(self, ldif: dict[str, Any]) -> str:
        run_id = self.create(ldif, start="true")
        self.sandbox.clock.advance(60)
        return run_id


@pytest.fixture
def client(sandbox: Any) -> Client:
    return Client(sandbox)


def test_token_comes_by_basic_form_and_query_and_names_the_workspace(client: Client, sandbox: Any) -> None:
    secret = sandbox.leanix.api_token
    grant = {"grant_type": "client_credentials"}
    by_query = client.token(auth=("apitoken", secret), params=grant)
    by_form = client.token(data={**grant, "client_id": "apitoken", "client_secret": secret})
    for reply in (by_query, by_form):
        body = reply.json()
        assert body["token_type"] == "bearer"
        assert body["expires_in"] == 3599
    payload = body["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["principal"]["permission"] == {"workspaceId": WORKSPACE_ID, "workspaceName": "campus"}
    assert claims["instanceUrl"] == sandbox.leanix.base_url
    assert sandbox.counters.tokens_issued["leanix"] == 3


def test_wrong_and_expired_tokens_get_401(client: Client, sandbox: Any) -> None:
    assert client.token(auth=("apitoken", "wrong")).status_code == 401
    assert requests.get(f"{client.base}/services/integration-api/v1{RUNS}", timeout=5).status_code == 401
    sandbox.clock.advance(3599)
    assert client("GET", RUNS).status_code == 200
    sandbox.clock.advance(2)
    assert client("GET", RUNS).status_code == 401


def test_run_moves_through_its_statuses_on_the_clock(client: Client, sandbox: Any) -> None:
    sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 30, 60
    run_id = client.create(OUTBOUND)
    sandbox.clock.advance(1000)
    assert client.status(run_id) == "CREATED"
    assert client("POST", f"{RUNS}/{run_id}/start", data=b"false").status_code == 200
    assert client.status(run_id) == "PENDING"
    sandbox.clock.advance(31)
    assert client.status(run_id) == "IN_PROGRESS"
    assert client("GET", f"{RUNS}/{run_id}/resultsUrl").json() == {"url": None}
    assert client("GET", f"{RUNS}/{run_id}/results").status_code == 204
    sandbox.clock.advance(60)
    assert client.status(run_id) == "FINISHED"
    changes = client("GET", f"{RUNS}/{run_id}/stats").json()["statusChanges"]
    assert [one["status"] for one in changes] == ["CREATED", "PENDING", "IN_PROGRESS", "FINISHED"]


def test_second_start_and_stop_out_of_time_get_400(client: Client) -> None:
    run_id = client.create(OUTBOUND)
    stop, start = f"{RUNS}/{run_id}/stop", f"{RUNS}/{run_id}/start"
    assert client("POST", stop).status_code == 400
    assert client("POST", start).status_code == 200
    again = client("POST", start)
    assert again.status_code == 400
    assert "already started" in again.json()["errors"][0]
    assert client("POST", stop).status_code == 200
    assert client.status(run_id) == "STOPPED"
    assert client("POST", stop).status_code == 400


@pytest.mark.parametrize(
    ("seconds", "before", "after"), [(90, "PENDING", "STOPPED"), (math.inf, "FINISHED", "FINISHED")]
)
def test_a_stop_can_take_its_time_or_change_nothing(
    client: Client, sandbox: Any, seconds: float, before: str, after: str
) -> None:
    sandbox.leanix.stop_seconds = seconds
    run_id = client.create(OUTBOUND, start="true")
    assert client("POST", f"{RUNS}/{run_id}/stop").status_code == 200
    sandbox.clock.advance(80)
    assert client.status(run_id) == before
    sandbox.clock.advance(20)
    assert client.status(run_id) == after


def test_trailing_slash_is_tolerated_and_unknown_run_is_404(client: Client) -> None:
    assert client("POST", RUNS + "/", json=OUTBOUND).status_code == 200
    for end in ("status", "progress", "stats", "results", "resultsUrl"):
        assert client("GET", f"{RUNS}/nope/{end}").status_code == 404


def test_sequential_runs_of_one_configuration_wait_for_each_other(client: Client, sandbox: Any) -> None:
    for one in sandbox.leanix.configurations.values():
        one["sequentialExecution"] = True
    sandbox.leanix.queue_seconds, sandbox.leanix.run_seconds = 1, 9
    first, second = client.create(OUTBOUND, start="true"), client.create(OUTBOUND, start="true")
    assert client.status(second) == "SEQUENTIALIZED"
    sandbox.clock.advance(10.5)
    assert (client.status(first), client.status(second)) == ("FINISHED", "PENDING")
    sandbox.clock.advance(10)
    assert client.status(second) == "FINISHED"
    assert sandbox.leanix.peak_live == 2


def test_inbound_writes_the_landscape_and_skips_bad_items(client: Client, sandbox: Any) -> None:
    nameless = {"type": "ITComponent", "id": "nameless", "data": {"applicationId": "app-0001"}}
    run_id = client.run({**INBOUND, "content": [*tutorial_items(), nameless]})
    assert client.status(run_id) == "FINISHED"
    sheets = sandbox.leanix.fact_sheets
    assert sheets["b6992b1d-4e4d"].data["name"] == "Gatsby.j"
    assert sheets["28db27b1-fc55-4e44"].relations == ["b6992b1d-4e4d", "cd4fab6c-4336"]
    assert "nameless" not in sheets
    stats = client("GET", f"{RUNS}/{run_id}/stats").json()
    assert [row["errorCount"] for row in stats["processorStatistics"]] == [1, 0]
    assert [row["processedContentCount"] for row in stats["singleRunLevelStatistics"]] == [3, 3]
    rows = client("GET", f"{RUNS}/{run_id}/warnings").json()
    assert [(row["content"], row["status"]) for row in rows] == [("nameless", "ERROR")]
    assert client("GET", f"{RUNS}/{run_id}/results").status_code == 204


def test_dry_run_writes_nothing(client: Client, sandbox: Any) -> None:
    run_id = client.create({**INBOUND, "content": tutorial_items()}, start="true", test="true")
    sandbox.clock.advance(60)
    assert client.status(run_id) == "FINISHED"
    assert "b6992b1d-4e4d" not in sandbox.leanix.fact_sheets


def test_full_mode_archives_missing_fact_sheets_up_to_half(client: Client, sandbox: Any) -> None:
    components = [one for one in sandbox.leanix.fact_sheets.values() if one.type == "ITComponent"]
    items = [{"type": one.type, "id": one.id, "data": one.data} for one in components[:-2]]
    client.run({**INBOUND, "processingMode": "full", "content": items})
    client("GET", RUNS)
    assert [one.archived for one in components[-3:]] == [False, True, True]
    run_id = client.run({**INBOUND, "processingMode": "full", "content": items[:2]})
    assert client("GET", f"{RUNS}/{run_id}/warnings").json()[0]["status"] == "WARNING"
    assert sum(one.archived for one in components) == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"connectorId": ""}, 400),
        ({"lxVersion": None}, 400),
        ({"description": "x" * 501}, 400),
        ({"processingMode": "some"}, 400),
        ({"content": [{"type": "ITComponent"}]}, 400),
        ({"lxWorkspace": "another"}, 403),
        ({"connectorVersion": "9.9.9"}, 404),
        ({"contents": [{"is": "ignored"}]}, 200),
    ],
)
def test_input_is_checked_like_the_api_does(client: Client, change: dict[str, Any], status: int) -> None:
    assert client("POST", RUNS, json={**INBOUND, **change}).status_code == status


def test_create_can_answer_with_a_list(client: Client, sandbox: Any) -> None:
    sandbox.leanix.create_returns_list = True
    assert client("POST", RUNS, json=OUTBOUND).json()[0]["status"] == "CREATED"


def test_result_link_refuses_credentials_serves_ranges_and_expires(client: Client, sandbox: Any) -> None:
    run_id = client.run(OUTBOUND)
    url = client("GET", f"{RUNS}/{run_id}/resultsUrl").json()["url"]
    assert url.startswith(sandbox.around.storage_origin)
    assert client.session.get(url, timeout=5).status_code == 400
    whole = requests.get(url, timeout=5)
    assert whole.content == client("GET", f"{RUNS}/{run_id}/results").content
    assert len(whole.json()["content"]) == 65
    part = requests.get(url, headers={"Range": "bytes=10-19"}, timeout=5)
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert requests.get(url[:-1] + "x", timeout=5).status_code == 403
    sandbox.clock.advance(3601)
    assert requests.get(url, timeout=5).status_code == 403


def test_warnings_want_an_offset_that_is_a_multiple_of_the_limit(client: Client, sandbox: Any) -> None:
    items = [{"type": "ITComponent", "id": f"i{n}", "data": {}} for n in range(120)]
    run_id = client.run({**INBOUND, "content": items})
    path = f"{RUNS}/{run_id}/warnings"
    assert len(client("GET", path).json()) == 100
    assert len(client("GET", path, params={"offset": 100}).json()) == 20
    for bad in ({"offset": 50}, {"limit": 101}, {"limit": 0}, {"offset": -100}):
        assert client("GET", path, params=bad).status_code == 400
    sandbox.leanix.has_sync_log = False
    assert client("GET", path).status_code == 400


@pytest.mark.parametrize("blocks", [False, True])
def test_large_input_goes_through_the_storage(client: Client, sandbox: Any, blocks: bool) -> None:
    target = client("GET", "/storages/azure").json()["SAS"]
    data = json.dumps({**INBOUND, "content": tutorial_items()}).encode()
    if blocks:
        for name, piece in (("YQ==", data[:50]), ("Yg==", data[50:])):
            url = f"{target}&comp=block&blockid={name.replace('=', '%3D')}"
            assert requests.put(url, data=piece, timeout=5).status_code == 201
        listed = "<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>"
        assert requests.put(f"{target}&comp=blocklist", data=listed, timeout=5).status_code == 201
    else:
        assert requests.put(target, data=data, timeout=5).status_code == 400
        headers = {"x-ms-blob-type": "BlockBlob"}
        assert requests.put(target, data=data, headers=headers, timeout=5).status_code == 201
    body = {"url": target, "type": "azureStorage"}
    reply = client("POST", f"{RUNS}/withUrlInput", json=body, params={"start": "true"}).json()
    assert reply["processorConfiguration"]["connectorId"] == "campus"
    sandbox.clock.advance(60)
    assert client.status(reply["id"]) == "FINISHED"
    assert "cd4fab6c-4336" in sandbox.leanix.fact_sheets


def test_input_that_cannot_be_fetched_fails_the_run(client: Client, sandbox: Any) -> None:
    body = {"url": sandbox.around.storage_origin + "/leanix/blobs/none?sig=x"}
    run_id = client("POST", f"{RUNS}/withUrlInput", json=body, params={"start": "true"}).json()["id"]
    sandbox.clock.advance(60)
    assert client.status(run_id) == "FAILED"


def test_switches_make_runs_end_badly_stick_or_show_odd_statuses(client: Client, sandbox: Any) -> None:
    service = sandbox.leanix
    service.ending = "FAILED"
    assert client.status(client.run(OUTBOUND)) == "FAILED"
    service.ending, service.stuck_in = "FINISHED", "PENDING"
    assert client.status(client.run(OUTBOUND)) == "PENDING"
    service.stuck_in, service.shown_status = "IN_PROGRESS", "REINDEXING"
    assert client.status(client.run(OUTBOUND)) == "REINDEXING"
    assert len(service.live_runs) == 2
    service.allowed = False
    assert client("GET", RUNS).status_code == 403


def test_finished_run_may_have_processed_nothing(client: Client, sandbox: Any) -> None:
    sandbox.leanix.processes_nothing = True
    run_id = client.run({**INBOUND, "content": tutorial_items()})
    assert client.status(run_id) == "FINISHED"
    assert client("GET", f"{RUNS}/{run_id}/stats").json()["processorStatistics"] == []


def test_fast_run_answers_when_done(client: Client, sandbox: Any) -> None:
    body = client("POST", "/fastSynchronizationRuns", json={**INBOUND, "content": tutorial_items()}).json()
    assert (body["status"], body["stats"]["processedContentCount"]) == ("FINISHED", 2)
    assert "b6992b1d-4e4d" in sandbox.leanix.fact_sheets
    assert client("POST", "/fastSynchronizationRuns", json=OUTBOUND).status_code == 400


def test_configurations_are_put_filtered_and_deleted(client: Client) -> None:
    found = client("GET", "/configurations", params={"processingDirection": "outbound"}).json()
    assert [one["connectorId"] for one in found] == ["landscape"]
    changed = {**found[0], "connectorVersion": "1.1.0"}
    assert client("PUT", "/configurations", json=changed).status_code == 204
    assert client("PUT", "/configurations", json=changed).status_code == 204
    assert len(client("GET", "/configurations").json()) == 4
    key = {name: changed[name] for name in (*OUTBOUND,) if name in changed}
    assert client("DELETE", "/configurations", params={"connectorId": "landscape"}).status_code == 400
    assert client("DELETE", "/configurations", params=key).status_code == 204
    assert client("DELETE", "/configurations", params=key).status_code == 404


def test_group_runs_need_one_direction(client: Client, sandbox: Any) -> None:
    path = f"{RUNS}/withExecutionGroup"
    assert client("POST", path, json=OUTBOUND, params={"groupName": "night"}).status_code == 404
    for one in sandbox.leanix.configurations.values():
        one["executionGroups"] = ["night"]
    assert client("POST", path, json=OUTBOUND, params={"groupName": "night"}).status_code == 400


def test_groups_are_kept_beside_the_configurations(client: Client, sandbox: Any) -> None:
    path = f"{RUNS}/withExecutionGroup"
    groups, keys = sandbox.leanix.execution_groups, [*sandbox.leanix.configurations]
    groups["night"], groups["cmdb"], groups["gone"] = keys, keys[:1], [("gone",)]
    assert client("POST", path, json=OUTBOUND, params={"groupName": "night"}).status_code == 400
    assert client("POST", path, json=OUTBOUND, params={"groupName": "gone"}).status_code == 404


def test_a_group_takes_an_input_of_its_direction_and_mode(client: Client, sandbox: Any) -> None:
    path = f"{RUNS}/withExecutionGroup"
    sandbox.leanix.execution_groups["landscape"] = [configuration_key(OUTBOUND)]
    other = {**OUTBOUND, "processingDirection": "inbound", "content": []}
    assert client("POST", path, json=other, params={"groupName": "landscape"}).status_code == 400
    sandbox.leanix.strict = False
    assert client("POST", path, json=other, params={"groupName": "landscape"}).status_code == 200


@pytest.mark.parametrize("kept", [True, False])
def test_runs_of_groups_keep_their_description_or_not(client: Client, sandbox: Any, kept: bool) -> None:
    sandbox.leanix.group_descriptions = kept
    other = {**sandbox.leanix.configurations[configuration_key(OUTBOUND)], "connectorId": "other"}
    sandbox.leanix.configurations[configuration_key(other)] = other
    sandbox.leanix.execution_groups["landscape"] = [configuration_key(OUTBOUND), configuration_key(other)]
    body = {**OUTBOUND, "description": "nightly"}
    reply = client("POST", f"{RUNS}/withExecutionGroup", json=body, params={"groupName": "landscape"}).json()
    (row,) = client("GET", RUNS).json()
    assert row.get("description") == ("nightly" if kept else None)
    assert (row["id"], len(reply["processorConfiguration"]["processors"])) == (reply["id"], 2)


def test_a_link_that_is_no_text_is_refused(client: Client) -> None:
    assert client("POST", f"{RUNS}/withUrlInput", json={"url": [None]}).status_code == 400


def test_the_page_of_the_sync_log_that_a_token_leads_to_lists_the_runs(client: Client, sandbox: Any) -> None:
    run_id = client.create(OUTBOUND)
    client("POST", f"{RUNS}/{run_id}/start")
    sandbox.clock.advance(3600)
    claims = client.token(auth=("apitoken", sandbox.leanix.api_token)).json()["access_token"].split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    name = found["principal"]["permission"]["workspaceName"]
    reply = requests.get(f"{found['instanceUrl']}/{name}/admin/synclog", timeout=5)
    assert reply.status_code == 200
    assert "<td>report/landscape<td>FINISHED<td>OK" in reply.text
