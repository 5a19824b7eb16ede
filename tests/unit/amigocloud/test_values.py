"""Values of rows, bodies and parameters are understood, or refused before the first request."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.amigocloud import api, api_datasets
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.operators import AmigoCloudUploadOperator
from airflow_provider.amigocloud.sensors import AmigoCloudJobSensor, AmigoCloudSqlSensor
from airflow_provider.errors import InputError
from airflow_provider.sandbox.amigocloud import seed
from tests.support.hypothesis_sizes import examples
from tests.support.task_runner import TaskRunner

ID = UUID("0359ef48-33d2-4225-ac21-b59056dde2e0")


@pytest.fixture
def hook(sandbox):
    with AmigoCloudHook() as hook:
        yield hook


def sent(rows: Any, action: str = "INSERT") -> list[dict[str, Any]]:
    return [record for batch in api_datasets.batches(action, rows) for record in batch]


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (np.int64(4), 4),
        (np.float32(1.5), 1.5),
        (np.bool_(True), True),
        (Decimal("1.5"), 1.5),
        (ID, str(ID)),
        (Colour.RED, "red"),
        (date(2025, 1, 2), "2025-01-02"),
        (datetime(2025, 1, 2, 3, tzinfo=UTC), "2025-01-02T03:00:00Z"),
        (pd.Timestamp("2025-01-02T03:00", tz="Europe/Berlin"), "2025-01-02T02:00:00Z"),
        (None, None),
        ({"a": np.int64(1)}, {"a": 1}),
    ],
)
def test_a_value_of_a_row_is_sent_as_json_has_it(hook, sandbox, value, read):
    assert sent([{"amigo_id": "a", "x": value}]) == [{"amigo_id": "a", "new": {"x": read}}]
    assert hook.submit_change(1, "INSERT", [{"amigo_id": "a", "name": value}])


@pytest.mark.parametrize("value", [float("nan"), np.nan, pd.NA, pd.NaT, np.datetime64("NaT")], ids=repr)
def test_nan_is_a_value_that_the_row_does_not_have(value):
    assert sent([{"amigo_id": "a", "x": value, "y": 1}], "UPDATE") == [{"amigo_id": "a", "new": {"y": 1}}]


def test_all_values_without_a_json_form_are_refused_at_once(sandbox, hook):
    rows = [
        {"amigo_id": "a", "x": float("inf")},
        {"amigo_id": "b", "x": b"\x00", "y": datetime(2025, 1, 1)},
        {"amigo_id": "c", "x": {1, 2}, 5: "y"},
        None,
        {"x": 1},
    ]
    with pytest.raises(InputError) as caught:
        hook.submit_change(1, "UPDATE", rows)
    for said in (
        "row 1 (a): x is inf",
        "row 2 (b): x is binary",
        "row 2 (b): y is the time 2025-01-01T00:00:00 without a time zone",
        "row 3 (c): x is a set",
        "the field 5 has no name (row 3)",
        "row 4: must be an object, not None",
        "row 5 has no amigo_id",
    ):
        assert said in str(caught.value)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("rows", [None, "[{}]", {"amigo_id": "a"}, 5, pd.DataFrame([{"amigo_id": "a"}])])
def test_rows_that_are_no_list_are_refused(sandbox, hook, rows):
    with pytest.raises(InputError, match="must be a list of objects"):
        hook.submit_change(1, "INSERT", rows)
    assert sandbox.counters.total() == 0


def test_rows_may_be_any_iterable_of_objects():
    assert len(sent({"amigo_id": f"{n}"} for n in range(3))) == 3
    assert len(sent(pd.DataFrame({"amigo_id": ["a", "b"], "x": [1, None]}).to_dict("records"))) == 2


@pytest.mark.parametrize("value", ["None", "nan", "<NA>", pd.NA, True, 7, 1.5], ids=repr)
def test_an_id_that_a_missing_value_made_is_none(sandbox, hook, value):
    with pytest.raises(InputError, match="row 1 has no amigo_id"):
        hook.submit_change(1, "DELETE", [{"amigo_id": value}])
    assert sandbox.counters.total() == 0


def test_ids_are_compared_and_sent_in_one_normal_form():
    assert sent([{"amigo_id": ID}, {"amigo_id": "\u00a0Cafe\u0301 "}], "DELETE") == [
        {"amigo_id": str(ID)},
        {"amigo_id": "Caf\u00e9"},
    ]
    with pytest.raises(InputError, match="row 2 has the amigo_id of row 1: a"):
        sent([{"amigo_id": "a"}, {"amigo_id": " a"}], "DELETE")


def test_a_deletion_reads_the_ids_only():
    assert sent([{"amigo_id": "a", "x": object()}], "DELETE") == [{"amigo_id": "a"}]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.decimals(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(),
    st.uuids(),
    st.complex_numbers(),
    st.sampled_from([pd.NA, pd.NaT, np.nan, object(), Colour.RED, {1}, frozenset(), range(2), ...]),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(pd.Timestamp),
)


@settings(max_examples=examples(300))
@given(
    value=SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
)
def test_any_value_is_understood_or_refused_with_row_and_field(value):
    rows = [{"amigo_id": "a"}, {"amigo_id": "b", "x": value}]
    try:
        records = sent(rows)
    except InputError:
        with pytest.raises(InputError, match=r"^rows: row 2 \(b\): x "):
            sent(rows)
        return
    json.dumps(records, allow_nan=False)


# -- bodies, parameters, schemas


def test_a_body_is_sent_as_json_has_it():
    call = api.request("POST", "x", data={"a": np.int64(1), "b": pd.NA, "c": [Decimal("0.5")]})
    assert call.json == {"a": 1, "c": [0.5]}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_body_without_a_json_form_is_refused(sandbox, hook, method):
    for data, said in (
        ({"a": object()}, "data: at 'a' is a object"),
        ({"a": float("inf")}, "at 'a' is inf"),
        (pd.NA, "no value"),
    ):
        with pytest.raises(InputError, match=said):
            getattr(hook, method)("x", data)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("value", [None, [], (), {}, [None], float("nan"), pd.NA], ids=repr)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "get_cursor"])
def test_a_parameter_without_a_value_is_never_left_out(sandbox, hook, method, value):
    with pytest.raises(InputError):
        getattr(hook, method)("/me/projects", params={"id": value})
    assert sandbox.counters.total() == 0


def test_parameters_that_are_a_text_are_refused(sandbox, hook):
    with pytest.raises(InputError, match="params: must be an object or pairs"):
        hook.get("/me/projects", "id=1")
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (None, "must be a list of objects"),
        ("[]", "must be a list of objects"),
        ({"name": "a", "type": "string"}, "must be a list of objects"),
        ([None], "field 1 must be an object"),
        ([{"name": "a"}], "field 1 has no type"),
        ([{"name": " ", "type": "string"}], "field 1 has no name"),
        (
            [{"name": "a", "type": "x"}, {"name": "a", "type": "x"}],
            "field 2 has the name of another field: a",
        ),
        ([{"name": "a", "type": "x", "default": object()}], "field 1 at 'default' is a object"),
    ],
)
def test_a_schema_that_is_none_is_refused(sandbox, hook, schema, said):
    with pytest.raises(InputError, match=said):
        hook.create_dataset("n", schema)
    assert sandbox.counters.total() == 0


# -- ids of other libraries, and form fields


@pytest.mark.parametrize("value", [seed.QUERY, f" {seed.QUERY} ", float(seed.QUERY), np.int64(seed.QUERY)])
def test_a_number_of_any_library_is_an_id(hook, value):
    assert "category" in hook.get_saved_query(value)
    sensor = AmigoCloudSqlSensor(
        task_id="x", saved_query=value, deferrable=True, poke_interval=0.1, timeout=5
    )
    assert TaskRunner().run(sensor)["value"]


def test_a_uuid_is_the_id_of_a_job():
    condition = AmigoCloudJobSensor(task_id="x", job_id=ID).condition({})
    assert json.dumps(condition.job_id) == f'"{ID}"'


@pytest.mark.parametrize("value", [None, "", "  ", "None", 5, ["a"]], ids=repr)
def test_a_path_that_is_none_is_not_uploaded(sandbox, hook, value):
    with pytest.raises(InputError, match="'path'"):
        hook.upload_file(value)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({5: "a"}, "has the name 5, which is no text"),
        ({"a": None}, "'a' must be a text"),
        ({"a": float("nan")}, "'a' must be a text"),
        ({"a": ["x"]}, "'a' must be a text"),
        ({"dataset_id": "2"}, "'dataset_id' is '2', but 'dataset' says '1'"),
        ("{'a': 1}", "render_template_as_native_obj"),
    ],
)
def test_form_fields_that_are_none_are_refused(sandbox, hook, tmp_path, options, said):
    file = tmp_path / "a.csv"
    file.write_text("name\na\n")
    with pytest.raises(InputError, match=said):
        hook.upload_file(str(file), dataset=1, options=options)
    task = AmigoCloudUploadOperator(task_id="x", source=str(file), dataset="1", options=options)
    with pytest.raises(InputError, match=said):
        task.execute(TaskRunner().context())
    assert sandbox.counters.total() == 0


def test_form_fields_are_sent_as_texts():
    from airflow_provider.amigocloud.uploads import read_fields

    assert read_fields({"a": True, "b": np.int64(4), "c": 2.0, "dataset_id": 1.0}, "1") == (
        {"dataset_write_action": "overwrite", "dataset_id": "1", "a": "true", "b": "4", "c": "2"},
        [],
    )
