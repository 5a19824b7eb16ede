"""Nothing duplicates, loses, hangs or lies on a bad day; the documentation says what each thing does.

``FAULT_MATRIX_LONG=1`` also breaks every request of every task, one after the other, not just one of them.
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
    "start_export": "post",
    "revoke_token": "runs when a hook is closed, and fails nothing",
}
"""Methods left out of the matrix, with the one whose kind of request they send."""


@pytest.fixture
def quiet(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Lend the sandbox with its connections, and put it back afterwards."""
    with connected(running_sandbox):
        yield running_sandbox
    running_sandbox.reset()


def check(what: str, cells: Cells) -> None:
    """Find cells that must not be, and lines that the documentation does not have."""
    bad = [f"{name}: {row}" for name, row in cells.items() if any(one.startswith(BAD) for one in row)]
    assert bad == []
    written = PAGE.read_text()
    missing = [line for line in table(what, cells) if line not in written]
    assert missing == [], "run: python -m tests.fault_matrix --write"


@pytest.mark.parametrize("vendor", HOOKS)
def test_no_method_duplicates_loses_or_hangs_and_the_page_says_what_it_does(
    vendor: str, quiet: Sandbox
) -> None:
    check("method", methods.cells(quiet, vendor))


@pytest.mark.parametrize("vendor", HOOKS)
def test_no_task_duplicates_loses_or_hangs_and_the_page_says_what_it_does(
    vendor: str, quiet: Sandbox
) -> None:
    check("task", operators.cells(quiet, vendor))


@pytest.mark.skipif("FAULT_MATRIX_LONG" not in os.environ, reason="takes minutes: FAULT_MATRIX_LONG=1")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("vendor", HOOKS)
def test_no_task_duplicates_loses_or_hangs_whichever_of_its_requests_is_broken(
    vendor: str, fault: str, quiet: Sandbox
) -> None:
    cells = operators.long_cells(quiet, vendor, fault)
    assert {place: said for place, said in cells.items() if said.startswith(BAD)} == {}


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
    tried = {name for vendor in HOOKS for name, _ in operators.rows(vendor).values()}
    assert tried == set(every_task.public_classes())


@pytest.mark.parametrize("vendor", HOOKS)
def test_every_method_that_sends_requests_is_in_the_matrix_or_named_with_its_like(vendor: str) -> None:
    public = {
        name
        for kind in HOOKS[vendor].__mro__
        if issubclass(kind, ApiHook) and kind is not ApiHook
        for name, one in vars(kind).items()
        if callable(one) and not name.startswith("_") and not hasattr(ApiHook, name)
    }
    asynchronous = {name for name in public if name.startswith("a") and name.removeprefix("a") in public}
    tried = {row.method for row in methods.ROWS if row.vendor == vendor}
    left = public - tried - NO_REQUEST - SAME_AS.keys() - asynchronous
    assert left - {"asset", "amatching"} == set()
