"""Tasks that are killed at one of their requests: the retry completes the work, and nothing happens twice.

``CRASH_ROUNDS=30`` kills at each request, before and after it, instead of at a few.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.sandbox.leanix.seed import configuration_key
from tests.support.killed_leanix import NEVER, attempt

from .conftest import INBOUND
from .test_configurations import report
from .test_strict_service import EXPORT

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
GROUP_REQUESTS, PLAN_REQUESTS = 10, 5
"""Requests of a whole attempt, that for its token included."""

ROWS = [{"key": "it-900", "label": "Broker"}, {"key": "it-901", "label": "Cache"}]
MAPPING = {"type": "ITComponent", "id": "key", "data": {"name": "label"}}


def moments(requests: int) -> list[tuple[int, bool]]:
    """Return requests at which to kill, each with whether after its reply."""
    every = [(number, after) for number in range(1, requests + 1) for after in (False, True)]
    return every if len(every) <= ROUNDS else random.sample(every, ROUNDS)


@pytest.mark.parametrize("kept", [True, False], ids=["described", "not-described"])
@pytest.mark.long
def test_a_killed_run_of_a_group_is_started_once(
    leanix: Any, sandbox: Any, tmp_path: Path, kept: bool
) -> None:
    leanix.group_descriptions = kept
    leanix.execution_groups["cmdb"] = [("cmdb", "campus", "1.0.0", "inbound", "partial")]
    arguments = {
        **INBOUND,
        "execution_group": "cmdb",
        "content": ROWS,
        "mapping": MAPPING,
        "deferrable": False,
    }
    for moment in moments(GROUP_REQUESTS):
        folder = tmp_path / f"{moment}"
        folder.mkdir()
        print(moment)
        before = leanix.starts
        for number, after in (moment, (NEVER, False)):
            result = attempt(
                sandbox.connections["leanix_default"],
                folder,
                "LeanIXRunOperator",
                arguments,
                number=number,
                after=after,
            )
        assert (result["status"], result["processed"]) == ("FINISHED", 2)
        assert leanix.starts == before + 1


def test_a_killed_plan_is_applied_by_the_retry(leanix: Any, sandbox: Any, tmp_path: Path) -> None:
    wanted = [report(sequentialExecution=True), EXPORT, report(connectorVersion="2.0.0")]
    connection, plan = sandbox.connections["leanix_default"], str(tmp_path / "plan.json")
    kind, planned = "LeanIXPutConfigurationOperator", {"mode": "plan", "plan_output": plan}
    attempt(connection, tmp_path, kind, {"configuration": wanted, **planned}, number=NEVER, after=False)
    seeded = dict(leanix.configurations)
    for moment in moments(PLAN_REQUESTS):
        folder = tmp_path / f"{moment}"
        folder.mkdir()
        print(moment)
        leanix.configurations = dict(seeded)
        before = sandbox.counters.total("PUT")
        attempt(connection, folder, kind, {"plan": plan}, number=moment[0], after=moment[1])
        left = 3 - len([one for one in wanted if leanix.configurations.get(configuration_key(one)) == one])
        result = attempt(connection, folder, kind, {"plan": plan}, number=NEVER, after=False)
        assert result["create"] + result["update"] == left
        assert result["create"] + result["update"] + result["unchanged"] == 3
        assert sandbox.counters.total("PUT") - before <= 4
        assert [leanix.configurations[configuration_key(one)] for one in wanted] == wanted
        assert len(leanix.configurations) == 5
