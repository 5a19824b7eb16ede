"""Arguments of the operator that syncs: read and validated, whose templates are rendered only at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.amigocloud.api import dataset_number
from airflow_provider.amigocloud.sync.execute import WriteOptions
from airflow_provider.amigocloud.sync.progress import Progress
from airflow_provider.amigocloud.values import path_problems, problems_of, text_problems
from airflow_provider.core.arguments import (
    check_choice,
    check_exactly_one,
    check_rendered,
    check_without,
)
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.sync.limits import Limits
from airflow_provider.core.sync.paths import rendered_path_problems

_SCALARS: Mapping[str, Scalar] = {
    "max_changes": Scalar("integer", optional=True, guard=True, least=0),
    "max_deletes": Scalar("integer", least=0),
    "max_delete_ratio": Scalar("number", least=0, most=1),
    "verify": Scalar("boolean"),
    "batch_size": Scalar("integer", least=1),
    "concurrency": Scalar("integer", optional=True, least=1),
    "poll_interval": Scalar("seconds", above=0),
    "timeout": Scalar("seconds", above=0),
}
"""Arguments that are numbers and truth values."""


def read_settings(task: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a sync.

    :param task: the operator, after its templates were rendered.
    :param context: the task's context.
    :raises InputError: with all problems of the arguments.
    """
    options = task.row_options(_problems(task))
    dataset = str(dataset_number(task.dataset))
    request = {
        "dataset": dataset,
        "key": task.key,
        "plan": task.plan,
        "restore": task.restore,
        "source": task.source if isinstance(task.source, str) else None,
        "sql": task.sql,
        "connection": task.amigocloud_conn_id,
    }
    return {
        "dataset": dataset,
        "key": task.key,
        "defaults": task.defaults,
        "options": options,
        "missing": task.missing,
        "limits": Limits(task.max_changes, task.max_deletes, task.max_delete_ratio),
        "skip_bad": task.on_row_error == "skip",
        "plan_output": task.plan_output,
        "write": WriteOptions(task.batch_size, task.poll_interval, task.timeout),
        "verify": task.verify,
        "progress": Progress(context, request, task.log),
    }


def _problems(task: Any) -> list[str]:
    problems = rendered_path_problems(task, "plan_output", "plan")
    problems += problems_of("dataset", lambda: dataset_number(task.dataset))
    problems += path_problems(task.key, "key")
    if task.restore is not None:
        problems += check_rendered("restore", task.restore) or text_problems(task.restore, "restore")
    problems += read_scalars(task, _SCALARS)
    problems += check_choice("mode", task.mode, ("plan", "apply"))
    problems += check_choice("missing", task.missing, ("ignore", "delete"))
    problems += check_choice("on_row_error", task.on_row_error, ("fail", "skip"))
    others = {"source": task.source, "plan": task.plan, "restore": task.restore}
    problems += check_exactly_one(others) if task.sql is None else check_without("sql", others)
    if task.mode == "plan" and not task.plan_output:
        problems.append("mode='plan' needs plan_output")
    return problems
