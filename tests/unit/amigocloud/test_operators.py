"""A statement is not run twice, whatever Airflow's retries."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudSqlOperator, AmigoCloudUploadOperator
from airflow_provider.errors import AmbiguousWriteError
from tests.support import forked
from tests.support.airflow_names import AirflowFailException
from tests.support.state_store import FakeStateStore
from tests.support.task_runner import TaskRunner

pytestmark = pytest.mark.both_engines

INSERT = "INSERT INTO dataset_1 (amigo_id, name) VALUES (generate_uuid(), 'new')"


@pytest.mark.parametrize("kind", ["reset_after", "truncate", "reset_before"])
def test_a_statement_without_a_response_is_not_retried_by_airflow(sandbox, kind):
    before = sandbox.amigocloud.store.count(1)
    sandbox.faults.add(kind, method="POST", path="/sql")
    with pytest.raises(AmbiguousWriteError, match="got no response") as caught:
        TaskRunner().run(AmigoCloudSqlOperator(task_id="task", sql=INSERT))
    assert isinstance(caught.value, AirflowFailException)
    assert type(caught.value).__name__ == "AmbiguousWriteError"
    assert sandbox.amigocloud.store.count(1) - before == (kind != "reset_before")


def run_killed(folder: str, when: str) -> None:
    """Run the statement in a process that is killed before or after it was sent, or after the task."""
    send = AmigoCloudHook.send

    def killed_send(*arguments: Any) -> Any:
        if when == "after":
            send(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    if when != "unrecorded":
        AmigoCloudHook.send = killed_send  # type: ignore[method-assign,assignment]
    statement_task(folder).run(AmigoCloudSqlOperator(task_id="task", sql=INSERT))


def statement_task(folder: str | Path) -> TaskRunner:
    task = TaskRunner()
    task.store = FakeStateStore(Path(folder) / "state.json")
    return task


@pytest.mark.one_engine("embedded", "about the state of the task")
@pytest.mark.parametrize("when", ["before", "after", "unrecorded"])
def test_a_statement_of_a_killed_task_is_never_sent_again_unasked(sandbox, tmp_path, when):
    before = sandbox.amigocloud.store.count(1)
    process = forked.start(run_killed, str(tmp_path), when)
    process.join(100)
    assert process.exitcode == (0 if when == "unrecorded" else -signal.SIGKILL)
    sent = int(when != "before")
    assert sandbox.amigocloud.store.count(1) - before == sent
    task = statement_task(tmp_path)
    if when == "unrecorded":  # Airflow has not stored that the task succeeded, and retries it.
        assert task.run(AmigoCloudSqlOperator(task_id="task", sql=INSERT)) == {"rows": 1}
    else:
        with pytest.raises(AmbiguousWriteError, match="clear the task") as caught:
            task.run(AmigoCloudSqlOperator(task_id="task", sql=INSERT))
        assert isinstance(caught.value, AirflowFailException)
    assert sandbox.amigocloud.store.count(1) - before == sent
    task.clear()
    assert task.run(AmigoCloudSqlOperator(task_id="task", sql=INSERT)) == {"rows": 1}
    assert sandbox.amigocloud.store.count(1) - before == sent + 1


def test_a_refused_statement_can_be_retried(sandbox):
    sandbox.faults.add("status", status=400, path="/sql")
    task = TaskRunner()
    with pytest.raises(Exception, match="400") as caught:
        task.run(AmigoCloudSqlOperator(task_id="task", sql=INSERT))
    assert not isinstance(caught.value, AirflowFailException)
    assert task.run(AmigoCloudSqlOperator(task_id="task", sql=INSERT)) == {"rows": 1}


@pytest.mark.parametrize("remembers", [True, False])
def test_an_upload_without_a_response_is_not_retried_by_airflow(sandbox, tmp_path, remembers):
    file = tmp_path / "units.csv"
    file.write_text("name\na\n")
    sandbox.faults.add("reset_after", method="POST", path="/upload")
    upload = AmigoCloudUploadOperator(task_id="task", source=str(file), deferrable=False)
    with pytest.raises(AmbiguousWriteError) as caught:
        TaskRunner(remembers=remembers).run(upload)
    assert isinstance(caught.value, AirflowFailException)


def test_an_upload_that_replaces_rows_can_be_retried(sandbox, tmp_path):
    file = tmp_path / "units.csv"
    file.write_text("name\na\n")
    sandbox.amigocloud.job_latency = 0.0
    sandbox.faults.add("reset_after", method="POST", path="/upload")
    task = TaskRunner()
    with pytest.raises(AmbiguousWriteError) as caught:
        task.run(AmigoCloudUploadOperator(task_id="task", source=str(file), dataset=1, deferrable=False))
    assert not isinstance(caught.value, AirflowFailException)
    again = AmigoCloudUploadOperator(task_id="task", source=str(file), dataset=1, deferrable=False)
    assert task.run(again)["dataset_ids"] == [1]
