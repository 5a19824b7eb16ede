"""An empty argument never widens a selection, and a template's text is read as its type."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.amigocloud.conditions import DatasetHasChanged, JobIsDone
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import (
    AmigoCloudExportOperator,
    AmigoCloudSqlOperator,
    AmigoCloudUploadOperator,
)
from airflow_provider.amigocloud.sensors import (
    AmigoCloudDatasetSensor,
    AmigoCloudJobSensor,
    AmigoCloudSqlSensor,
)
from airflow_provider.amigocloud.triggers import (
    AmigoCloudDatasetTrigger,
    AmigoCloudEventTrigger,
    AmigoCloudTrigger,
)
from airflow_provider.core.input.conditions import list_condition
from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud import seed
from tests.support.task_runner import TaskRunner, first_event

EMPTY = ["", "  ", None, "None", "nan", float("nan"), [], {}, [None], [""]]
NAMED = [value for value in EMPTY if value is not None]
BOTH = pytest.mark.parametrize("deferrable", [True, False, "True", "False", "false"])
QUICK: dict[str, Any] = {"task_id": "task", "poke_interval": 0.1, "timeout": 5}
OUTLET = [Asset("rows", uri="x-test://rows")]


def refused(sandbox: Any, use: Any) -> str:
    with pytest.raises(InputError) as caught:
        use()
    assert sandbox.counters.total() == 0
    assert len(str(caught.value)) < 4096
    return str(caught.value)


# -- exports


@pytest.mark.parametrize("value", NAMED, ids=repr)
@pytest.mark.parametrize("source", ["sql", "dataset", "url", "saved_query"])
def test_an_empty_source_is_refused(sandbox, tmp_path, source, value):
    def use():
        AmigoCloudExportOperator(
            task_id="x", output_path=str(tmp_path / "a.jsonl"), **{source: value}
        ).execute({})

    assert source in refused(sandbox, use)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", NAMED, ids=repr)
@pytest.mark.parametrize("name", ["key", "incremental_column"])
def test_an_empty_column_is_refused(sandbox, tmp_path, name, value):
    arguments = {"key": "amigo_id", name: value, "outlets": OUTLET}

    def use():
        AmigoCloudExportOperator(
            task_id="x",
            output_path=str(tmp_path / "a.jsonl"),
            sql=f"SELECT * FROM dataset_{seed.ASSETS}",
            **arguments,
        ).execute({})

    assert f"'{name}'" in refused(sandbox, use)


@pytest.mark.parametrize(
    "arguments",
    [
        {"page_size": 0},
        {"page_size": "0"},
        {"page_size": ""},
        {"page_size": None},
        {"page_size": "many"},
        {"page_size": "[100]"},
        {"page_size": 1.5},
        {"concurrency": 0},
        {"concurrency": "0"},
        {"concurrency": -1},
        {"concurrency": True},
        {"full_refresh": "maybe"},
        {"full_refresh": ""},
        {"full_refresh": None},
        {"format": ""},
        {"format": "  "},
        {"output_path": None},
        {"output_path": ["a.jsonl"]},
        {"incremental_column": "updated_at", "lag": -1},
        {"incremental_column": "updated_at", "lag": "-1"},
        {"incremental_column": "updated_at", "lag": timedelta(-1)},
        {"incremental_column": "updated_at", "lag": float("nan")},
        {"incremental_column": "updated_at", "lag": ""},
        {"incremental_column": "updated_at", "lag": "a day"},
        {"lag": 0},
        {"dataset": "[2001]"},
        {"dataset": list(range(100_000))},
        {"dataset": 0},
        {"dataset": -5},
        {"dataset": True},
        {"dataset": 2001.5},
    ],
    ids=lambda value: repr(value)[:60],
)
def test_an_argument_of_the_wrong_kind_is_refused(sandbox, tmp_path, arguments):
    given = {"output_path": str(tmp_path / "a.jsonl"), "dataset": 1, "outlets": OUTLET, **arguments}
    refused(sandbox, lambda: AmigoCloudExportOperator(task_id="x", **given).execute({}))
    assert list(tmp_path.iterdir()) == []


def test_all_problems_of_an_export_are_named_at_once(sandbox):
    given = {"key": "", "page_size": "0", "concurrency": "x", "full_refresh": "?", "format": "xlsx"}
    text = refused(
        sandbox,
        lambda: AmigoCloudExportOperator(task_id="x", output_path="a", dataset="", lag=1, **given).execute(
            {}
        ),
    )
    for name in (*given, "dataset", "lag", "output_path"):
        assert f"'{name}'" in text or name == "output_path"


def test_what_a_template_made_is_read_as_its_type(sandbox, tmp_path):
    path = tmp_path / "a.jsonl"
    operator = AmigoCloudExportOperator(
        task_id="x",
        output_path=str(path),
        dataset=" 1 ",
        page_size="3",
        concurrency="2",
        full_refresh="False",
        incremental_column="value",
        lag="2.5",
        outlets=OUTLET,
    )
    assert operator.execute(TaskRunner().context())["rows"] == 8
    assert (operator.page_size, operator.concurrency, operator.full_refresh) == (3, 2, False)
    assert sandbox.counters.total("/sql") > 3


@pytest.mark.parametrize("lag", ["1 day, 0:00:00", "24:00:00", timedelta(days=1)], ids=str)
def test_a_lag_may_be_the_text_of_a_timedelta(tmp_path, lag):
    from airflow_provider.amigocloud.export.request import read_request

    operator = AmigoCloudExportOperator(
        task_id="x",
        output_path=str(tmp_path / "a.csv"),
        dataset=1,
        incremental_column="updated_at",
        lag=lag,
        outlets=OUTLET,
    )
    assert read_request(operator).lag == timedelta(days=1)


@pytest.mark.parametrize(
    "kind",
    [
        AmigoCloudExportOperator,
        AmigoCloudSqlOperator,
        AmigoCloudUploadOperator,
        AmigoCloudJobSensor,
        AmigoCloudDatasetSensor,
        AmigoCloudSqlSensor,
    ],
)
def test_every_argument_that_changes_what_is_done_is_templated(kind):
    import inspect

    names = {
        name
        for parent in kind.__mro__
        if parent.__module__.startswith(("airflow_provider.amigocloud", "airflow_provider.core.files"))
        for name in inspect.signature(parent.__init__).parameters
    }
    assert names - {"self", "kwargs"} == set(kind.template_fields)


# -- statements and uploads


@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_an_empty_statement_is_refused(sandbox, value):
    refused(sandbox, lambda: AmigoCloudSqlOperator(task_id="x", sql=value).execute({}))


@pytest.mark.parametrize(
    "arguments",
    [
        *({"source": value} for value in EMPTY),
        *({"dataset": value} for value in NAMED),
        {"options": "{'csv_props.delimiter': ';'}"},
        {"options": {"csv_props.delimiter": None}},
        {"options": {"csv_props.delimiter": [";"]}},
        {"deferrable": "perhaps"},
        {"poll_interval": 0},
        {"poll_interval": ""},
        {"timeout": "0"},
        {"timeout": None},
    ],
    ids=repr,
)
def test_an_empty_argument_of_an_upload_is_refused(sandbox, tmp_path, arguments):
    file = tmp_path / "a.csv"
    file.write_text("name\na\n")
    given = {"source": str(file), **arguments}
    refused(sandbox, lambda: AmigoCloudUploadOperator(task_id="x", **given).execute(TaskRunner().context()))


def test_arguments_of_an_upload_are_read_as_their_types(sandbox, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("name\na\n")
    sandbox.amigocloud.job_latency = 0.2
    for deferrable in ("True", "false"):
        task = AmigoCloudUploadOperator(
            task_id="x",
            source=str(file),
            dataset="1",
            deferrable=deferrable,
            poll_interval="0.1",
            timeout="0:01:00",
        )
        assert TaskRunner().run(task)["dataset_ids"] == [1]


# -- sensors


@BOTH
@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_an_empty_job_is_not_waited_for(sandbox, value, deferrable):
    sensor = AmigoCloudJobSensor(job_id=value, deferrable=deferrable, **QUICK)
    assert "'job_id'" in refused(sandbox, lambda: TaskRunner().run(sensor))


@BOTH
@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_an_empty_dataset_is_not_waited_for(sandbox, value, deferrable):
    sensor = AmigoCloudDatasetSensor(dataset=value, deferrable=deferrable, **QUICK)
    assert "'dataset'" in refused(sandbox, lambda: TaskRunner().run(sensor))


@pytest.mark.parametrize("value", NAMED, ids=repr)
def test_an_empty_state_is_not_any_state(sandbox, value):
    sensor = AmigoCloudDatasetSensor(dataset=1, since=value, deferrable=False, **QUICK)
    assert "'since'" in refused(sandbox, lambda: TaskRunner().run(sensor))


@pytest.mark.parametrize("value", NAMED, ids=repr)
@pytest.mark.parametrize("name", ["sql", "saved_query"])
def test_an_empty_query_is_not_waited_for(sandbox, name, value):
    sensor = AmigoCloudSqlSensor(**{name: value}, deferrable=False, **QUICK)
    assert f"'{name}'" in refused(sandbox, lambda: TaskRunner().run(sensor))


@pytest.mark.parametrize("arguments", [{}, {"sql": "SELECT 1", "saved_query": 77}])
def test_a_sensor_has_exactly_one_query(sandbox, arguments):
    sensor = AmigoCloudSqlSensor(deferrable=False, **arguments, **QUICK)
    assert "exactly one of 'sql' and 'saved_query'" in refused(sandbox, lambda: TaskRunner().run(sensor))


@BOTH
def test_the_mode_of_a_sensor_is_read_as_a_boolean(sandbox, deferrable):
    sensor = AmigoCloudDatasetSensor(dataset="1", since="older", deferrable=deferrable, **QUICK)
    assert TaskRunner().run(sensor)["dataset"] == "1"


@pytest.mark.parametrize("job_id", ["", None, "None"])
def test_a_stored_trigger_without_its_condition_fails(sandbox, job_id):
    trigger = AmigoCloudTrigger(
        amigocloud_conn_id="amigocloud_default",
        question=JobIsDone.__name__,
        about={"job_id": job_id},
        deadline=2e9,
    )
    assert asyncio.run(first_event(trigger))["type"] == "InputError"
    assert sandbox.counters.total() == 0


# -- the hook


@pytest.mark.parametrize("value", EMPTY, ids=repr)
@pytest.mark.parametrize(
    "use",
    [
        lambda hook, value: hook.get_records(value),
        lambda hook, value: hook.get_first(value),
        lambda hook, value: hook.get_df(value),
        lambda hook, value: hook.run(value),
        lambda hook, value: hook.get_cursor("sql", {"query": value}),
        lambda hook, value: hook.get_saved_query(value),
        lambda hook, value: hook.get_job(value),
        lambda hook, value: asyncio.run(hook.aget_job(value)),
        lambda hook, value: hook.get_master(value),
        lambda hook, value: hook.get_schema(value),
        lambda hook, value: hook.delete_dataset(value),
        lambda hook, value: hook.submit_change(value, "DELETE", [{"amigo_id": "a"}]),
        lambda hook, value: hook.submit_change(1, value, [{"amigo_id": "a"}]),
        lambda hook, value: hook.revert(value, "a"),
        lambda hook, value: hook.revert(1, value),
        lambda hook, value: hook.start_export(1, value),
        lambda hook, value: hook.create_dataset(value, []),
    ],
    ids=[
        "get_records",
        "get_first",
        "get_df",
        "run",
        "get_cursor",
        "get_saved_query",
        "get_job",
        "aget_job",
        "get_master",
        "get_schema",
        "delete_dataset",
        "submit_change",
        "submit_change action",
        "revert",
        "revert state",
        "start_export",
        "create_dataset",
    ],
)
def test_an_empty_argument_of_the_hook_is_refused(sandbox, use, value):
    with AmigoCloudHook() as hook:
        refused(sandbox, lambda: use(hook, value))


@pytest.mark.parametrize("value", ["", "  ", None, float("nan"), [], {}, [None], 5], ids=repr)
def test_a_row_without_an_id_is_not_changed(sandbox, value):
    with AmigoCloudHook() as hook:
        text = refused(sandbox, lambda: hook.submit_change(1, "DELETE", [{"amigo_id": value}]))
    assert "row 1 has no amigo_id" in text


@pytest.mark.parametrize("url", ["", "  ", None])
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "get_cursor"])
def test_an_empty_url_is_refused(sandbox, method, url):
    with AmigoCloudHook() as hook:
        refused(sandbox, lambda: getattr(hook, method)(url))


def test_a_null_parameter_of_a_list_is_refused(sandbox):
    with AmigoCloudHook() as hook:
        assert "'search'" in refused(sandbox, lambda: hook.get_cursor("/me/projects", {"search": None}))
        assert len(list(hook.get_cursor("/me/projects", {"summary": ""}))) == 25


def test_no_rows_change_nothing(sandbox):
    with AmigoCloudHook() as hook:
        assert hook.submit_change(1, "DELETE", []) == []
    assert sandbox.counters.total() == 0


def test_whole_numbers_of_any_kind_are_ids():
    import numpy as np

    for dataset in (1, "1", 1.0, " 1 ", np.int64(1)):
        assert DatasetHasChanged(dataset).call(in_project=True).path == "datasets/1/master"


# -- watchers

NEVER = [
    *(
        (AmigoCloudEventTrigger, {"events": events})
        for events in ([], [""], [" "], None, "", "  ", [None], {}, 5, [5])
    ),
    *((AmigoCloudEventTrigger, {"events": ["realtime"], "dataset": value}) for value in NAMED),
    *((AmigoCloudDatasetTrigger, {"dataset": value}) for value in EMPTY),
    (AmigoCloudDatasetTrigger, {"dataset": 1, "poll_interval": 0}),
]


@pytest.mark.parametrize(("kind", "arguments"), NEVER, ids=repr)
def test_a_watcher_that_can_never_fire_fails_when_the_dag_is_parsed(kind, arguments):
    trigger = kind(**arguments)
    with pytest.raises(InputError) as caught:
        trigger.serialize()
    assert kind.__name__ in str(caught.value)
    assert f"'{[*arguments][-1]}'" in str(caught.value)


@pytest.mark.parametrize(("kind", "arguments"), [NEVER[0], NEVER[1], NEVER[-2]], ids=repr)
def test_a_stored_watcher_that_can_never_fire_logs_one_error_and_sends_nothing(
    sandbox, capsys, kind, arguments
):
    trigger = kind(**arguments)

    async def wait() -> None:
        async with asyncio.timeout(0.05):
            async for event in trigger.run():
                raise AssertionError(event)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    assert capsys.readouterr().out.count("This watcher can never fire") == 1
    assert sandbox.counters.total() == 0


def test_the_interval_of_a_watcher_is_above_zero():
    for trigger in (
        AmigoCloudDatasetTrigger(dataset=1, poll_interval=0),
        AmigoCloudEventTrigger(events=["realtime"], poll_interval=-1),
    ):
        (problem,) = trigger.problems()
        assert problem.startswith("'poll_interval' must be ")
        with pytest.raises(InputError, match=r"Trigger: 'poll_interval' must be .* above 0"):
            trigger.serialize()


def test_a_watcher_that_can_fire_is_stored_as_before():
    trigger = AmigoCloudEventTrigger(events="realtime", dataset="2001")
    path, arguments = trigger.serialize()
    assert path.endswith("triggers.AmigoCloudEventTrigger")
    assert json.loads(json.dumps(arguments)) == {
        "amigocloud_conn_id": "amigocloud_default",
        "events": ["realtime"],
        "dataset": "2001",
        "poll_interval": 60.0,
    }


@pytest.mark.parametrize("kind", [AmigoCloudEventTrigger, AmigoCloudDatasetTrigger])
@pytest.mark.parametrize(("dataset", "said"), [(0, "0"), ("", "''"), ("x", "'x'"), (False, "False")])
def test_a_dataset_of_a_watcher_that_is_no_id_is_shown_as_it_is(kind, dataset, said):
    events = {"events": ["realtime"]} if kind is AmigoCloudEventTrigger else {}
    (problem,) = kind(dataset=dataset, **events).problems()
    assert problem == f"'dataset' must be the id of a dataset, a whole number, not {said}"


@pytest.mark.parametrize("events", ["realtime", ["realtime"], ("realtime",)])
def test_what_a_watcher_watches(events):
    assert AmigoCloudEventTrigger(events=events).watched() == (["realtime"], None)
    assert AmigoCloudEventTrigger(events=events, dataset="7").watched() == (["realtime"], 7)
    assert AmigoCloudDatasetTrigger(dataset="7").watched() == (["dataset:changed"], 7)
    assert AmigoCloudEventTrigger(events=events).problems() == []
    assert AmigoCloudEventTrigger(events=[]).problems() == [
        "'events' is empty, so no event is wanted",
        *list_condition([], "'events'"),
    ]
