"""An upload creates its dataset once, whatever fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider.amigocloud import api, uploads
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudUploadOperator
from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    PermissionDeniedError,
    RequestRejectedError,
    RunFailedError,
)
from airflow_provider.sandbox.amigocloud import seed
from tests.support.airflow_names import AirflowFailException
from tests.support.task_runner import TaskRunner

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
ROWS = "name;value\n" + "".join(f"Ünit {n};{n}.5\n" for n in range(200))


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "units.csv"
    file.write_text(ROWS, encoding="utf-8")
    return str(file)


@pytest.fixture
def in_chunks(monkeypatch):
    monkeypatch.setattr(api, "SIMPLE_UPLOAD", 500)
    monkeypatch.setattr(uploads, "CHUNK", 700)


@pytest.fixture(autouse=True)
def _soon(sandbox):
    sandbox.amigocloud.job_latency = 0.1


def upload(path, *, deferrable=False, write_action=None, **arguments):
    action = {"dataset_write_action": write_action} if write_action else {}
    return AmigoCloudUploadOperator(
        task_id="task",
        source=path,
        options={"csv_props.delimiter": ";", **action},
        deferrable=deferrable,
        poll_interval=0.05,
        **arguments,
    )


def uploaded(sandbox):
    return [d.id for d in sandbox.amigocloud.store.datasets.values() if d.name == "units"]


@BOTH
@pytest.mark.parametrize("size", ["simple", "chunked"])
def test_a_file_becomes_a_dataset(sandbox, path, request, deferrable, size):
    if size == "chunked":
        request.getfixturevalue("in_chunks")
    result = TaskRunner().run(upload(path, deferrable=deferrable))
    assert result["dataset_ids"] == uploaded(sandbox)
    assert set(result) == {"job", "dataset_ids"}
    with AmigoCloudHook() as hook:
        rows = hook.get_records(f"SELECT name, value FROM dataset_{result['dataset_ids'][0]} ORDER BY value")
    assert rows == [{"name": f"Ünit {n}", "value": n + 0.5} for n in range(200)]
    assert sandbox.counters.total("POST") == (1 if size == "simple" else 6)


def test_a_file_replaces_the_rows_of_a_dataset(sandbox, path):
    before = sandbox.amigocloud.store.master(1)
    assert TaskRunner().run(upload(path, dataset=1))["dataset_ids"] == [1]
    assert sandbox.amigocloud.store.count(1) == 200
    assert sandbox.amigocloud.store.master(1) != before


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "html", "truncate"])
def test_a_chunk_without_a_response_is_retried(sandbox, path, in_chunks, kind):
    sandbox.faults.add(kind, path="chunked_upload$", after=1, times=2)
    TaskRunner().run(upload(path))
    assert len(uploaded(sandbox)) == 1


def test_an_interrupted_upload_is_resumed_by_a_retry(sandbox, path, in_chunks):
    task = TaskRunner()
    fault = sandbox.faults.add("status", path="chunked_upload$", after=2, status=403)
    with pytest.raises(PermissionDeniedError):
        task.run(upload(path))
    assert fault.hits == 1
    sandbox.counters.clear()
    task.run(upload(path))
    assert len(uploaded(sandbox)) == 1
    assert len(sandbox.amigocloud.uploads) == 0
    assert sandbox.counters.total("POST") == 1 + 3 + 1


@BOTH
def test_a_retry_after_a_crash_resumes_the_job(sandbox, path, deferrable):
    class Crash(BaseException):
        pass

    task, operator = TaskRunner(), upload(path)

    def crash(*_):
        raise Crash

    operator._wait = crash
    with pytest.raises(Crash):
        task.run(operator)
    again = task.run(upload(path, deferrable=deferrable))
    assert again["dataset_ids"] == uploaded(sandbox)
    assert (len(uploaded(sandbox)), sandbox.counters.total("POST")) == (1, 1)


def test_an_upload_without_a_response_is_not_sent_by_a_retry(sandbox, path):
    sandbox.faults.add("reset_after", method="POST")
    task = TaskRunner()
    for _ in range(2):
        with pytest.raises(AmbiguousWriteError):
            task.run(upload(path))
    assert sandbox.counters.total("POST") == 1


def test_an_upload_that_replaces_a_dataset_is_sent_again_by_a_retry(sandbox, path):
    sandbox.faults.add("reset_after", method="POST")
    task = TaskRunner()
    with pytest.raises(AmbiguousWriteError):
        task.run(upload(path, dataset=1))
    assert task.run(upload(path, dataset=1))["dataset_ids"] == [1]


def test_an_upload_that_is_gone_starts_over_when_it_replaces_a_dataset(sandbox, path, in_chunks):
    task = TaskRunner()
    sandbox.faults.add("reset_after", path="complete")
    with pytest.raises(AmbiguousWriteError) as caught:
        task.run(upload(path, dataset=1))
    assert not isinstance(caught.value, AirflowFailException)
    assert task.run(upload(path, dataset=1))["dataset_ids"] == [1]
    assert sandbox.amigocloud.store.count(1) == 200


def test_an_upload_that_adds_to_a_dataset_is_not_sent_by_a_retry(sandbox, path):
    sandbox.faults.add("reset_after", method="POST")
    task = TaskRunner()
    for _ in range(2):
        with pytest.raises(AmbiguousWriteError):
            task.run(upload(path, dataset=1, write_action="append"))
    assert sandbox.counters.total("POST") == 1


def test_an_upload_that_is_gone_is_not_started_over(sandbox, path, in_chunks):
    task = TaskRunner()
    sandbox.faults.add("reset_after", path="complete")
    for _ in range(2):
        with pytest.raises(AmbiguousWriteError):
            task.run(upload(path))
    assert sandbox.counters.total("complete") == 1


@BOTH
def test_a_failed_import_fails_the_task_and_a_retry_uploads_again(sandbox, path, deferrable):
    sandbox.amigocloud.job_failures = ["row 3 is odd"]
    task = TaskRunner()
    with pytest.raises(RunFailedError, match="row 3 is odd"):
        task.run(upload(path, deferrable=deferrable))
    assert task.run(upload(path, deferrable=deferrable))["dataset_ids"] == uploaded(sandbox)


@BOTH
def test_a_job_that_is_stuck_ends_in_a_timeout_and_is_found_again(sandbox, path, deferrable):
    sandbox.amigocloud.job_latency = 1e6
    task = TaskRunner()
    with pytest.raises(TimeoutError, match="was not done after"):
        task.run(upload(path, deferrable=deferrable, timeout=0.1))
    sandbox.clock.advance(2e6)
    assert task.run(upload(path, deferrable=deferrable))["dataset_ids"] == uploaded(sandbox)
    assert sandbox.counters.total("POST") == 1


@BOTH
@pytest.mark.parametrize("dataset", [None, 1], ids=["new", "replaced"])
def test_without_a_state_store_no_retry_uploads_what_may_still_be_imported(
    sandbox, path, deferrable, dataset
):
    sandbox.amigocloud.job_latency = 1e6
    task = TaskRunner(remembers=False)
    with pytest.raises(TimeoutError, match=r"job [0-9a-f]+ was not done after 0.1 s") as caught:
        task.run(upload(path, deferrable=deferrable, timeout=0.1, dataset=dataset))
    assert isinstance(caught.value, AirflowFailException) == (dataset is None)


@BOTH
def test_the_shorter_of_both_timeouts_ends_the_wait_for_a_job(sandbox, path, deferrable):
    sandbox.amigocloud.job_latency = 1e6
    bound = timedelta(seconds=0.2)
    with pytest.raises(TimeoutError, match=r"after 0.2 s \('execution_timeout'\)"):
        TaskRunner().run(upload(path, deferrable=deferrable, timeout=600, execution_timeout=bound))


def test_a_changed_request_is_a_new_upload(sandbox, path, tmp_path):
    task = TaskRunner()
    task.run(upload(path))
    other = tmp_path / "others.csv"
    other.write_text(ROWS)
    assert len(task.run(upload(str(other)))["dataset_ids"]) == 1
    assert sandbox.counters.total("POST") == 2


def test_a_refused_upload_is_refused_again_at_a_retry(sandbox, path, connect):
    task, conn_id = TaskRunner(), connect(password=seed.READ_TOKEN)
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            task.run(upload(path, amigocloud_conn_id=conn_id))


@pytest.mark.parametrize(("content", "said"), [(None, "there is no file"), ("", "is empty")])
def test_a_file_that_is_missing_or_empty_is_refused_before_any_request(sandbox, tmp_path, content, said):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=said):
        TaskRunner().run(upload(str(path)))
    assert sandbox.counters.total() == 0


def test_an_upload_without_progress_ends(sandbox, path, in_chunks):
    body = '{"upload_id": "u", "offset": 0}'
    sandbox.faults.add("status", path="chunked_upload$", status=200, body=body, times=None)
    with pytest.raises(RequestRejectedError, match="accepts no byte after byte 0"):
        TaskRunner().run(upload(path))


@pytest.mark.parametrize("offsets", [[700, 0] * 200, [10**9] * 2, [700] * 2])
def test_an_upload_that_makes_no_progress_ends(path: str, in_chunks: None, offsets: list[int]) -> None:
    """The service drops bytes again, claims to have more than there are, or takes no more."""
    replies = iter(offsets)
    with pytest.raises(RequestRejectedError, match="accepts no byte after"):
        uploads.upload(lambda _: api.UploadProgress("u", next(replies)), path, {}, uploads.Chunks())
