"""Vendor's tutorial on starting runs: its steps, as plain requests, work against the sandbox.

The tutorial waits five seconds between the polls of a run; the tests move the sandbox's clock instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.sandbox.server import Sandbox

OUTBOUND = {"connectorType": "report", "connectorId": "landscape", "processingDirection": "outbound"}
INBOUND = {"connectorType": "cmdb", "connectorId": "campus", "processingDirection": "inbound"}
ITEMS = [
    {
        "type": "ITComponent",
        "id": "b6992b1d-4e4d",
        "data": {"name": "Gatsby.j", "category": "sample_software", "provider": "gcp"},
    },
    {
        "type": "ITComponent",
        "id": "cd4fab6c-4336",
        "data": {"name": "Contentful", "category": "cloud_service", "provider": "gcp"},
    },
]


class Tutorial:
    """Steps of the tutorial's script."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.api = f"{sandbox.leanix.base_url}/services/integration-api/v1/"
        self.headers = {"Authorization": f"Bearer {self.log_in()}", "Content-Type": "application/json"}

    def log_in(self) -> str:
        url = f"{self.sandbox.leanix.base_url}/services/mtm/v1/oauth2/token"
        login = ("apitoken", self.sandbox.leanix.api_token)
        reply = requests.post(url, auth=login, data={"grant_type": "client_credentials"}, timeout=10)
        reply.raise_for_status()
        return str(reply.json()["access_token"])

    def post(self, path: str, data: Any = False) -> requests.Response:
        """Send a POST; without a body, the tutorial sends ``False``."""
        reply = requests.post(self.api + path, headers=self.headers, data=data, timeout=10)
        reply.raise_for_status()
        return reply

    def get(self, path: str) -> Any:
        reply = requests.get(self.api + path, headers=self.headers, timeout=10)
        reply.raise_for_status()
        return json.loads(reply.text)

    def handle_run(self, connector: dict[str, str], **content: Any) -> str:
        """Create and start a run, poll it until it is finished, and return its id."""
        header = {
            **connector,
            "connectorVersion": "1.0.0",
            "lxVersion": "1.0.0",
            "processingMode": "partial",
            "description": "From the tutorial",
        }
        run_id = str(
            json.loads(self.post("synchronizationRuns", json.dumps({**header, **content})).text)["id"]
        )
        assert self.post(f"synchronizationRuns/{run_id}/start").status_code == 200
        seen = []
        while (status := self.get(f"synchronizationRuns/{run_id}/status")["status"]) != "FINISHED":
            assert len(seen) < 20, seen
            seen.append(status)
            self.sandbox.clock.advance(1)
        assert set(seen) <= {"PENDING", "IN_PROGRESS"}
        return run_id


@pytest.fixture
def tutorial(sandbox: Sandbox) -> Tutorial:
    return Tutorial(sandbox)


def test_an_outbound_run_gives_the_landscape(tutorial: Tutorial, sandbox: Sandbox, tmp_path: Path) -> None:
    run_id = tutorial.handle_run(OUTBOUND, content=[])
    found = tutorial.get(f"synchronizationRuns/{run_id}/results")
    assert (found["connectorId"], found["lxVersion"]) == ("landscape", "1.0.0")
    exported = {item["id"] for item in found["content"]}
    applications = {sheet.id for sheet in sandbox.leanix.fact_sheets.values() if sheet.type == "Application"}
    assert applications <= exported
    with LeanIXHook() as hook:  # reads the same status and the same results
        assert hook.get_run_status(run_id) == "FINISHED"
        hook.download_results(run_id, str(tmp_path / "landscape.json"))
    assert json.loads((tmp_path / "landscape.json").read_text()) == found


def test_an_inbound_run_brings_the_items_in(tutorial: Tutorial, sandbox: Sandbox) -> None:
    run_id = tutorial.handle_run(INBOUND, content=ITEMS)
    for item in ITEMS:
        assert sandbox.leanix.fact_sheets[item["id"]].data["name"] == item["data"]["name"]
    with LeanIXHook() as hook:
        rows = hook.get_run_stats(run_id)["processorStatistics"]
        assert sum(row["processedContentCount"] for row in rows) >= len(ITEMS)
        assert sum(row["errorCount"] for row in rows) == 0
        (run,) = hook.list_runs()
        assert run["description"] == "From the tutorial"


def test_items_below_the_key_that_the_tutorial_names_once_are_ignored(
    tutorial: Tutorial, sandbox: Sandbox
) -> None:
    before = set(sandbox.leanix.fact_sheets)
    tutorial.handle_run(INBOUND, contents=ITEMS)
    assert set(sandbox.leanix.fact_sheets) == before


def test_a_wrong_token_ends_the_script_at_its_first_step(sandbox: Sandbox) -> None:
    url = f"{sandbox.leanix.base_url}/services/mtm/v1/oauth2/token"
    reply = requests.post(
        url, auth=("apitoken", "old"), data={"grant_type": "client_credentials"}, timeout=10
    )
    with pytest.raises(requests.HTTPError, match="401"):
        reply.raise_for_status()
