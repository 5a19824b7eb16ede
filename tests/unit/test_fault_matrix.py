"""Fault matrix: no fault duplicates, loses, hangs or falsifies, and ``docs/faults.md`` is up to date.

``FAULT_MATRIX_LONG=1`` also breaks every request of every task, one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_provider import errors
from airflow_provider.core.hook import ApiHook
from airflow_provider.errors import ProviderError
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix import methods, operators
from tests.fault_matrix.faults import BAD, FAULTS, HOOKS, connected
from tests.fault_matrix.page import INTRODUCTION, METHODS, PAGE, Cells, table
from tests.support import every_task

pytestmark = [pytest.mark.slow, pytest.mark.long]

NO_REQUEST = {
    "add_callback",
    "bases",
    "budget",
    "close",
    "credential",
    "diagnose",
    "explain",
    "listen_dataset_events",
    "listen_user_events",
    "need_project",
}
SAME_AS = {
    "check_workspace": "fetches a token only",
    "sync_log_url": "fetches a token only",
    "start_listening": "a socket, see the tests of events",
    "patch_results": "patch_things",
    "start_export": "post",
    "revoke_token": "runs when a hook is closed, and fails nothing",
}
"""Methods left out of the matrix, with the method that sends the same kind of request."""


@pytest.fixture
def connected_sandbox(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Yield the sandbox with its connections in the environment, and reset it afterwards."""
    with connected(running_sandbox):
        yield running_sandbox
    running_sandbox.reset()


def check(heading: str, cells: Cells) -> None:
    """Fail for cells that show a defect, and for lines that the documentation lacks."""
    bad = [f"{name}: {row}" for name, row in cells.items() if any(cell.startswith(BAD) for cell in row)]
    assert bad == []
    written = PAGE.read_text()
    missing = [line for line in table(heading, cells) if line not in written]
    differences = [difference(line, written) for line in missing]
    assert not missing, "\n".join([*differences, "run: python -m tests.fault_matrix --write"])


def difference(line: str, written: str) -> str:
    """Return what a line of the table says, and the page does not, by the column's heading."""
    label, *found = line.strip("| ").split(" | ")
    documented = next((old for old in written.splitlines() if old.startswith(f"| {label} |")), "")
    _, *expected = documented.strip("| ").split(" | ")
    pairs = zip(FAULTS, found, expected, strict=False)
    cells = [f"{fault}: {now}, documented as {then}" for fault, now, then in pairs if now != then]
    return f"{label}: {'; '.join(cells) or 'not documented'}"


@pytest.mark.nightly
@pytest.mark.parametrize("vendor", HOOKS)
def test_no_method_duplicates_loses_or_hangs_and_the_page_says_what_it_does(
    vendor: str, connected_sandbox: Sandbox
) -> None:
    check("method", methods.cells(connected_sandbox, vendor))


@pytest.mark.parametrize("vendor", HOOKS)
def test_no_task_duplicates_loses_or_hangs_and_the_page_says_what_it_does(
    vendor: str, connected_sandbox: Sandbox
) -> None:
    check("task", operators.cells(connected_sandbox, vendor))


@pytest.mark.skipif("FAULT_MATRIX_LONG" not in os.environ, reason="takes minutes: FAULT_MATRIX_LONG=1")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("vendor", HOOKS)
def test_no_task_duplicates_loses_or_hangs_whichever_of_its_requests_is_broken(
    vendor: str, fault: str, connected_sandbox: Sandbox
) -> None:
    cells = operators.long_cells(connected_sandbox, vendor, fault)
    assert {request: cell for request, cell in cells.items() if cell.startswith(BAD)} == {}


def test_the_page_begins_as_it_would_be_written_and_explains_every_error() -> None:
    written = PAGE.read_text()
    assert written.startswith(INTRODUCTION)
    assert METHODS in written
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ProviderError)
    }
    assert {name for name in kinds if f"`{name}`" not in INTRODUCTION} == set()


def test_every_public_operator_and_sensor_is_in_the_matrix() -> None:
    tested = {name for vendor in HOOKS for name, _ in operators.rows(vendor).values()}
    assert tested == set(every_task.public_classes())


@pytest.mark.parametrize("vendor", HOOKS)
def test_every_method_that_sends_requests_is_in_the_matrix_or_named_with_its_like(vendor: str) -> None:
    public = {
        name
        for kind in HOOKS[vendor].__mro__
        if issubclass(kind, ApiHook) and kind is not ApiHook
        for name, member in vars(kind).items()
        if callable(member) and not name.startswith("_") and not hasattr(ApiHook, name)
    }
    asynchronous = {name for name in public if name.startswith("a") and name.removeprefix("a") in public}
    tested = {row.method for row in methods.ROWS if row.vendor == vendor}
    left = public - tested - NO_REQUEST - SAME_AS.keys() - asynchronous
    assert left - {"asset", "amatching"} == set()
