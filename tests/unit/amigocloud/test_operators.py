"""A statement is not run twice, whatever Airflow's retries."""

from __future__ import annotations

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudSqlOperator, AmigoCloudUploadOperator
from airflow_provider.errors import AmbiguousWriteError
from tests.support.airflow_names import AirflowFailException
from tests.support.task_runner import TaskRunner

pytestmark = pytest.mark.both_engines

INSERT = "INSERT INTO dataset_1 (amigo_id, name) VALUES (generate_uuid(), 'new')"


@pytest.mark.parametrize("kind", ["reset_after", "truncate", "reset_before"])
def test_a_statement_without_a_response_is_not_retried_by_airflow(sandbox, kind):
    before = sandbox.amigocloud.store.count(1)
    sandbox.faults.add(kind, method="POST", path="/sql")
    with pytest.raises(AmbiguousWriteError, match="got no response") as caught:
        AmigoCloudSqlOperator(task_id="task", sql=INSERT).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert type(caught.value).__name__ == "AmbiguousWriteError"
    assert sandbox.amigocloud.store.count(1) - before == (kind != "reset_before")


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
