"""Arguments of the operators that sync, whose templates are rendered only when the task runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.arguments import check_choice, check_exactly_one, check_without
from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.sync.limits import Limits
from airflow_provider.core.sync.paths import rendered_path_problems

_SCALARS: Mapping[str, Scalar] = {
    "max_changes": Scalar("integer", optional=True, guard=True, least=0),
    "verify": Scalar("boolean"),
    "batch_size": Scalar("integer", least=1),
}


def read_settings(task: Any) -> dict[str, Any]:
    """Return the settings of a sync.

    :param task: the operator, after its templates were rendered.
    :raises InputError: with all problems of the arguments.
    """
    options = task.row_options(_problems(task))
    if task.plan_output:
        ensure_writable(task.plan_output, "plan_output")
    return {
        "defaults": task.defaults,
        "limits": Limits(task.max_changes),
        "skip_bad": task.on_row_error == "skip",
        "plan_output": task.plan_output,
        "batch_size": task.batch_size,
        "verify": task.verify,
        "options": options,
    }


def _problems(task: Any) -> list[str]:
    problems = read_scalars(task, _SCALARS)
    problems += check_choice("mode", task.mode, ("plan", "apply"))
    problems += check_choice("on_row_error", task.on_row_error, ("fail", "skip"))
    if task.missing != "ignore":
        problems.append(
            f"'missing' must be ignore, not {task.missing!r:.60}: the API does not tell what uses a display"
            " type or a category (an app's configuration may), so delete it in the CMS"
        )
    problems += rendered_path_problems(task, "plan_output", "plan")
    others = {"source": task.source, "plan": task.plan}
    problems += check_exactly_one(others) if task.sql is None else check_without("sql", others)
    if task.mode == "plan" and not task.plan_output:
        problems.append("mode='plan' needs plan_output")
    return problems
