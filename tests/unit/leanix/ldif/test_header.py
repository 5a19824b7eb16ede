"""Header of an LDIF file: completed by the task's arguments, never contradicted by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.errors import InputError
from airflow_provider.leanix.api import HEADER_ARGUMENTS
from airflow_provider.leanix.ldif.header import DEFAULTS, make_header, merge_headers, read_custom_fields
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.sandbox.leanix.seed import WORKSPACE_ID, tutorial_items
from tests.support.task_runner import TaskRunner

from ..conftest import INBOUND, OUTBOUND

KEY = {
    "connectorType": "cmdb",
    "connectorId": "campus",
    "connectorVersion": "1.0.0",
    "processingDirection": "inbound",
}
FILE = {
    **KEY,
    "processingMode": "partial",
    "lxVersion": "1.1.0",
    "lxWorkspace": WORKSPACE_ID,
    "description": "From the file",
    "customFields": {"site": "north", "depth": 2},
    "chunkInformation": {"firstDataObject": 0, "lastDataObject": 1, "maxDataObject": 1},
}
TEXTS = st.sampled_from(["a", "A", "b", ""])


def ldif_file(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "input.ldif"
    header = {name: value for name, value in {**FILE, **changes}.items() if value is not ...}
    path.write_text(json.dumps({**header, "content": tutorial_items()}))
    return str(path)


def run(content: Any, **arguments: Any) -> dict[str, Any]:
    operator = LeanIXRunOperator(task_id="run", poll_interval=0.02, timeout=20, content=content, **arguments)
    result: dict[str, Any] = TaskRunner().run(operator)
    return result


def test_a_files_whole_header_is_taken_over(leanix: Any, tmp_path: Path) -> None:
    assert run(ldif_file(tmp_path))["processed"] == 2
    header = leanix.runs[0].header
    assert header.pop("description").startswith("From the file airflow:")
    assert header == {name: value for name, value in FILE.items() if name != "description"}


def test_description_custom_fields_and_version_of_the_task_win(leanix: Any, tmp_path: Path) -> None:
    arguments = {"description": "Of the task", "custom_fields": {"site": "south"}, "lx_version": "2.0.0"}
    run(ldif_file(tmp_path), **INBOUND, **arguments, lx_workspace=WORKSPACE_ID.upper())
    header = leanix.runs[0].header
    assert header["description"].startswith("Of the task airflow:")
    assert (header["customFields"], header["lxVersion"]) == ({"site": "south"}, "2.0.0")
    assert header["chunkInformation"] == FILE["chunkInformation"]


@pytest.mark.parametrize(
    ("argument", "value", "field"),
    [
        ("connector_type", "CMDB", "connectorType"),
        ("connector_id", "other", "connectorId"),
        ("connector_version", "1.0.1", "connectorVersion"),
        ("processing_direction", "outbound", "processingDirection"),
        ("processing_mode", "full", "processingMode"),
        ("lx_workspace", "0d5b6cf0-0000-4000-8000-000000000000", "lxWorkspace"),
    ],
)
def test_a_key_field_or_workspace_that_contradicts_is_refused(
    leanix: Any, sandbox: Any, tmp_path: Path, argument: str, value: str, field: str
) -> None:
    with pytest.raises(InputError, match=f"'{field}' is .*, but the task's argument is '{value}'"):
        run(ldif_file(tmp_path), **{argument: value})
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("mode", ["full", "FULL"])
def test_a_file_in_full_mode_is_run_in_full_mode_or_not_at_all(
    leanix: Any, sandbox: Any, tmp_path: Path, mode: str
) -> None:
    path = ldif_file(tmp_path, processingMode=mode)
    with pytest.raises(InputError, match="processingMode"):
        run(path, **INBOUND, processing_mode="partial")
    assert sandbox.counters.total() == 0
    run(path, **INBOUND)
    run(path, processing_mode="Full")
    assert [one.header["processingMode"] for one in leanix.runs] == ["full", "full"]


def test_a_file_without_a_mode_runs_in_the_tasks_or_in_partial(leanix: Any, tmp_path: Path) -> None:
    path = ldif_file(tmp_path, processingMode=...)
    run(path, processing_mode="full")
    run(path)
    assert [one.header["processingMode"] for one in leanix.runs] == ["full", "partial"]


def test_data_for_another_workspace_is_refused_before_anything_is_sent(
    leanix: Any, sandbox: Any, tmp_path: Path
) -> None:
    path = ldif_file(tmp_path, lxWorkspace="0d5b6cf0-0000-4000-8000-000000000000")
    with pytest.raises(InputError, match=f"lxWorkspace.*is for workspace {WORKSPACE_ID}"):
        run(path, **INBOUND)
    assert (leanix.runs, sandbox.counters.total("integration-api")) == ([], 0)


def test_key_fields_that_neither_has_are_named_at_once(leanix: Any, sandbox: Any, tmp_path: Path) -> None:
    path = ldif_file(tmp_path, connectorId=..., connectorVersion="")
    with pytest.raises(InputError) as caught:
        run(path, processing_direction="inbound")
    for name in ("connectorId", "connectorVersion"):
        assert f"'{name}' is missing" in str(caught.value)
    with pytest.raises(InputError, match="'connectorType' is missing"):
        run(tutorial_items())
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("name", sorted({*HEADER_ARGUMENTS.values()} - {"description", "custom_fields"}))
@pytest.mark.parametrize("empty", ["", "  ", float("nan")])
def test_an_empty_argument_never_falls_back_to_the_file(
    leanix: Any, sandbox: Any, tmp_path: Path, name: str, empty: Any
) -> None:
    with pytest.raises(InputError):
        run(ldif_file(tmp_path), **{name: empty})
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"contents": []}, "'content' is meant"),
        ({"lxworkspace": WORKSPACE_ID}, "'lxWorkspace' is meant"),
        ({"custom_fields": {}}, "'customFields' is meant"),
        ({"comment": "x"}, "'comment' is unknown to the service"),
        ({"chunkInformation": {"firstDataObject": -1}}, "'firstDataObject' must be a whole number"),
        ({"chunkInformation": {"firstData": 1}}, "did you mean 'firstDataObject'"),
        ({"chunkInformation": []}, "'chunkInformation' must be an object"),
        ({"customFields": "north"}, "'customFields' must be an object"),
        ({"connectorVersion": 1.0}, "'connectorVersion' must be a text, not float"),
        ({"description": "x" * 501}, "501 characters"),
    ],
)
def test_a_header_that_the_service_would_ignore_or_refuse_is_refused(
    leanix: Any, sandbox: Any, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(ldif_file(tmp_path, **changes))
    assert sandbox.counters.total() == 0


def test_unknown_header_fields_can_be_ignored(leanix: Any, tmp_path: Path) -> None:
    run(ldif_file(tmp_path, comment="x"), ignore=["comment"])
    assert "comment" not in leanix.runs[0].header


def test_a_header_only_file_serves_an_outbound_run(leanix: Any, sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    key = {"connectorType": "report", "connectorId": "landscape", "connectorVersion": "1.0.0"}
    path.write_text(json.dumps({**key, "processingDirection": "outbound", "customFields": {"a": "b"}}))
    assert run(str(path), output_path=str(tmp_path / "out.json"))["results"]["rows"] == 65
    assert leanix.runs[0].header["customFields"] == {"a": "b"}
    path.write_text(json.dumps(KEY))
    with pytest.raises(InputError, match="no list 'content'"):
        run(str(path))
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="no object"):
        run(str(path), **OUTBOUND)


@pytest.mark.parametrize(
    ("value", "found"), [({"n": 1}, {"n": 1}), ('{"n": 1}', {"n": 1}), ({"none": None}, {"none": None})]
)
def test_custom_fields_are_json_values(leanix: Any, value: Any, found: Any) -> None:
    run(tutorial_items(), **INBOUND, custom_fields=value)
    assert leanix.runs[0].header["customFields"] == found


@pytest.mark.parametrize(
    "value", ["north", "[1]", "", "None", [1], [], False, {"a": float("nan")}, {"a": b"x"}, {1: 2}]
)
def test_custom_fields_that_json_does_not_have_are_refused(leanix: Any, sandbox: Any, value: Any) -> None:
    with pytest.raises(InputError, match="customFields"):
        run(tutorial_items(), **INBOUND, custom_fields=value)
    assert sandbox.counters.total() == 0


@given(
    given=st.dictionaries(st.sampled_from([*KEY, "processingMode", "lxWorkspace"]), TEXTS),
    stored=st.dictionaries(st.sampled_from([*KEY, "processingMode", "lxWorkspace"]), TEXTS),
)
def test_a_merged_header_says_what_each_side_says_or_names_the_contradiction(
    given: dict[str, str], stored: dict[str, str]
) -> None:
    header, problems = merge_headers(given, stored)
    for name, value in given.items():
        assert header[name].lower() == value.lower()
        other = stored.get(name, "")
        any_case = name in ("processingDirection", "processingMode", "lxWorkspace")
        same = other.lower() == value.lower() if any_case else other == value
        assert any(f"'{name}'" in problem for problem in problems) is bool(other and not same)
    for name, value in stored.items():
        if value and name not in given:
            assert header[name].lower() == value.lower()
    assert header.keys() >= DEFAULTS.keys()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "[1]",
            "must be an object, not '[1]' that a template made: pass the task's .output, or set"
            " render_template_as_native_obj=True on the DAG",
        ),
        ("7", "must be an object, not '7'"),
        (
            "{",
            "must be an object, not '{' that a template made: pass the task's .output, or set"
            " render_template_as_native_obj=True on the DAG",
        ),
        ([1], "must be an object, not [1]"),
        ({"a": float("nan")}, "at 'a' is NaN; select NULL for a value that is not there"),
    ],
    ids=str,
)
def test_custom_fields_that_are_no_object_stay_and_are_named(value: Any, problem: str) -> None:
    header = {"customFields": value}
    assert read_custom_fields(header) == [f"header field 'customFields' {problem}"]
    assert header == {"customFields": value}


def test_the_header_of_a_task_has_a_version_and_a_mode_by_default() -> None:
    key = {
        "connector_type": "a",
        "connector_id": "b",
        "connector_version": "c",
        "processing_direction": "INBOUND",
    }
    found = make_header(**key)
    assert found == {
        "connectorType": "a",
        "connectorId": "b",
        "connectorVersion": "c",
        "lxVersion": "1.0.0",
        "processingDirection": "inbound",
        "processingMode": "partial",
    }
    more = {"lx_workspace": "d", "description": "e", "custom_fields": {"f": 1}, "processing_mode": "FULL"}
    assert make_header(**key, **more, lx_version=None) == {
        **{name: value for name, value in found.items() if name != "lxVersion"},
        "lxWorkspace": "d",
        "description": "e",
        "customFields": {"f": 1},
        "processingMode": "full",
    }


def test_headers_of_a_task_and_a_file_are_merged_and_contradictions_named() -> None:
    stored = {"connectorType": "cmdb", "processingMode": "FULL", "lxWorkspace": "Demo", "description": " "}
    given = {"connectorType": "CMDB", "lxWorkspace": "demo", "description": "x", "customFields": {}}
    header, problems = merge_headers(given, stored)
    assert header == {
        "lxVersion": "1.0.0",
        "connectorType": "CMDB",
        "processingMode": "full",
        "lxWorkspace": "demo",
        "description": "x",
    }
    assert problems == ["header field 'connectorType' is 'cmdb', but the task's argument is 'CMDB'"]
    assert merge_headers({}, {"lxVersion": None, "lxWorkspace": 7}) == (
        {"lxVersion": "1.0.0", "processingMode": "partial", "lxWorkspace": 7},
        [],
    )
