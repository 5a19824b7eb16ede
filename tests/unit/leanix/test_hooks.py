"""The LeanIX hook: its methods and its connection test."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider.errors import (
    AmbiguousWriteError,
    AuthenticationError,
    IncompleteExportError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
)
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID, tutorial_items

OUTBOUND = {
    "connectorType": "report",
    "connectorId": "landscape",
    "connectorVersion": "1.0.0",
    "lxVersion": "1.0.0",
    "processingDirection": "outbound",
    "processingMode": "partial",
}
INBOUND = {
    **OUTBOUND,
    "connectorType": "cmdb",
    "connectorId": "campus",
    "processingDirection": "inbound",
    "content": tutorial_items(),
}


def connection(monkeypatch: pytest.MonkeyPatch, leanix: Any, **changes: Any) -> None:
    spec = {**leanix.connection(), **changes}
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", json.dumps(spec))


@pytest.mark.parametrize("as_list", [False, True])
def test_run_goes_from_create_to_results(leanix: Any, tmp_path: Any, as_list: bool) -> None:
    leanix.create_returns_list = as_list
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)
        assert hook.get_run_status(run_id) == "CREATED"
        assert hook.start_run(run_id) is True
        assert hook.start_run(run_id) is False
        assert hook.get_run_status(run_id) == "FINISHED"
        assert [row["id"] for row in hook.list_runs()] == [run_id]
        assert hook.get_run_progress(run_id)["status"] == "FINISHED"
        assert hook.get_run_stats(run_id)["processorStatistics"][0]["processedContentCount"] == 65
        assert hook.stop_run(run_id) is False
        manifest = hook.download_results(run_id, str(tmp_path / "out" / "landscape.json"))
    data = (tmp_path / "out" / "landscape.json").read_bytes()
    assert data == leanix.runs[0].result
    assert manifest is not None
    assert manifest["bytes"] == len(data)
    import hashlib

    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert "sig=" not in json.dumps(manifest)


def test_run_without_results_gives_none_and_leaves_no_file(leanix: Any, tmp_path: Any) -> None:
    with LeanIXHook() as hook:
        run_id = hook.create_run(INBOUND)
        hook.start_run(run_id)
        assert hook.download_results(run_id, str(tmp_path / "none.json")) is None
    assert list(tmp_path.iterdir()) == []


def test_results_come_through_the_api_when_there_is_no_link(leanix: Any, tmp_path: Any) -> None:
    leanix.has_results_url = False
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)
        hook.start_run(run_id)
        assert hook.download_results(run_id, str(tmp_path / "out.json")) is not None
    assert (tmp_path / "out.json").read_bytes() == leanix.runs[0].result


def test_link_to_another_host_is_read_without_credentials_from_allowed_hosts_only(
    leanix: Any, sandbox: Any, tmp_path: Any
) -> None:
    target = str(tmp_path / "out.json")
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)
        hook.start_run(run_id)
        for url, said in (
            ("https://storage.example/x?sig=secret", "storage.example.* which connection .* does not allow"),
            ("http://storage.example/x?sig=secret", "is not https"),
            ("ftp://127.0.0.1/x", "ftp"),
        ):
            sandbox.faults.add("status", status=200, body={"url": url}, path="/resultsUrl$")
            with pytest.raises(InputError, match=said) as caught:
                hook.download_results(run_id, target)
            assert "secret" not in str(caught.value)
        # The storage of the sandbox refuses whatever comes with credentials.
        assert hook.download_results(run_id, target) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_broken_download_is_retried_and_leaves_no_partial_file(
    leanix: Any, sandbox: Any, tmp_path: Any
) -> None:
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)
        hook.start_run(run_id)
        fault = sandbox.faults.add("truncate", service="storage", times=2)
        assert hook.download_results(run_id, str(tmp_path / "out.json")) is not None
        assert fault.hits == 2
        sandbox.faults.add("truncate", service="storage", times=None)
        with pytest.raises(Exception, match="broke off"):
            hook.download_results(run_id, str(tmp_path / "other.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_storage_that_fails_is_retried_and_a_refusal_is_reported(
    leanix: Any, sandbox: Any, tmp_path: Any
) -> None:
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)
        hook.start_run(run_id)
        fault = sandbox.faults.add("html", service="storage", status=500, times=2)
        assert hook.download_results(run_id, str(tmp_path / "out.json")) is not None
        assert fault.hits == 2
        sandbox.faults.add("status", service="storage", status=403, body="sig=secret", times=None)
        with pytest.raises(PermissionDeniedError, match="download") as caught:
            hook.download_results(run_id, str(tmp_path / "other.json"))
    assert "secret" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_result_that_ends_in_the_middle_is_not_published(leanix: Any, tmp_path: Any) -> None:
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)
        hook.start_run(run_id)
        hook.get_run_status(run_id)
        leanix.runs[0].result = leanix.runs[0].result[:-100]
        with pytest.raises(IncompleteExportError, match=run_id):
            hook.download_results(run_id, str(tmp_path / "out.json"))
    assert list(tmp_path.iterdir()) == []


def test_warnings_come_page_by_page(leanix: Any, sandbox: Any) -> None:
    items = [{"type": "ITComponent", "id": f"i{n}", "data": {}} for n in range(230)]
    with LeanIXHook() as hook:
        run_id = hook.create_run({**INBOUND, "content": items})
        hook.start_run(run_id)
        rows = list(hook.iter_run_warnings(run_id))
        assert [row["content"] for row in rows] == [f"i{n}" for n in range(230)]
        assert sandbox.counters.total("/warnings") == 3
        leanix.has_sync_log = False
        assert list(hook.iter_run_warnings(run_id)) == []


def test_configurations_are_listed_and_put(leanix: Any) -> None:
    with LeanIXHook() as hook:
        (found,) = hook.list_configurations(processing_direction="outbound", connector_id="landscape")
        hook.put_configuration({**found, "connectorVersion": "2.0.0"})
        assert len(hook.list_configurations()) == 4
        with pytest.raises(InputError, match="connectorId"):
            hook.put_configuration({**found, "connectorId": ""})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contents": []}, "'content' is meant"),
        ({"connectorId": None}, "'connectorId' is missing"),
        ({"lxVersion": ""}, "'lxVersion' is missing"),
        ({"processingMode": "everything"}, "processingMode"),
        ({"description": "x" * 501}, "501 characters"),
        ({"content": [{"type": "A", "id": "1"}]}, r"item 1 \(1\): 'data'"),
        ({"content": [{"id": "1", "data": {}}]}, "'type'"),
        ({"content": tutorial_items() + tutorial_items()[:1]}, r"item 3 \(b6992b1d-4e4d\): the same"),
        ({"content": {"type": "A"}}, "must be a list"),
    ],
)
def test_bad_ldif_is_refused_before_any_request(
    leanix: Any, sandbox: Any, change: dict[str, Any], said: str
) -> None:
    with LeanIXHook() as hook, pytest.raises(InputError, match=said):
        hook.create_run({**INBOUND, **change})
    assert sandbox.counters.total() == 0


def test_lost_answer_to_a_create_is_ambiguous(leanix: Any, sandbox: Any) -> None:
    sandbox.faults.add("reset_after", path=r"/synchronizationRuns$", method="POST")
    with LeanIXHook() as hook, pytest.raises(AmbiguousWriteError):
        hook.create_run(OUTBOUND)
    assert len(leanix.runs) == 1


def test_429_and_503_are_waited_out(leanix: Any, sandbox: Any) -> None:
    limited = sandbox.faults.add("status", status=429, headers={"Retry-After": "0"}, times=2)
    down = sandbox.faults.add("html", status=503, method="POST", times=2)
    with LeanIXHook() as hook:
        assert hook.get_run_status(hook.create_run(OUTBOUND)) == "CREATED"
    assert (limited.hits, down.hits) == (2, 2)
    assert len(leanix.runs) == 1


def test_401_gets_one_new_token_and_403_ends_at_once(leanix: Any, sandbox: Any) -> None:
    with LeanIXHook() as hook:
        hook.list_runs()
        leanix.expire_tokens()
        hook.list_runs()
        assert sandbox.counters.tokens_issued["leanix"] == 2
        sandbox.faults.add("status", status=401, path="Runs$", times=None)
        with pytest.raises(AuthenticationError):
            hook.list_runs()
        sandbox.faults.clear()
        leanix.allowed = False
        before = sandbox.counters.total("GET")
        with pytest.raises(PermissionDeniedError):
            hook.list_runs()
        assert sandbox.counters.total("GET") == before + 1


@pytest.mark.parametrize("in_loop", [False, True], ids=["sync", "async"])
def test_403_renews_a_token_that_is_older_than_a_minute_once(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, in_loop: bool
) -> None:
    from airflow_provider.core.http import auth

    clock = [1000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: clock[0])
    leanix.refused_token_status = 403
    with LeanIXHook() as hook:
        run_id = hook.create_run(OUTBOUND)

        def status() -> str:
            return asyncio.run(hook.aget_run_status(run_id)) if in_loop else hook.get_run_status(run_id)

        clock[0] += 61
        leanix.expire_tokens()
        assert status() == "CREATED"
        assert hook.start_run(run_id)
        assert sandbox.counters.tokens_issued["leanix"] == 2
        leanix.expire_tokens()
        with pytest.raises(PermissionDeniedError):
            status()
        assert sandbox.counters.tokens_issued["leanix"] == 2


def test_run_for_another_workspace_is_refused_before_it_is_created(leanix: Any, sandbox: Any) -> None:
    with LeanIXHook() as hook, pytest.raises(InputError, match="lxWorkspace"):
        hook.create_run({**INBOUND, "lxWorkspace": "another"})
    assert leanix.runs == []


def test_values_of_any_library_are_understood_in_an_ldif(leanix: Any) -> None:
    from datetime import date
    from decimal import Decimal

    import numpy as np

    data = {"n": np.int64(1), "d": Decimal("1.5"), "at": date(2026, 1, 31), "gone": float("nan"), "x": None}
    item = {"type": "ITComponent", "id": "1", "data": data}
    with LeanIXHook() as hook:
        hook.create_run({**INBOUND, "content": [item]})
        for wrong in (float("inf"), b"x", object()):
            with pytest.raises(InputError, match=r"item 1 \(1\): field 'n' .* \(type ITComponent\)"):
                hook.create_run({**INBOUND, "content": [{**item, "data": {"n": wrong}}]})
        with pytest.raises(InputError, match="the same type and id"):
            hook.create_run({**INBOUND, "content": [item, item]})
        hook.create_run({**INBOUND, "content": [item, item]}, allow_duplicates=True)
        with pytest.raises(InputError, match="'name', which the service ignores"):
            hook.create_run({**INBOUND, "content": [{**item, "name": "flat"}]})
        with pytest.raises(InputError, match="'data' is missing"):
            hook.create_run({**INBOUND, "content": [{"type": "A", "id": "1", "name": "flat"}]})
    assert leanix.runs[0].content[0]["data"] == {"n": 1, "d": 1.5, "at": "2026-01-31", "x": None}
    assert len(leanix.runs) == 2


@pytest.mark.parametrize("change", [{"comment": "x"}, {"customFields": [1]}, {"chunkInformation": 1}])
def test_header_fields_that_the_service_ignores_are_refused(
    leanix: Any, sandbox: Any, change: dict[str, Any]
) -> None:
    with LeanIXHook() as hook, pytest.raises(InputError, match=next(iter(change))):
        hook.create_run({**INBOUND, **change})
    assert sandbox.counters.total() == 0


def test_unknown_run_is_not_found(leanix: Any) -> None:
    with LeanIXHook() as hook, pytest.raises(NotFoundError, match="no such"):
        hook.get_run_status("no such")


# Connection test


def test_connection_that_works_names_the_workspace(leanix: Any) -> None:
    assert LeanIXHook().test_connection() == (
        True,
        f"Connected to workspace {WORKSPACE_ID}; 3 processor configurations.",
    )


def test_connection_distinguishes_bad_host_token_permission_and_workspace(
    leanix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def ask(**changes: Any) -> None:
        connection(monkeypatch, leanix, **changes)
        works, text = LeanIXHook().test_connection()
        assert not works
        assert "\n" not in text
        said.append(text)

    ask(host="http://127.0.0.1:9")
    ask(host=leanix.around.origin + "/nothing")
    ask(password="wrong+token/%2F")
    ask(extra={"workspace_id": "another"})
    leanix.allowed = False
    ask()
    assert "cannot be reached" in said[0]
    assert "does not know" in said[1]
    assert "does not accept the credentials" in said[2]
    assert "wrong" not in said[2]
    assert said[3] == f"The API token belongs to workspace {WORKSPACE_ID}, not to another."
    assert "permission" in said[4]


def test_the_workspace_of_a_connection_may_be_in_capitals(
    leanix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, leanix, extra={"workspace_id": WORKSPACE_ID.upper()})
    assert LeanIXHook().test_connection()[0]


def test_token_may_come_from_another_host(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, leanix, extra={"auth_url": "http://127.0.0.1:9"})
    assert "cannot be reached" in LeanIXHook().test_connection()[1]
    connection(monkeypatch, leanix, extra={"auth_url": leanix.base_url + "/"})
    assert LeanIXHook().test_connection()[0]


def test_unknown_extra_missing_token_and_plain_http_are_named(
    leanix: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, leanix, host="http://example.com", password="", extra={"workspce": "x"})
    with pytest.raises(InputError) as caught:
        LeanIXHook().list_runs()
    for named in ("'workspce'", "password is missing", "plain http to example.com"):
        assert named in str(caught.value)
    assert sandbox.counters.total() == 0
