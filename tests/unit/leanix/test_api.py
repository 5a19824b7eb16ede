"""Replies of the run list, decoded whatever fields a row lacks."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest

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
