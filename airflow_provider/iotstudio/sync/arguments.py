"""Arguments of the operator that syncs, whose templates are rendered only when the task runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider.core.arguments import check_choice, check_exactly_one, check_without
from airflow_provider.core.input.conditions import rendered_hint
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.input.values import shown
from airflow_provider.core.sync.limits import Limits
from airflow_provider.core.sync.paths import rendered_path_problems
from airflow_provider.iotstudio.conditions import name_problems
from airflow_provider.iotstudio.sync.rows import COLUMNS, UID_FIELDS

MAX_BATCH = 1000
"""Maximum number of Things in a bulk update."""

MAX_CONCURRENCY = 32
"""Maximum number of requests at the same time."""

_SCALARS: Mapping[str, Scalar] = {
    "max_changes": Scalar("integer", optional=True, guard=True, least=0),
    "max_deletes": Scalar("integer", least=0),
    "max_delete_ratio": Scalar("number", least=0, most=1),
    "verify": Scalar("boolean"),
    "batch_size": Scalar("integer", least=1, most=MAX_BATCH),
    "concurrency": Scalar("integer", least=1, most=MAX_CONCURRENCY),
}


def read_settings(task: Any) -> dict[str, Any]:
    """Return the settings of a sync.

    :param task: the operator, after its templates were rendered.
    :raises InputError: with all problems of the arguments.
    """
    options = task.row_options(_problems(task))
    return {
        "match_on": task.match_on,
        "category": task.category,
        "defaults": dict(task.defaults or {}),
        "missing": task.missing,
        "limits": Limits(task.max_changes, task.max_deletes, task.max_delete_ratio),
        "skip_bad": task.on_row_error == "skip",
        "plan_output": task.plan_output,
        "options": options,
        "writing": {
            "batch_size": task.batch_size,
            "concurrency": task.concurrency,
            "verify": task.verify,
        },
    }


def _problems(task: Any) -> list[str]:
    problems = read_scalars(task, _SCALARS)
    problems += check_choice("match_on", task.match_on, ("uid", "title"))
    problems += check_choice("mode", task.mode, ("plan", "apply"))
    problems += check_choice("missing", task.missing, ("ignore", "delete"))
    problems += check_choice("on_row_error", task.on_row_error, ("fail", "skip"))
    problems += name_problems(task.category, "category") + name_problems(task.space, "space")
    problems += _default_problems(task.defaults)
    problems += rendered_path_problems(task, "plan_output", "plan")
    others = {"source": task.source, "plan": task.plan}
    problems += check_exactly_one(others) if task.sql is None else check_without("sql", others)
    if task.mode == "plan" and not task.plan_output:
        problems.append("mode='plan' needs plan_output")
    return problems


def _default_problems(defaults: object) -> list[str]:
    if defaults is None:
        return []
    if not isinstance(defaults, Mapping):
        hint = rendered_hint(defaults) if isinstance(defaults, str) else ""
        return [f"'defaults' must be an object of fields by name, not {shown(defaults)}{hint}"]
    return [
        f"'defaults' has {shown(name)}, which is no field that Things can have in common"
        for name in defaults
        if name not in COLUMNS or name in UID_FIELDS
    ]
