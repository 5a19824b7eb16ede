"""Sync of a dataset: what changes, what is refused before the first write, and what is verified."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudSyncDatasetOperator
from airflow_provider.amigocloud.sync import reading
from airflow_provider.errors import (
    InputError,
    PlanRejectedError,
    RequestRejectedError,
    VerificationError,
)
from airflow_provider.sandbox.amigocloud.seed import EDIT_PROJECT_TOKEN
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import DESKS, POINT, desk
from tests.support.task_runner import TaskRunner

NEW = {
    "code": "N-1",
    "label": "New",
    "seats": 4,
    "place": "POINT(12.5 -50)",
    "seen_at": "2025-02-01T10:00:00Z",
}


@pytest.mark.both_engines
def test_rows_are_created_updated_and_left_alone(sync, desks):
    result = sync([NEW, {"code": "D-1", "label": "Other"}, {"code": "D-2", "label": "Desk 2"}])
    counts = {name: result[name] for name in ("create", "update", "delete", "unchanged", "failed")}
    assert counts == {"create": 1, "update": 1, "delete": 0, "unchanged": 1, "failed": 0}
    assert result["plan"] is None
    found = desks()
    assert found["D-1"] == {**desk(1), "label": "Other"}
    assert found["D-2"] == desk(2)
    new = found["N-1"]
    assert (new["place"], new["seen_at"], new["seats"]) == (POINT, "2025-02-01 10:00:00+00:00", 4)
    assert len(found) == 31


@pytest.mark.both_engines
def test_a_second_run_writes_nothing(sandbox, sync, service):
    rows = [NEW, {"code": "D-1", "label": "Other"}]
    sync(rows)
    state = service.store.master(DESKS)
    assert sync(rows)["unchanged"] == 2
    assert service.store.master(DESKS) == state


def test_the_result_is_that_of_the_sync_of_a_map(sync, service):
    before = service.store.master(DESKS)
    result = sync([NEW])
    assert result.keys() >= {
        *("create", "update", "delete", "deactivate", "unchanged", "failed", "requests", "plan")
    }
    assert (result["state_before"], result["state"]) == (before, service.store.master(DESKS))
    json.dumps(result)


@pytest.mark.both_engines
def test_missing_rows_are_deleted_within_the_limits(sync, desks):
    rows = [desk(number) for number in range(28)]
    with pytest.raises(PlanRejectedError, match="2 deletions are more than max_deletes=0"):
        sync(rows, missing="delete")
    with pytest.raises(PlanRejectedError, match="max_delete_ratio=0.05"):
        sync(rows, missing="delete", max_deletes=2, max_delete_ratio=0.05)
    assert len(desks()) == 30
    assert sync(rows, missing="delete", max_deletes=2)["delete"] == 2
    assert desks().keys() == {f"D-{number}" for number in range(28)}


def test_too_many_changes_are_rejected(sync, desks):
    rows = [{"code": f"D-{number}", "label": "x"} for number in range(5)]
    with pytest.raises(PlanRejectedError, match="5 changes are more than max_changes=4"):
        sync(rows, max_changes=4)
    assert desks()["D-0"] == desk(0)


def test_an_empty_source_deletes_only_what_the_limits_allow(sync, desks):
    for limits in ({}, {"max_deletes": 30}, {"max_delete_ratio": 1.0}):
        with pytest.raises(PlanRejectedError, match="the source is empty"):
            sync([], missing="delete", **limits)
    assert len(desks()) == 30
    assert sync([])["unchanged"] == 0
    assert sync([], missing="delete", max_deletes=30, max_delete_ratio=1.0)["delete"] == 30
    assert desks() == {}


def test_rows_without_a_key_are_never_changed(sync, service, desks):
    service.store.write(f"UPDATE dataset_{DESKS} SET code = NULL WHERE code IN ('D-1', 'D-2')")
    result = sync([desk(number) for number in (0, *range(3, 30))], missing="delete")
    assert (result["delete"], result["unchanged"]) == (0, 28)


def test_only_fields_of_a_row_are_written(sandbox, sync, service, desks):
    sync([{"code": "D-3", "seats": 9}])
    assert desks()["D-3"] == {**desk(3), "seats": 9}
    change = service.store.datasets[DESKS].changes[service.store.master(DESKS)]
    assert change["data"] == [{"amigo_id": desk(3)["amigo_id"], "new": {"seats": 9}}]


@pytest.mark.both_engines
def test_null_clears_a_field_and_a_missing_value_does_not(sync, desks):
    sync([{"code": "D-1", "label": None, "seats": float("nan")}])
    assert desks()["D-1"] == {**desk(1), "label": None}


def test_defaults_fill_fields_that_rows_do_not_have(sync, desks):
    sync([{"code": "D-1"}, {"code": "D-2", "seats": 2}], defaults={"seats": 7})
    assert (desks()["D-1"]["seats"], desks()["D-2"]["seats"]) == (7, 2)
    with pytest.raises(InputError, match=r"defaults: .*no field 'seat'.*'seats'"):
        sync([], defaults={"seat": 7})


BAD: list[tuple[dict[str, Any], str]] = [
    ({"code": "D-1", "seat": 3}, r"the dataset has no field 'seat'; did you mean 'seats'\?"),
    ({"code": "D-1", "seats": "many"}, r"row 1 \(D-1\): seats must be a whole number, not 'many'"),
    ({"code": "D-1", "seats": 2.5}, "seats must be a whole number"),
    ({"code": "D-1", "price": "1,5"}, "price must be a number"),
    ({"code": "D-1", "price": float("inf")}, "price is inf"),
    ({"code": "D-1", "free": "maybe"}, "free must be true or false"),
    ({"code": "D-1", "bought_on": "31.12.2025"}, "bought_on must be a date"),
    ({"code": "D-1", "seen_at": "2025-01-01T10:00:00"}, "without a time zone"),
    ({"code": "D-1", "place": "POINT(1"}, "place is no geometry"),
    ({"code": "D-1", "place": "POLYGON((0 0, 1 0, 1 1, 0 0))"}, "is a Polygon, but the field holds POINT"),
    ({"code": "D-1", "label": ["a"]}, "label must be a text"),
    ({"code": "D" * 21}, "code has 21 characters; the field holds 20"),
    ({"code": 1.5}, "a number with a fraction, which is no key"),
    ({"label": "x"}, "row 1: has no code, by which it could be matched"),
    ({"code": "", "label": "x"}, "has no code"),
    ({"code": None}, "code is null"),
    ({"code": "D-1", "amigo_id": desk(2)["amigo_id"]}, "amigo_id is 0*2, but in the dataset it is 0*1"),
    ({"code": "new", "amigo_id": desk(2)["amigo_id"]}, "amigo_id 0*2 belongs to a row with another code"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "words"), BAD, ids=lambda value: str(value)[:40])
def test_a_wrong_row_is_refused_before_the_first_write(sandbox, sync, desks, row, words):
    with pytest.raises(InputError, match=words):
        sync([row, {"code": "D-5", "label": "changed"}])
    assert desks()["D-5"] == desk(5)
    assert len(desks()) == 30


def test_all_problems_are_raised_together(sync):
    rows = [{"code": "a", "seats": "x"}, {"code": "b", "price": "y", "free": 3}, {"code": "a"}, "text"]
    with pytest.raises(InputError) as caught:
        sync(rows)
    assert len(caught.value.problems) == 5
    assert "row 3 (a): has the code of row 1" in caught.value.problems
    assert "row 4: is not an object, but str" in caught.value.problems


def test_keys_that_the_dataset_repeats_are_refused(sync, service, desks):
    service.store.write(f"UPDATE dataset_{DESKS} SET code = 'D-1' WHERE code = 'D-2'")
    with pytest.raises(InputError, match="code is that of several rows of the dataset"):
        sync([{"code": "D-1", "label": "x"}])
    assert sync([{"code": "D-3", "label": "x"}])["update"] == 1
    rows = [{"code": "D-1", "label": "y"}, {"code": "D-4", "label": "y"}]
    skipped = sync(rows, on_row_error="skip")
    assert (skipped["update"], skipped["failed"]) == (1, 1)
    rows = [desk(number) for number in range(3, 30)]
    with pytest.raises(InputError, match="code 'D-1' is that of 2 rows of the dataset"):
        sync(rows, missing="delete", max_deletes=5)


def test_skipped_rows_are_listed_and_neither_changed_nor_deleted(sync, desks, tmp_path):
    rows = [desk(number) for number in range(30)]
    rows[4] = {"code": "D-4", "seats": "x"}
    rows[5] = {**rows[5], "label": "Other"}
    plan = str(tmp_path / "plan.json")
    result = sync(rows, on_row_error="skip", missing="delete", plan_output=plan)
    assert (result["update"], result["failed"], result["unchanged"], result["delete"]) == (1, 1, 28, 0)
    (line,) = Path(f"{plan}.failed.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "row": 5,
        "key": "D-4",
        "reasons": ["seats must be a whole number, not 'x'"],
    }
    with pytest.raises(PlanRejectedError, match="rows without a match are left out"):
        sync(
            [*rows[:4], {"label": "x"}],
            on_row_error="skip",
            missing="delete",
            max_deletes=30,
            max_delete_ratio=1,
        )


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("price", "is of type float, which is no key"),
        ("place", "which is no key"),
        ("cod", "has no field 'cod'; did you mean 'code'"),
    ],
)
def test_a_field_that_is_no_key_is_refused(sync, key, words):
    with pytest.raises(InputError, match=words):
        sync([{"code": "D-1"}], key=key)


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"dataset": "x"}, "'dataset' must be the id"),
    ({"dataset": ""}, "'dataset'"),
    ({"key": ""}, "'key' is empty"),
    ({"key": "None"}, "'key' is 'None'"),
    ({"mode": "dry"}, "'mode' must be one of plan, apply"),
    ({"missing": "deactivate"}, "'missing' must be one of ignore, delete"),
    ({"on_row_error": "stop"}, "'on_row_error' must be"),
    ({"max_changes": ""}, "'max_changes'"),
    ({"max_deletes": -1}, "'max_deletes'"),
    ({"max_delete_ratio": 2}, "'max_delete_ratio'"),
    ({"mode": "plan"}, "mode='plan' needs plan_output"),
    ({"source": None}, "exactly one of 'source', 'plan' and 'restore'"),
    ({"plan": "p.json"}, "exactly one of"),
    ({"restore": "None"}, "'restore' is the text 'None'"),
    ({"plan": "None"}, "'plan' is the text 'None'"),
    ({"plan_output": "None"}, "'plan_output' is the text 'None'"),
    ({"restore": ""}, "'restore' is"),
    ({"plan_output": " "}, "'plan_output' is empty"),
    ({"batch_size": 0}, "'batch_size'"),
    ({"timeout": 0}, "'timeout'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("given", "words"), ARGUMENTS, ids=lambda value: str(value)[:40])
def test_arguments_are_checked_before_any_request(sandbox, service, given, words):
    arguments = {"dataset": DESKS, "key": "code", "source": [], **given}
    with pytest.raises(InputError, match=words):
        AmigoCloudSyncDatasetOperator(task_id="t", **arguments).execute({})
    assert not sandbox.counters.requests


def test_a_source_that_cannot_be_read_is_refused_before_any_request(sandbox, service):
    task = AmigoCloudSyncDatasetOperator(task_id="t", dataset=DESKS, key="code", source="nowhere.csv")
    with pytest.raises(InputError, match="nowhere"):
        task.execute({})
    assert not sandbox.counters.requests


def test_texts_of_a_template_are_read_as_their_types(sync):
    rows = [desk(number) for number in range(29)]
    given = {"missing": "delete", "max_deletes": "1", "max_delete_ratio": "0.5", "verify": "False"}
    result = sync(rows, max_changes="5", batch_size="10", dataset=str(DESKS), **given)
    assert result["delete"] == 1


def test_amigo_id_is_a_key_and_chooses_the_ids_of_new_rows(sync, desks):
    rows = [{"amigo_id": desk(1)["amigo_id"], "label": "Other"}, {"amigo_id": "own", "code": "N-1"}]
    result = sync(rows, key="amigo_id")
    assert (result["create"], result["update"]) == (1, 1)
    assert desks()["N-1"]["amigo_id"] == "own"
    assert sync(rows, key="amigo_id")["unchanged"] == 2


def test_numbers_are_keys_however_they_are_written(service, sync):
    for key in (5, 5.0, "5", Decimal(5)):
        result = sync([{"number": key, "name": f"as {key!r}"}], key="number", dataset=2001)
        assert (result["create"], result["update"]) == (0, 1)


def test_the_id_of_a_renamed_row_is_not_used_again(sync, service, desks):
    sync([NEW])
    service.store.write(f"UPDATE dataset_{DESKS} SET code = 'renamed' WHERE code = 'N-1'")
    assert sync([NEW])["create"] == 1
    found = desks()
    assert {"renamed", "N-1"} <= found.keys()
    assert sync([NEW])["unchanged"] == 1
    assert found["N-1"] == desks()["N-1"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "jsonl.gz", "geoparquet", "geojson"])
def test_an_export_of_the_dataset_is_a_source_that_changes_nothing(sync, service, tmp_path, ending):
    path = str(tmp_path / f"desks.{ending}")
    TaskRunner().run(AmigoCloudExportOperator(task_id="e", dataset=2001, output_path=path))
    state = service.store.master(2001)
    result = sync(path, dataset=2001, key="number", missing="delete")
    assert (result["unchanged"], result["update"]) == (3000, 0)
    assert service.store.master(2001) == state


def test_rows_of_many_files_are_named_by_file_and_row(sync, tmp_path):
    for number in (1, 2):
        (tmp_path / f"part-{number}.csv").write_text(f"Code;Sitze\nD-{number};{'x' if number == 2 else 3}\n")
    columns = {"Code": "code", "Sitze": "seats"}
    with pytest.raises(InputError, match=r"row part-2.csv:1 \(D-2\): seats must be a whole number"):
        sync(f"{tmp_path}/part-*.csv", columns=columns, csv_delimiter=";")
    result = sync(f"{tmp_path}/part-1.csv", columns=columns)
    assert (result["update"], result["failed"]) == (1, 0)


def test_rows_that_the_service_rejects_end_the_sync(sync, service, desks):
    service.store.db.execute(
        f"CREATE TRIGGER refused BEFORE UPDATE ON dataset_{DESKS} WHEN new.label = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'label is not allowed'); END"
    )
    rows = [{"code": f"D-{number}", "label": "bad" if number == 7 else "good"} for number in range(20)]
    with pytest.raises(
        RequestRejectedError, match=r"row 8 \(D-7\): label is not allowed.*written: 19 updated"
    ):
        sync(rows)
    assert sum(row["label"] == "good" for row in desks().values()) == 19
    assert desks()["D-7"] == desk(7)
    result = sync(rows, on_row_error="skip")
    assert (result["unchanged"], result["failed"], result["update"]) == (19, 1, 0)


def test_rows_without_a_key_are_counted_on_all_pages(sync, service, monkeypatch, capsys, caplog):
    monkeypatch.setattr(reading, "PAGE", 10)
    service.store.write(f"UPDATE dataset_{DESKS} SET code = NULL WHERE code IN ('D-1', 'D-25')")
    result = sync([{"code": "D-2", "label": "x"}], missing="delete", max_deletes=30, max_delete_ratio=1)
    assert (result["update"], result["delete"]) == (1, 27)
    assert "2 of 30 rows of the dataset have no code" in caplog.text + "".join(capsys.readouterr())


def test_a_change_that_the_dataset_does_not_show_is_an_error(sync, service):
    service.store.db.execute(
        f"CREATE TRIGGER kept AFTER UPDATE OF label ON dataset_{DESKS} WHEN new.label = 'lost'"
        f" BEGIN UPDATE dataset_{DESKS} SET label = 'kept', seats = 1 WHERE amigo_id = new.amigo_id; END"
    )
    words = r"update .* \(D-1\): label is 'kept', not 'lost'; seats is 1, not 9"
    with pytest.raises(VerificationError, match=words):
        sync([{"code": "D-1", "label": "lost", "seats": 9}])
    assert sync([{"code": "D-2", "label": "lost"}], verify=False)["update"] == 1


def test_a_token_that_may_not_read_jobs_is_enough(sandbox, sync, connect, service, desks):
    service.job_latency = 0.02
    conn_id = connect(password=EDIT_PROJECT_TOKEN)
    result = sync([NEW, {"code": "D-1", "label": "x"}], amigocloud_conn_id=conn_id, poll_interval=0.01)
    assert (result["create"], result["update"]) == (1, 1)
    assert desks()["D-1"]["label"] == "x"


def test_changes_are_written_in_few_requests(sandbox, service, sync):
    rows = [{"number": number, "floor": 77} for number in range(2500)]
    sandbox.counters.reset()
    assert sync(rows, dataset=2001, key="number")["update"] == 2500
    assert sandbox.counters.total("submit_change") == 3


def test_a_dataset_of_no_project_is_refused(sync, connect):
    conn_id = connect(extra={"project_url": None})
    with pytest.raises(InputError, match="project_url"):
        sync([NEW], amigocloud_conn_id=conn_id)


def test_a_dataset_without_rows_is_filled(sync, service):
    service.store.add(Dataset(4002, 1234, "empty", [{"name": "code", "type": "string"}]))
    assert sync([{"code": f"c{n}"} for n in range(3)], dataset=4002)["create"] == 3
    assert service.store.count(4002) == 3


@pytest.mark.parametrize("repeats", [2, 3])
def test_all_rows_with_a_repeated_key_are_left_out(sync, desks, tmp_path, repeats):
    plan = tmp_path / "plan.json"
    rows = [{"code": "D-1", "label": f"label {n}"} for n in range(repeats)] + [{"code": "D-2", "label": "x"}]
    result = sync(rows, on_row_error="skip", plan_output=str(plan))
    assert (result["update"], result["failed"]) == (1, repeats)
    assert (desks()["D-1"]["label"], desks()["D-2"]["label"]) == ("Desk 1", "x")
    failed = [json.loads(line) for line in (tmp_path / "plan.json.failed.jsonl").read_text().splitlines()]
    assert sorted(one["row"] for one in failed) == list(range(1, repeats + 1))
    assert all(reason.startswith("has the code of row ") for one in failed for reason in one["reasons"])


def test_rows_that_are_left_out_are_counted_not_their_problems(sync):
    rows = [{"code": "D-1", "seats": "many", "label": "x", "free": "perhaps"}, {"code": "D-1", "price": "x"}]
    assert sync(rows, on_row_error="skip")["failed"] == 2
    assert sync([{"seats": 1, "label": "x"}], key="seats", on_row_error="skip")["failed"] == 1


def test_defaults_that_a_template_made_a_text_are_refused_with_the_remedy(sync):
    for text in ("None", "", '{"label": "x"}'):
        with pytest.raises(InputError, match="render_template_as_native_obj"):
            sync([{"code": "D-1"}], defaults=text)
