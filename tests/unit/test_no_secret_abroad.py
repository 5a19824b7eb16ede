"""Credentials on the way to other hosts, and in the task arguments that Airflow shows.

Redirects to another host are in the fault matrix, links of lists in AmigoCloud's tests.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.sdk._shared.secrets_masker import redact

from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.operators import LeanIXFetchResultsOperator, LeanIXStartRunOperator
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix.faults import HOOKS
from tests.support import every_task
from tests.support.canary_secrets import leaks, plant
from tests.support.recording_host import RecordingHost
from tests.support.task_runner import TaskRunner

CONTENT = [{"type": "Application", "id": f"app-{n}", "data": {"name": "x" * 40}} for n in range(20)]


@pytest.fixture
def planted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox, with credentials in all connections that every encoding changes."""
    plant(sandbox, monkeypatch)
    return sandbox


@pytest.fixture
def foreign() -> Iterator[RecordingHost]:
    """Yield a host that is not the service's."""
    listener = RecordingHost()
    yield listener
    listener.close()


def links_lead_to(sandbox: Sandbox, foreign: RecordingHost, path: str, name: str) -> None:
    """Make the service send links to the foreign host."""
    link = f"http://{foreign.address}/storage/file?sig=s%2Bg"
    sandbox.faults.add("status", status=200, path=path, times=None, body={name: link})


def received(foreign: RecordingHost) -> str:
    """Return the request that the foreign host received."""
    seen = foreign.seen.decode("latin-1")
    assert "/storage/file?sig=" in seen
    assert "authorization" not in seen.lower()
    return seen


def test_results_are_fetched_from_another_host_without_a_credential(
    planted: Sandbox, foreign: RecordingHost, tmp_path: Path
) -> None:
    run_id = every_task.start_run(planted, 0.0)
    links_lead_to(planted, foreign, "/resultsUrl$", "url")
    output = tmp_path / "results.json"
    LeanIXFetchResultsOperator(task_id="t", run_id=run_id, output_path=str(output)).execute({})
    assert output.read_text() == "{}", "what the foreign host answers"
    assert leaks({"seen": received(foreign)}, planted) == []


def test_content_is_uploaded_to_another_host_without_a_credential(
    planted: Sandbox, foreign: RecordingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeanIXHook, "upload_above", 100)
    links_lead_to(planted, foreign, "/storages/azure$", "SAS")
    start = LeanIXStartRunOperator(
        task_id="t",
        connector_type="cmdb",
        connector_id="campus",
        connector_version="1.0.0",
        processing_direction="inbound",
        content=CONTENT,
    )
    TaskRunner().run(start)
    assert "PUT" in received(foreign)
    assert leaks({"seen": received(foreign)}, planted) == []


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "JSON": lambda secret: json.dumps(secret)[1:-1],
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("vendor", HOOKS)
def test_a_credential_typed_into_an_argument_is_masked_once_the_connection_was_read(
    vendor: str, encoding: str, planted: Sandbox
) -> None:
    """Airflow masks rendered fields with the texts its masker knows; the hook adds all encodings to it."""
    hook = HOOKS[vendor]()
    secret = hook.settings.password
    typed = ENCODINGS[encoding](secret)
    fields = {"sql": f"SELECT '{typed}'", "writes": [{"properties": {"note": f"a {typed} b"}}]}
    assert ENCODINGS["percent-encoded"](secret) != secret, (
        "no character of it is encoded: the test proves little"
    )
    assert typed not in str(redact(fields))
    assert "SELECT" in str(redact(fields))
