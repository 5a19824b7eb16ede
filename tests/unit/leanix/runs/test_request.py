"""Facts about a run's input that a deferred task resumes with."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.leanix.ldif.document import make_header, prepare
from airflow_provider.leanix.runs.request import RunRequest
from airflow_provider.sandbox.leanix.seed import tutorial_items

from ..conftest import INBOUND, OUTBOUND


def test_the_facts_survive_a_deferral() -> None:
    request = RunRequest("abc", 7, "cmdb/campus/1.0.0", is_full=True, is_export=False)
    stored = json.loads(json.dumps(request.to_kwargs()))
    assert RunRequest.from_kwargs(**stored) == request


@pytest.mark.parametrize(
    ("direction", "mode", "is_full", "is_export"),
    [
        ("inbound", "partial", False, False),
        ("INBOUND", "FULL", True, False),
        ("outbound", None, False, True),
        ("Outbound", "full", True, True),
    ],
)
def test_a_task_deferred_by_release_0_1_0_resumes_with_its_arguments(
    direction: str, mode: str | None, is_full: bool, is_export: bool
) -> None:
    task = SimpleNamespace(
        connector_type="cmdb",
        connector_id="campus",
        connector_version="1.0.0",
        processing_direction=direction,
        processing_mode=mode,
    )
    request = RunRequest.of_task("abc", 7, task)
    assert request == RunRequest("abc", 7, "cmdb/campus/1.0.0", is_full, is_export)


@pytest.mark.parametrize(
    ("arguments", "items", "expected"),
    [
        (INBOUND, 2, ("f", 2, "cmdb/campus/1.0.0", False, False)),
        ({**INBOUND, "processing_mode": "full"}, 1, ("f", 1, "cmdb/campus/1.0.0", True, False)),
        (OUTBOUND, 0, ("f", 0, "report/landscape/1.0.0", False, True)),
    ],
)
def test_the_facts_are_those_of_the_validated_input(
    arguments: dict[str, Any], items: int, expected: tuple[Any, ...]
) -> None:
    ldif = prepare(make_header(**arguments), tutorial_items()[:items] or None)
    assert RunRequest.of(ldif, "f") == expected
