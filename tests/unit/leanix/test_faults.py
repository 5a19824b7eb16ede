"""Each fault of the sandbox at each step of a run: one run is started, and the task's result is true.

The short form has each fault at each step twice: as a task that waits and as one that is deferred, one of
them with the fault once and the other with it always, in turn. The long form has all four.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import ProviderError
from airflow_provider.leanix.operators import LeanIXRunOperator
from airflow_provider.sandbox.faults import OPTIONS
from tests.support.hypothesis_sizes import LONG
from tests.support.task_runner import TaskRunner

from .conftest import OUTBOUND

pytestmark = pytest.mark.slow  # each takes a tenth of a second, but they are hundreds

STEPS = {
    "token": {"method": "POST", "path": "/oauth2/token$"},
    "create": {"method": "POST", "path": "/synchronizationRuns$"},
    "start": {"method": "POST", "path": "/start$"},
    "status": {"method": "GET", "path": "/status$"},
    "stats": {"method": "GET", "path": "/stats$"},
    "warnings": {"method": "GET", "path": "/warnings$"},
    "link": {"method": "GET", "path": "/resultsUrl$"},
    "download": {"method": "GET", "service": "storage"},
}
QUICK = {"slow": {"seconds": 0.02, "pieces": 2}, "delay": {"seconds": 0.02}}
KINDS = [kind for kind in OPTIONS if kind not in {"kill"}]
CASES = [
    pytest.param(step, kind, times, deferrable, id=f"{step}-{kind}-{times or 'always'}-{deferrable}")
    for number, step in enumerate(STEPS)
    for other, kind in enumerate(KINDS)
    for times in (1, None)
    for deferrable in (False, True)
    if LONG or (times is None) == ((number + other + deferrable) % 2 == 0)
]


@pytest.mark.parametrize(("step", "kind", "times", "deferrable"), CASES)
def test_a_fault_never_starts_a_second_run_and_never_makes_a_wrong_result(
    leanix: Any, sandbox: Any, tmp_path: Path, step: str, kind: str, times: int | None, deferrable: bool
) -> None:
    task, target = TaskRunner(), tmp_path / "landscape.json"

    def operator(timeout: float) -> LeanIXRunOperator:
        return LeanIXRunOperator(
            task_id="run",
            output_path=str(target),
            poll_interval=0.01,
            timeout=timeout,
            deferrable=deferrable,
            **OUTBOUND,
        )

    fault = sandbox.faults.add(kind, times=times, **STEPS[step], **QUICK.get(kind, {}))
    try:
        # A trigger asks for a link until the timeout.
        result = task.run(operator(2 if (step, times) == ("link", None) else 30))
    except ProviderError:
        assert not target.exists()
        assert leanix.peak_live <= 1
        sandbox.faults.clear()
        result = task.run(operator(30))
    assert fault.hits
    (started,) = [run for run in leanix.runs if run.status != "CREATED"]
    assert (leanix.starts, result["run_id"], result["status"]) == (1, started.id, "FINISHED")
    assert result["processed"] == 65
    assert target.read_bytes() == started.result
