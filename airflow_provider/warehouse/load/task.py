"""Task of a load: from the operator's arguments to its result."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from airflow_provider.errors import AmbiguousWriteError, ProviderError
from airflow_provider.warehouse.load.connection import open_database
from airflow_provider.warehouse.load.execution import Load, Result
from airflow_provider.warehouse.load.lineage import report_table
from airflow_provider.warehouse.load.request import LoadRequest, read_request
from airflow_provider.warehouse.load.source.reading import Source


def load(task: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Load what an operator's arguments say, and return its result.

    :param task: the operator, after its templates were rendered.
    :param context: the task's context.
    """
    request = read_request(task)
    database = open_database(task.sql_conn_id)
    load_id = _load_id(context, task)
    with Source(request) as source:
        try:
            # The hook is looked up once: a task asks Airflow for a connection, which may change.
            kind, hook = type(database), database.hook
            result = Load(request, load_id, lambda: kind(hook), task.log).run(source)
        except AmbiguousWriteError:
            raise
        except ProviderError:
            task.log.error("Nothing was loaded: %s is as it was", request.table)
            raise
    report_table(database, task.sql_conn_id, result.path)
    return _as_json(request, result, load_id)


def _load_id(context: Mapping[str, Any], task: Any) -> str:
    """Return the id of the task instance; without one, as in a script, each load has its own."""
    ti = context.get("ti")
    if ti is None:
        if task.mode == "append":
            task.log.warning("There is no task instance: a repeated append loads the rows again")
        return f"{uuid.uuid4()}"
    map_index = getattr(ti, "map_index", -1)
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{-1 if map_index is None else map_index}"


def _as_json(request: LoadRequest, result: Result, load_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "table": request.table,
        "rows": result.rows,
        "inserted": result.counts.inserted,
        "updated": result.counts.updated,
        "deleted": result.counts.deleted,
        "load_id": load_id,
    }
    return {**found, "already_loaded": True} if result.already_loaded else found
