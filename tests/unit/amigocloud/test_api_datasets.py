"""Datasets are created, changed and reverted through the hook."""

from __future__ import annotations

import hashlib

import pytest

from airflow_provider.amigocloud import api_datasets
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.errors import AmbiguousWriteError, InputError, NotFoundError, TransportError
from airflow_provider.sandbox.amigocloud import seed

pytestmark = pytest.mark.both_engines


@pytest.fixture
def hook(sandbox):
    with AmigoCloudHook() as hook:
        yield hook


def done(sandbox, hook, *jobs):
    sandbox.clock.advance(10)
    assert {hook.get_job(job)["status"] for job in jobs} <= {"SUCCESS"}


def key(name):
    return hashlib.md5(name.encode()).hexdigest()


def test_rows_are_inserted_in_batches_under_ids_of_the_callers_choice(sandbox, hook, monkeypatch):
    monkeypatch.setattr(api_datasets, "BATCH", 1000)
    rows = [{"amigo_id": key(f"n{n}"), "name": f"n{n}", "value": n} for n in range(2500)]
    jobs = hook.submit_change(1, "INSERT", rows)
    assert len(jobs) == 3
    done(sandbox, hook, *jobs)
    assert sandbox.amigocloud.store.count(1) == 2508
    done(sandbox, hook, *hook.submit_change(1, "INSERT", rows))
    assert sandbox.amigocloud.store.count(1) == 2508


def test_a_change_without_a_response_is_retried_and_acts_once(sandbox, hook):
    sandbox.faults.add("reset_after", path="submit_change")
    (job,) = hook.submit_change(1, "INSERT", [{"amigo_id": key("x"), "name": "x"}])
    done(sandbox, hook, job)
    assert sandbox.amigocloud.store.count(1) == 9


@pytest.mark.parametrize("dataset", ["1/../2", "²", "1?x=y", "", True, "1 2"])
@pytest.mark.one_engine("embedded", "no request is sent")
def test_an_id_that_is_no_number_is_named_before_any_request(sandbox, hook, dataset):
    with pytest.raises(InputError, match="must be the id of a dataset, a whole number"):
        hook.delete_dataset(dataset)
    assert sandbox.counters.total() == 0


def test_rows_are_updated_and_deleted_by_id(sandbox, hook):
    done(sandbox, hook, *hook.submit_change(1, "UPDATE", [{"amigo_id": key("Bohr"), "value": 77}]))
    assert hook.get_first("SELECT value FROM dataset_1 WHERE name = 'Bohr'") == {"value": 77.0}
    done(sandbox, hook, *hook.submit_change(1, "DELETE", [{"amigo_id": key("Bohr")}]))
    assert hook.get_first("SELECT value FROM dataset_1 WHERE name = 'Bohr'") is None


@pytest.mark.parametrize(
    ("action", "rows", "said"),
    [
        ("INSERT", [{"amigo_id": "a"}, {"name": "b"}], "row 2 has no amigo_id"),
        ("INSERT", [{"amigo_id": "a"}, {"amigo_id": "a"}], "row 2 has the amigo_id of row 1: a"),
        ("TRUNCATE", [], "must be one of INSERT, UPDATE, DELETE"),
    ],
)
@pytest.mark.one_engine("embedded", "no request is sent")
def test_rows_without_unique_ids_are_named_before_any_request(sandbox, hook, action, rows, said):
    with pytest.raises(InputError, match=said):
        hook.submit_change(1, action, rows)
    assert sandbox.counters.total() == 0


def test_a_dataset_is_made_described_and_deleted(sandbox, hook):
    made = hook.create_dataset("Trees", [{"name": "height", "type": "float"}])
    assert [field["name"] for field in hook.get_schema(made["id"])] == ["amigo_id", "height"]
    hook.delete_dataset(made["id"])
    with pytest.raises(NotFoundError):
        hook.get_schema(made["id"])


DELETIONS = [lambda hook: hook.delete_dataset(1), lambda hook: hook.delete("datasets/1")]
by_each_method = pytest.mark.parametrize("delete", DELETIONS, ids=["delete_dataset", "delete"])


@by_each_method
@pytest.mark.parametrize("kind", ["reset_after", "truncate", "html"])
def test_a_dataset_that_is_gone_after_a_missing_response_was_deleted(sandbox, hook, delete, kind):
    # The service acts, then the answer is lost; what is sent again finds nothing.
    sandbox.faults.add(kind, method="DELETE")
    delete(hook)
    assert 1 not in sandbox.amigocloud.store.datasets
    assert sandbox.counters.total("DELETE") <= 2


@by_each_method
def test_a_dataset_that_was_never_there_is_not_found(sandbox, hook, delete):
    sandbox.amigocloud.store.drop(1)
    sandbox.faults.add("status", status=503, method="DELETE")
    with pytest.raises(NotFoundError):
        delete(hook)


@by_each_method
def test_a_deletion_that_never_gets_an_answer_says_so(sandbox, hook, delete):
    sandbox.faults.add("reset_before", method="DELETE", times=None)
    with pytest.raises(TransportError):
        delete(hook)
    assert 1 in sandbox.amigocloud.store.datasets


def test_a_dataset_is_not_created_twice_without_a_response(sandbox, hook):
    sandbox.faults.add("reset_after", path="create")
    with pytest.raises(AmbiguousWriteError):
        hook.create_dataset("Trees", [])
    assert len(sandbox.amigocloud.store.datasets) == 4


def test_a_dataset_is_put_back(sandbox, hook):
    rows, state = hook.get_records("SELECT * FROM dataset_1 ORDER BY name"), hook.get_master(1)
    hook.run("DELETE FROM dataset_1")
    done(sandbox, hook, hook.revert(1, state))
    assert hook.get_records("SELECT * FROM dataset_1 ORDER BY name") == rows


def test_the_services_own_export_is_fetched_by_its_link(sandbox, hook):
    job = hook.start_export(1, "KML")
    done(sandbox, hook, job)
    link = hook.get_job(job)["extra"]["link"]
    assert hook.get(link, raw=True).startswith(b"<?xml")


def test_a_link_to_another_host_is_fetched_without_the_token(sandbox, hook):
    sandbox.amigocloud.foreign_exports = True
    job = hook.start_export(1, "KML")
    done(sandbox, hook, job)
    with hook.download(hook.get_job(job)["extra"]["link"]) as stream:
        assert b"".join(stream.chunks()).startswith(b"<?xml")


def test_a_data_frame_has_the_querys_columns_even_when_it_is_empty(hook):
    pd = pytest.importorskip("pandas")
    frame = hook.get_df("SELECT name, value FROM dataset_1 ORDER BY value")
    assert isinstance(frame, pd.DataFrame)
    assert frame["value"].tolist() == [n * 1.5 for n in range(8)]
    assert list(hook.get_df("SELECT name FROM dataset_1 WHERE 1 = 0").columns) == ["name"]
    assert len(hook.get_df(f"SELECT number FROM dataset_{seed.ASSETS}")) == 3000


def test_a_data_frame_without_pandas_says_so(sandbox, hook, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="needs pandas"):
        hook.get_df("SELECT 1")
    assert sandbox.counters.total() == 0
