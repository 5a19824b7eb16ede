"""Uploads of rows whose process gets a SIGKILL before and after each request: what the next attempt does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked, killed_upload
from tests.support.desks import DESKS

pytestmark = pytest.mark.slow

ROWS = 60
QUERY = "SELECT code, label || ? AS label FROM a ORDER BY code"


def expected(number: int) -> list[list[str]]:
    """Return the rows of one task."""
    return [[f"c{n:03d}", f"name {n} {number}"] for n in range(ROWS)]


@pytest.fixture
def kill(warehouse: Any, tmp_path: Path) -> Any:
    """Return a function that kills an attempt at each moment, and returns what each next attempt found."""
    values = ", ".join(f"('c{n:03d}', 'name {n} ')" for n in range(ROWS))
    warehouse(f"CREATE TABLE a (code, label); INSERT INTO a VALUES {values}")

    def run(*, in_chunks: bool, **arguments: Any) -> list[dict[str, Any]]:
        arguments = {"sql": QUERY, "sql_conn_id": "warehouse", **arguments}
        task = {"arguments": arguments, "folder": str(tmp_path), "in_chunks": in_chunks}
        process = forked.start(killed_upload.main, task)
        process.join(100)
        assert process.exitcode == 0
        found = [json.loads(line) for line in (tmp_path / killed_upload.FOUND).read_text().splitlines()]
        assert [one["killed"] for one in found] == [True] * (len(found) - 1) + [False]
        return found

    return run


@pytest.mark.parametrize("in_chunks", [False, True], ids=["whole", "in chunks"])
def test_killed_at_any_moment_the_next_attempt_replaces_the_rows_and_doubles_none(kill, in_chunks):
    found = kill(in_chunks=in_chunks, dataset=DESKS)
    assert len(found) > (8 if in_chunks else 4)
    assert [one["error"] for one in found] == [None] * len(found)
    assert [one["rows"] for one in found] == [expected(number) for number in range(len(found))]


@pytest.mark.parametrize("in_chunks", [False, True], ids=["whole", "in chunks"])
def test_killed_at_any_moment_a_new_dataset_is_never_created_twice(kill, sandbox, in_chunks):
    found = kill(in_chunks=in_chunks)
    sandbox.amigocloud.jobs.run_due()
    datasets = [one.name for one in sandbox.amigocloud.store.datasets.values()]
    for number, one in enumerate(found):
        if one["error"] is None:
            assert one["rows"] == expected(number)
            assert datasets.count(f"upload_{number}") == 1
        else:
            # The request that creates the dataset may have been sent, and nothing tells whether it was.
            assert one["error"] == "AmbiguousWriteError"
            assert datasets.count(f"upload_{number}") <= 1
    # A file in one request: before and after it. In chunks: after the request that completes them.
    assert sum(one["error"] is not None for one in found) == (1 if in_chunks else 2)
