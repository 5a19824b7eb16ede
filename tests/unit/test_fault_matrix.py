"""No method of a hook duplicates, loses, hangs or lies on a bad day; the documentation says what it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider.core.hook import ApiHook
from airflow_provider.sandbox.server import Sandbox
from tests import fault_matrix
from tests.fault_matrix import BAD, HOOKS, PAGE, ROWS, matrix

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
    "probe": "get_dataset and its like",
    "start_listening": "a socket, see the tests of events",
    "pages": "list_things",
    "iter_geodata": "list_geodata",
    "history_page": "iter_history",
    "get_df": "get_records",
    "get_saved_query": "get",
    "put": "get",
    "delete": "delete_dataset",
    "patch": "post",
    "revert": "post",
    "start_export": "post",
    "list_client_secrets": "list_geodata",
    "create_client_secret": "create_geodata",
    "delete_client_secret": "delete_geodata",
    "update_route_elements": "update_geodata",
    "add_history": "set_properties",
    "delete_history": "delete_things",
    "patch_things": "delete_things",
    "query": "list_things",
    "revoke_token": "runs when a hook is closed, and fails nothing",
    "get_mqtt_credentials": "get_thing",
    "set_mqtt_credentials": "set_properties",
    "delete_mqtt_credentials": "delete_things",
}
"""Methods left out of the matrix, with the one whose kind of request they send."""


@pytest.fixture
def quiet(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Lend the sandbox with its connections, and put it back afterwards."""
    with fault_matrix.connected(running_sandbox):
        yield running_sandbox
    running_sandbox.reset()


@pytest.mark.parametrize("vendor", HOOKS)
def test_nothing_is_duplicated_lost_or_hung_and_the_page_says_what_happens(
    vendor: str, quiet: Sandbox
) -> None:
    cells = matrix(quiet, vendor)
    bad = [f"{method}: {row}" for method, row in cells.items() if any(one in BAD for one in row)]
    assert bad == []
    written = PAGE.read_text()
    missing = [line for line in fault_matrix.table(cells) if line not in written]
    assert missing == [], "run: python -m tests.fault_matrix --write"


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
    tried = {row.method for row in ROWS if row.vendor == vendor}
    left = public - tried - NO_REQUEST - SAME_AS.keys() - asynchronous
    assert left - {"asset", "amatching"} == set()
