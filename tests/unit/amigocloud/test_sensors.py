"""Sensors have the same results in sync and in deferred mode, and end when waiting is of no use."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from airflow_provider.amigocloud import conditions
from airflow_provider.amigocloud.conditions import JobIsDone
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.sensors import (
    AmigoCloudDatasetSensor,
    AmigoCloudJobSensor,
    AmigoCloudSqlSensor,
)
from airflow_provider.amigocloud.triggers import AmigoCloudTrigger
from airflow_provider.core import sensor as sensor_module
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.errors import (
    InputError,
    PermissionDeniedError,
    RequestRejectedError,
    RunFailedError,
    ServerError,
)
from airflow_provider.sandbox.amigocloud import seed
from tests.support.airflow_names import AirflowSensorTimeout
from tests.support.task_runner import TaskRunner, first_event

pytestmark = pytest.mark.both_engines

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
QUICK = {"task_id": "task", "poke_interval": 0.05, "timeout": 20}


def job(sandbox, latency=0.2, failure=None, made=None):
    return sandbox.amigocloud.jobs.start("test", lambda: {"dataset_ids": made or []}, latency, failure).id


@BOTH
def test_a_job_is_waited_for(sandbox, deferrable):
    job_id = job(sandbox, made=[7, 8])
    sensor = AmigoCloudJobSensor(job_id=job_id, deferrable=deferrable, **QUICK)
    assert TaskRunner().run(sensor) == {"job": job_id, "job_status": "SUCCESS", "dataset_ids": [7, 8]}


@BOTH
@pytest.mark.parametrize("failures", [5, 6])
@pytest.mark.one_engine("embedded", "about faults of the transport")
def test_five_consecutive_failed_polls_are_tolerated(sandbox, monkeypatch, deferrable, failures):
    monkeypatch.setattr(AmigoCloudHook, "retry_limits", RetryLimits(attempts=1))
    job_id = job(sandbox, latency=0)
    sandbox.faults.add("status", status=503, path="/jobs/", times=failures)
    sensor = AmigoCloudJobSensor(job_id=job_id, deferrable=deferrable, **QUICK)
    if failures == 5:
        assert TaskRunner().run(sensor)["job_status"] == "SUCCESS"
    else:
        with pytest.raises(ServerError):
            TaskRunner().run(sensor)


@BOTH
def test_a_failed_job_fails_the_task_with_the_jobs_reason(sandbox, deferrable):
    job_id = job(sandbox, failure="column 'x' is missing")
    with pytest.raises(RunFailedError, match="ended as FAILURE: column 'x' is missing") as caught:
        TaskRunner().run(AmigoCloudJobSensor(job_id=job_id, deferrable=deferrable, **QUICK))
    assert (caught.value.run_id, caught.value.status) == (job_id, "FAILURE")


@pytest.mark.parametrize("status", ["PENDING", "RECEIVED", "STARTED", "RETRY"])
def test_a_running_job_is_not_done(status):
    assert JobIsDone("j").evaluate({"status": status, "extra": {}}) is None


@pytest.mark.parametrize(
    ("extra", "reason"),
    [(None, "no reason given"), ({"detail": "full"}, "full"), ({"code": 7}, '{"code": 7}'), ("x", '"x"')],
)
def test_a_job_with_any_other_state_failed_whatever_its_reason(extra, reason):
    with pytest.raises(RunFailedError) as caught:
        JobIsDone("j").evaluate({"status": "REVOKED", "extra": extra})
    assert caught.value.reason == reason


@BOTH
def test_the_time_of_a_sensor_ends(sandbox, deferrable):
    sensor = AmigoCloudJobSensor(
        job_id=job(sandbox, latency=1e6),
        deferrable=deferrable,
        task_id="task",
        poke_interval=0.05,
        timeout=0.2,
    )
    with pytest.raises(AirflowSensorTimeout):
        TaskRunner().run(sensor)


@BOTH
def test_a_job_that_a_project_token_may_not_see_ends_the_wait_at_once(sandbox, connect, deferrable):
    conn_id = connect(password=seed.EDIT_PROJECT_TOKEN)
    sensor = AmigoCloudJobSensor(
        job_id=job(sandbox), deferrable=deferrable, amigocloud_conn_id=conn_id, **QUICK
    )
    with pytest.raises(PermissionDeniedError):
        TaskRunner().run(sensor)
    assert sandbox.counters.total() == 1


@BOTH
@pytest.mark.one_engine("embedded", "about faults of the transport")
def test_a_service_that_is_down_keeps_no_sensor_beyond_its_timeout(sandbox, monkeypatch, deferrable):
    monkeypatch.setattr(AmigoCloudHook, "retry_limits", RetryLimits(attempts=10**6, total=1e6, cap=0.05))
    monkeypatch.setattr(sensor_module, "_LEAST_POLL_SECONDS", 0.3)
    sandbox.faults.add("status", status=503, path="/sql", times=None)
    sensor = AmigoCloudSqlSensor(
        sql="SELECT 1", deferrable=deferrable, task_id="task", poke_interval=0.05, timeout=0.2
    )
    with pytest.raises(AirflowSensorTimeout):
        TaskRunner().run(sensor)
    assert sandbox.counters.total("/sql") > 1


@BOTH
def test_a_dataset_that_has_changed_since_ends_the_wait_at_once(sandbox, deferrable):
    store = sandbox.amigocloud.store
    before = store.master(1)
    store.write("DELETE FROM dataset_1 WHERE value < 2")
    now = {"dataset": "1", "master": store.master(1)}
    for seen, since in ((None, before), ({"dataset": "1", "master": before}, None), (None, None)):
        sensor = AmigoCloudDatasetSensor(dataset=1, since=since, deferrable=deferrable, **QUICK)
        assert TaskRunner(seen).run(sensor) == now
    assert sandbox.counters.total() == sandbox.counters.total("/master") == 3


@BOTH
def test_a_dataset_is_waited_for_until_it_changes(sandbox, deferrable):
    service = sandbox.amigocloud
    seen = {"dataset": "1", "master": service.store.master(1)}
    service.jobs.start("later", lambda: service.store.write("DELETE FROM dataset_1") and {}, 0.3)
    found = TaskRunner(seen).run(AmigoCloudDatasetSensor(dataset="1", deferrable=deferrable, **QUICK))
    assert found == {"dataset": "1", "master": service.store.master(1)}
    assert found["master"] != seen["master"]
    assert sandbox.counters.total() > 1


@pytest.mark.parametrize("mapped", [False, True], ids=["single", "mapped"])
@pytest.mark.one_engine("embedded", "about what Airflow has stored")
def test_a_dataset_that_has_not_changed_since_the_last_of_many_runs_is_waited_for(sandbox, run_dag, mapped):
    with DAG(f"waits_{mapped}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        arguments = {"task_id": "sense", "timeout": 0, "poke_interval": 0.01, "retries": 0}
        if mapped:
            AmigoCloudDatasetSensor.partial(**arguments).expand(dataset=[seed.ASSETS, seed.FIRST])
        else:
            AmigoCloudDatasetSensor(dataset=1, **arguments)
    states = []
    for day in range(1, 5):
        if day < 4:
            oldest = "SELECT amigo_id FROM dataset_1 ORDER BY amigo_id LIMIT 1"
            sandbox.amigocloud.store.write(f"DELETE FROM dataset_1 WHERE amigo_id IN ({oldest})")
        run = run_dag(dag, logical_date=datetime(2026, 1, day, tzinfo=UTC))
        states.append({one.map_index: str(one.state) for one in run.get_task_instances()})
    last = 1 if mapped else -1
    assert [one[last] for one in states] == ["success", "success", "success", "failed"]
    assert not mapped or [one[0] for one in states] == ["success", "failed", "failed", "failed"]


@pytest.mark.one_engine("embedded", "about what Airflow has stored")
def test_runs_without_a_logical_date_count_as_earlier_runs(sandbox, run_dag):
    with DAG("mixed", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        AmigoCloudDatasetSensor(task_id="sense", dataset=1, timeout=0, poke_interval=0.01, retries=0)
    states = []
    # The last one is later than the moment at which the run without a date has started.
    for logical_date in (datetime(2026, 1, 1, tzinfo=UTC), None, datetime(2100, 1, 1, tzinfo=UTC)):
        if logical_date is None:
            sandbox.amigocloud.store.write("DELETE FROM dataset_1 WHERE value < 2")
        states += [str(one.state) for one in run_dag(dag, logical_date=logical_date).get_task_instances()]
    assert states == ["success", "success", "failed"]


class Stored(TaskRunner):
    """A DAG of one task, whose XComs a database returns that sorts missing dates last or first."""

    def __init__(self, missing_first):
        super().__init__()
        self.missing_first = missing_first
        self.xcoms = []
        self.logical_date = None

    @property
    def ti(self):
        ti = super().ti
        ti.xcom_pull, ti.xcom_push = self.pull, self.push
        self.extra_context["dag_run"] = SimpleNamespace(logical_date=self.logical_date)
        return ti

    def push(self, key, value):
        self.xcoms.append((self.logical_date, len(self.xcoms), key, json.loads(json.dumps(value))))

    def pull(self, *, key="return_value", **_):
        found = [xcom for xcom in self.xcoms if xcom[2] == key]
        missing = "9" if self.missing_first else ""
        return max(found, key=lambda xcom: (xcom[0] or missing, xcom[1]), default=(None,))[-1]

    def senses(self, logical_date, deferrable):
        self.logical_date = logical_date
        sensor = AmigoCloudDatasetSensor(dataset=1, deferrable=deferrable, **{**QUICK, "timeout": 0.1})
        try:
            self.push("return_value", self.run(sensor))
        except AirflowSensorTimeout:
            return False
        return True


@BOTH
@pytest.mark.parametrize("missing_first", [True, False], ids=["postgresql", "sqlite-mysql"])
def test_the_latest_run_counts_whether_it_has_a_logical_date_or_not(sandbox, missing_first, deferrable):
    dag = Stored(missing_first)
    assert dag.senses("2026-01-01", deferrable)
    assert not dag.senses(None, deferrable)
    sandbox.amigocloud.store.write("DELETE FROM dataset_1 WHERE value < 2")
    assert dag.senses(None, deferrable)
    assert not dag.senses("2026-01-02", deferrable)
    sandbox.amigocloud.store.write("DELETE FROM dataset_1 WHERE value < 4")
    assert dag.senses("2026-01-03", deferrable)
    assert not dag.senses("2026-01-04", deferrable)
    assert not dag.senses(None, deferrable)


@BOTH
def test_a_query_is_waited_for_until_it_is_true(sandbox, deferrable):
    service = sandbox.amigocloud
    service.jobs.start(
        "later", lambda: service.store.write("DELETE FROM dataset_1 WHERE value < 4") and {}, 0.3
    )
    sql = "SELECT count(*) AS n FROM dataset_1 HAVING count(*) < 8"
    sensor = AmigoCloudSqlSensor(sql=sql, deferrable=deferrable, **QUICK)
    assert TaskRunner().run(sensor) == {"value": 5}


@pytest.mark.parametrize("value", ["NULL", "0", "''", "FALSE", "'0'"])
def test_what_is_nothing_is_not_true(sandbox, value):
    sensor = AmigoCloudSqlSensor(sql=f"SELECT {value} AS found", deferrable=False, **QUICK)
    assert not sensor.poke(TaskRunner().context())


@BOTH
def test_bad_sql_and_a_missing_project_end_the_wait_at_once(sandbox, connect, deferrable):
    with pytest.raises(RequestRejectedError, match="sql_error"):
        TaskRunner().run(AmigoCloudSqlSensor(sql="SELECT nope", deferrable=deferrable, **QUICK))
    conn_id = connect(extra={"project_url": None})
    sensor = AmigoCloudSqlSensor(sql="SELECT 1", deferrable=deferrable, amigocloud_conn_id=conn_id, **QUICK)
    with pytest.raises(InputError, match="project_url"):
        TaskRunner().run(sensor)


@BOTH
def test_a_bad_moment_does_not_end_the_wait(sandbox, deferrable):
    sandbox.faults.add("html", times=2)
    sandbox.faults.add("reset_before")
    sensor = AmigoCloudJobSensor(job_id=job(sandbox), deferrable=deferrable, **QUICK)
    assert TaskRunner().run(sensor)["job_status"] == "SUCCESS"


def trigger_for(job_id):
    return AmigoCloudTrigger(
        amigocloud_conn_id="amigocloud_default",
        question="JobIsDone",
        about={"job_id": job_id},
        deadline=time.time() + 20,
        poll_interval=0.2,
    )


def test_a_trigger_keeps_no_credential():
    assert seed.USER_TOKEN not in json.dumps(trigger_for("j").serialize())


def test_triggers_that_ask_the_same_share_their_requests(sandbox):
    job_id = job(sandbox, latency=0.5)

    async def all_events():
        return await asyncio.gather(*(first_event(trigger_for(job_id)) for _ in range(50)))

    events = asyncio.run(all_events())
    assert {event["job_status"] for event in events} == {"SUCCESS"}
    assert sandbox.counters.total() < 20


@pytest.mark.parametrize(
    ("value", "is_true"),
    [
        ("false", False),
        ("true", True),
        ("0.0::numeric", False),
        ("0.5::numeric", True),
        ("NULL::numeric", False),
        ("'0.0'::text", True),
        ("'f'::text", True),
    ],
)
@pytest.mark.parametrize("form", ["of JSON", "text"])
def test_a_query_is_true_in_whichever_form_the_service_sends_its_value(sandbox, value, is_true, form):
    if form == "text":
        sandbox.amigocloud.boolean_form = sandbox.amigocloud.number_form = "text"
    sensor = AmigoCloudSqlSensor(task_id="wait", sql=f"SELECT {value} AS value")
    assert bool(sensor.poke({})) is is_true


async def test_a_shared_result_is_at_most_half_an_interval_old(monkeypatch):
    asked = []

    async def acheck(hook, condition, *, max_age):
        asked.append((hook, condition, max_age))

    monkeypatch.setattr(conditions, "acheck", acheck)
    trigger = trigger_for("j")
    assert [await trigger.poll() for _ in range(2)] == [None, None]
    hook = trigger._hook
    assert hook.conn_id == "amigocloud_default"
    assert asked == [(hook, JobIsDone("j"), 0.1)] * 2
