"""Fault matrix: no fault duplicates, loses, hangs or falsifies, and ``docs/faults.md`` is up to date.

``FAULT_MATRIX_LONG=1`` also breaks every request of every task, one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from airflow_provider import errors
from airflow_provider.core.hook import ApiHook
from airflow_provider.errors import ProviderError
from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix import methods, operators
from tests.fault_matrix.faults import BAD, FAULTS, HOOKS, connected
from tests.fault_matrix.page import INTRODUCTION, METHODS, PAGE, Cells, table
from tests.support import every_task

pytestmark = pytest.mark.slow

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


FEW = ("429", "502 HTML", "reset after", "truncated", "401 once", "no tokens", "404 once")
"""Faults of `make test`: one of each kind of what a task does then."""


def check(heading: str, cells: Cells, faults: Sequence[str] = tuple(FAULTS)) -> None:
    """Fail for cells that show a defect, and for those that the documentation lacks.

    :param heading: heading of the first column.
    :param cells: cells of each row, in the order of the faults.
    :param faults: the faults.
    """
    bad = [f"{name}: {row}" for name, row in cells.items() if any(cell.startswith(BAD) for cell in row)]
    assert bad == []
    written = PAGE.read_text()
    assert table(heading, {})[0] in written
    found = {name: dict(zip(faults, row, strict=True)) for name, row in cells.items()}
    differences = [text for name, row in found.items() if (text := difference(name, row, written))]
    assert not differences, "\n".join([*differences, "run: python -m tests.fault_matrix --write"])


def difference(label: str, found: dict[str, str], written: str) -> str:
    """Return what the page says otherwise about a row of cells by fault; empty when it says the same."""
    lines = [
        line.strip("| ").split(" | ")[1:] for line in written.splitlines() if line.startswith(f"| {label} |")
    ]
    rows = [dict(zip(FAULTS, line, strict=False)) for line in lines]
    if any(found.items() <= row.items() for row in rows):
        return ""
    documented = rows[0] if rows else {}
    cells = [
        f"{fault}: {cell}, documented as {documented[fault]}"
        for fault, cell in found.items()
        if fault in documented and documented[fault] != cell
    ]
    return f"{label}: {'; '.join(cells) or 'not documented'}"


@pytest.mark.nightly
@pytest.mark.parametrize("vendor", HOOKS)
def test_no_method_duplicates_loses_or_hangs_and_the_page_says_what_it_does(
    vendor: str, connected_sandbox: Sandbox
) -> None:
    check("method", methods.cells(connected_sandbox, vendor))


@pytest.mark.parametrize(
    "faults", [FEW, pytest.param(tuple(FAULTS), marks=pytest.mark.nightly)], ids=["few", "all"]
)
@pytest.mark.parametrize("vendor", HOOKS)
@pytest.mark.long
def test_no_task_duplicates_loses_or_hangs_and_the_page_says_what_it_does(
    vendor: str, faults: tuple[str, ...], connected_sandbox: Sandbox
) -> None:
    check("task", operators.cells(connected_sandbox, vendor, faults), faults)


@pytest.mark.skipif("FAULT_MATRIX_LONG" not in os.environ, reason="takes minutes: FAULT_MATRIX_LONG=1")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("vendor", HOOKS)
def test_no_task_duplicates_loses_or_hangs_whichever_of_its_requests_is_broken(
    vendor: str, fault: str, connected_sandbox: Sandbox
) -> None:
    cells = operators.long_cells(connected_sandbox, vendor, fault)
    assert {request: cell for request, cell in cells.items() if cell.startswith(BAD)} == {}


def test_a_cell_that_the_page_does_not_have_is_named_with_what_it_has() -> None:
    written = PAGE.read_text()
    row = {"429": "succeeds on the next day", "404 once": "-"}
    assert difference("`LeanIXRunOperator`, deferred", row, written).startswith(
        "`LeanIXRunOperator`, deferred: 429: succeeds on the next day, documented as "
    )
    assert difference("`NoOperator`", row, written) == "`NoOperator`: not documented"


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
