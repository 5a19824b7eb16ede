"""Operators that take rows share the arguments that say how rows are read."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider.core.files.row_operator import RowOperator
from tests.support.every_task import public_classes

ARGUMENTS: dict[str, Any] = {
    "columns": {"Etage": "parentFloor"},
    "ignore": ["Remark"],
    "min_rows": 5,
    "csv_delimiter": ";",
    "encoding": "cp1252",
    "source_format": "csv",
    "hive": True,
    "complete": "_SUCCESS",
    "sql": "SELECT 1",
    "sql_conn_id": "warehouse",
    "parameters": {"site": "A"},
    "sql_timezone": "UTC",
}
DEFAULTS = {**dict.fromkeys(ARGUMENTS), "hive": False}
KINDS = [kind for kind in public_classes().values() if issubclass(kind, RowOperator)]


def required(kind: type) -> dict[str, Any]:
    """Return a value for each argument that a class requires."""
    parameters = signature(kind.__init__).parameters.values()
    return {
        one.name: "rows" for one in parameters if one.default is one.empty and one.kind == one.KEYWORD_ONLY
    }


def row_arguments(task: Any) -> dict[str, Any]:
    return {name: getattr(task, name) for name in ARGUMENTS}


def test_all_operators_that_take_rows_are_row_operators() -> None:
    assert {kind.__name__ for kind in KINDS} >= {
        "AmigoCloudSyncDatasetOperator",
        "IoTStudioSyncThingsOperator",
        "IoTStudioWritePropertiesOperator",
        "LeanIXRunOperator",
        "LeanIXStartRunOperator",
        "MapsIndoorsCreateGeodataOperator",
        "MapsIndoorsDeleteGeodataOperator",
        "MapsIndoorsSyncCategoriesOperator",
        "MapsIndoorsSyncDisplayTypesOperator",
        "MapsIndoorsSyncGeodataOperator",
        "MapsIndoorsUpdateGeodataOperator",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_operator_takes_the_row_arguments_and_templates_them(kind: Any) -> None:
    assert row_arguments(kind(task_id="t", **required(kind))) == DEFAULTS
    task = kind(task_id="t", **required(kind), **ARGUMENTS)
    assert row_arguments(task) == ARGUMENTS
    assert ARGUMENTS.keys() <= {*task.template_fields}
    assert task.template_fields_renderers.keys() <= {*task.template_fields}
    # Airflow shows the value of a renderer that it does not know as plain text.
    assert {*task.template_fields_renderers.values()} <= {"json", "sql"}
    assert ".sql" in task.template_ext


@pytest.mark.parametrize("kind", KINDS)
def test_default_arguments_of_a_dag_reach_the_row_arguments(kind: Any) -> None:
    with DAG("defaults", schedule=None, default_args=ARGUMENTS):
        assert row_arguments(kind(task_id="t", **required(kind))) == ARGUMENTS
        assert kind(task_id="own", **required(kind), min_rows=1).min_rows == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_mapped_row_operator_takes_the_row_arguments(kind: Any) -> None:
    given = {**ARGUMENTS, **required(kind)}
    encoding = given.pop("encoding")
    with DAG("mapped", schedule=None):
        mapped = kind.partial(task_id="t", **given).expand(encoding=[encoding])
        expanded = kind.partial(task_id="e", **required(kind)).expand_kwargs([ARGUMENTS])
    with DAG("unmapped", schedule=None):
        assert row_arguments(mapped.unmap({"encoding": encoding})) == ARGUMENTS
        assert row_arguments(expanded.unmap(ARGUMENTS)) == ARGUMENTS


@pytest.mark.filterwarnings("ignore:.*was never mapped")
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_operator_refuses_an_unknown_argument(kind: Any) -> None:
    with DAG("refused", schedule=None):
        with pytest.raises(TypeError, match="colums"):
            kind(task_id="a", **required(kind), colums={})
        with pytest.raises(TypeError, match="unexpected keyword argument 'colums'"):
            kind.partial(task_id="b", **required(kind), colums={})
        with pytest.raises(TypeError, match="unexpected keyword argument 'colums'"):
            kind.partial(task_id="c", **required(kind)).expand(colums=[{}])
        with pytest.raises(ValueError, match="unexpected type 'int' for keyword argument min_rows"):
            kind.partial(task_id="d", **required(kind)).expand(min_rows=5)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_signature_shows_inherited_arguments(kind: type) -> None:
    shown = signature(kind).parameters
    assert {*RowOperator.ROW_FIELDS, *RowOperator.SQL_FIELDS} <= set(shown)
    assert list(shown)[-1] == "kwargs"
