"""Replies of the run list, decoded whatever fields a row lacks."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from airflow_provider.core.http.reply import Reply
from airflow_provider.core.redaction import redact_token
from airflow_provider.leanix import api
from airflow_provider.leanix.api import list_ended_runs, list_statuses, read_claims
from airflow_provider.leanix.hooks import LeanIXHook


def test_list_of_statuses_is_read_whatever_a_row_lacks(leanix: Any, sandbox: Any) -> None:
    rows = [{"id": "a", "status": "PENDING", "more": 1}, {"id": "b", "status": None}, {"description": "x"}]
    sandbox.faults.add("status", status=200, body=rows, path="/synchronizationRuns$", method="GET")
    assert LeanIXHook().send(list_statuses()) == {"a": "PENDING", "b": "", "": ""}


def test_list_of_ended_runs_is_read_whatever_a_row_lacks(leanix: Any, sandbox: Any) -> None:
    rows = [
        {"id": "a", "status": "FINISHED", "description": None, "more": {}},
        {"id": "b", "status": "STOPPED"},
        {"id": "c", "status": "PENDING", "description": "x"},
        {"id": "d", "description": "x"},
    ]
    sandbox.faults.add("status", status=200, body=rows, path="/synchronizationRuns$", method="GET")
    found = LeanIXHook().send(list_ended_runs())
    assert [(run.id, run.status, run.description) for run in found] == [
        ("a", "FINISHED", None),
        ("b", "STOPPED", None),
    ]


@pytest.mark.parametrize("payload", ["[]", "{", "[" * 2500 + "]" * 2500])
def test_a_token_with_other_claims_has_none(payload: str) -> None:
    assert read_claims(f"head.{urlsafe_b64encode(payload.encode()).decode()}.signature") == {}


@pytest.mark.parametrize(
    "body", [{}, {"message": "ok"}, {"data": []}, {"id": "a", "status": "PENDING"}, "x", None]
)
def test_an_object_is_no_list_of_runs(body: Any) -> None:
    """Without the run of this task among them, a second one would be started."""
    found = Reply(200, {}, json.dumps(body).encode())
    for call in (api.list_runs(), api.get_warnings("r", 0), api.list_configurations({})):
        with pytest.raises(ValueError, match="no list"):
            call.read(found)


def test_a_single_configuration_is_a_list_of_one() -> None:
    one = {"connectorType": "report", "connectorId": "a"}
    assert api.list_configurations({}).read(Reply(200, {}, json.dumps(one).encode())) == [one]


def claims(instance: Any, name: Any = "acme") -> dict[str, Any]:
    return {"instanceUrl": instance, "principal": {"permission": {"workspaceName": name}}}


@pytest.mark.parametrize(
    ("instance", "url"),
    [
        ("https://eu-5.leanix.net", "https://eu-5.leanix.net/acme/admin/synclog"),
        ("https://acme.leanix.net/", "https://acme.leanix.net/acme/admin/synclog"),
        ("https://proxy.acme.example/leanix", "https://proxy.acme.example/leanix/acme/admin/synclog"),
    ],
)
def test_the_sync_log_is_on_a_host_of_the_connection_or_of_leanix(instance: str, url: str) -> None:
    assert api.sync_log_page(claims(instance), {"proxy.acme.example"}) == url


@pytest.mark.parametrize(
    "instance",
    [
        "https://evil.example",
        "https://leanix.net.evil.example",
        "https://evilleanix.net",
        "https://eu.leanix.net@evil.example",
        "https://evil.example\\@eu.leanix.net",
        "http://eu.leanix.net",
        "javascript:alert(1)//.leanix.net",
        "https://eu.leanix.net/?next=https://evil.example",
        "https://eu.leanix.net/#",
        "https://eu.leanix.net/\n2026 INFO",
        "https://eu.leanix.net/" + "x" * 2000,
        "",
        None,
        ["https://eu.leanix.net"],
    ],
)
def test_no_other_link_of_a_token_becomes_a_link_of_a_task(instance: Any) -> None:
    assert api.sync_log_page(claims(instance), {"eu.leanix.net"}) == ""


@pytest.mark.parametrize(("name", "part"), [("a b/../c?d", "a%20b%2F..%2Fc%3Fd"), ("..", ""), ("", "")])
def test_the_name_of_a_workspace_is_one_part_of_the_link(name: Any, part: str) -> None:
    found = api.sync_log_page(claims("https://eu.leanix.net", name), set())
    assert found == (f"https://eu.leanix.net/{part}/admin/synclog" if part else "")


def test_a_link_that_holds_a_credential_is_none() -> None:
    redact_token("s3cr3t-of-links")
    assert api.sync_log_page(claims("https://eu.leanix.net", "s3cr3t-of-links"), set()) == ""
