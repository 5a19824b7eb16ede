"""Operator that stores processor configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.pages.links import PlanLink
from airflow_provider.errors import one_line
from airflow_provider.leanix import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.as_code.plan import Entry, Plan

MODES = ("apply", "plan")
"""Values of the argument ``mode``."""

_MAX_DIFFERENCES = 100
"""Maximum differences of a configuration in the result of a task with one, and in the log."""

_MAX_LISTED = 50
"""Maximum configurations, and differences of each, in the result of a task with several."""


class LeanIXPutConfigurationOperator(CheckedOperator):
    """Create or replace processor configurations of the workspace, or plan that.

    Nothing is written for a configuration that is stored as it is wanted. The log has the fields that
    differ, with their values; secrets are masked. Other configurations stay as they are.

    :param configuration: a configuration, the path of a JSON file that contains one or a list of them, the
        path of a folder of such files (with ``/`` at its end; what does not end in ``.json`` or ``.json.gz``,
        and plans, are left out) or a wildcard, or a list of all these. A
        configuration with credentials belongs into a file, because Airflow shows a DAG's arguments in its UI.
        With ``plan`` it is needed only when it has secrets, which plans do not have.
    :param mode: ``plan`` writes the plan only, ``apply`` stores the configurations.
    :param plan_output: path of the plan's JSON, without secrets. Beside it is a page with all differences,
        with the suffix ``.html``, to which the task has a link. Together with ``plan`` it gets a copy.
    :param plan: path of a plan made earlier. Exactly this plan is applied. When a stored configuration has
        changed since, or it is for another workspace, ``PlanRejectedError`` is raised instead.
    :param leanix_conn_id: id of the connection.

    Returns ``{"configuration": [...], "changed": bool, "differences": [...]}`` for one configuration: the
    five fields of its key, whether it was written (or would be, with ``mode="plan"``), and the fields that
    are added (``+``), removed (``-``) or changed (``~``). For several, ``{"create": n, "update": n,
    "unchanged": n, "configurations": [...]}``, with such an object for each one that differs. What an earlier
    attempt has written is unchanged. With a plan's path, ``plan`` is that.
    """

    template_fields: Sequence[str] = ("configuration", "mode", "plan_output", "plan", "leanix_conn_id")
    operator_extra_links = (PlanLink(),)
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        configuration: Mapping[str, Any] | Sequence[Mapping[str, Any] | str] | str | None = None,
        mode: str = "apply",
        plan_output: str | None = None,
        plan: str | None = None,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.configuration = configuration
        self.mode = mode
        self.plan_output = plan_output
        self.plan = plan
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare the configurations with the stored ones, and write those that differ."""
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.sync.summary import publish_plan
        from airflow_provider.leanix.as_code.page import summarize
        from airflow_provider.leanix.as_code.sync import ConfigurationSync
        from airflow_provider.leanix.configurations import read_configurations
        from airflow_provider.leanix.hooks import LeanIXHook

        self._check_arguments()
        given, is_single = (
            (None, False) if self.configuration is None else read_configurations(self.configuration, self.log)
        )
        if self.plan_output:
            ensure_writable(self.plan_output, "plan_output")
        with LeanIXHook(self.leanix_conn_id) as hook:
            sync = ConfigurationSync(hook, given, self.plan_output)
            plan = sync.load_plan(self.plan) if self.plan else sync.make_plan()
            publish_plan(self, context, self.plan_output or self.plan, plan.fingerprint, summarize(plan))
            self._log(plan)
            entries = sync.apply(plan) if self.mode == "apply" else plan.entries
        result = self._result(entries, is_single=is_single or (given is None and len(entries) == 1))
        return add_to_outlet_events(context, self.outlets, result)

    def _check_arguments(self) -> None:
        from airflow_provider.core.arguments import check_choice
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.sync.paths import rendered_path_problems

        problems = [
            *check_choice("mode", self.mode, MODES),
            *rendered_path_problems(self, "plan_output", "plan"),
        ]
        if self.configuration is None and self.plan is None:
            problems.append("give 'configuration', or the path of a plan as 'plan'")
        raise_problems(problems)

    def _log(self, plan: Plan) -> None:
        for entry in plan.entries:
            lines = [_line(one.sign, one.path, one.old, one.new) for one in entry.changes[:_MAX_DIFFERENCES]]
            if len(entry.changes) > _MAX_DIFFERENCES:
                lines.append(f"and {len(entry.changes) - _MAX_DIFFERENCES} more")
            shown = "".join(f"\n  {one_line(line)}" for line in lines)
            self.log.info("Configuration %s: %s%s", one_line(entry.name), entry.operation, shown)

    def _result(self, entries: Sequence[Entry], *, is_single: bool) -> dict[str, Any]:
        from airflow_provider.leanix.as_code.plan import count

        path = self.plan_output or self.plan
        place = {"plan": path} if path else {}
        if is_single:
            return {**_summary(entries[0], _MAX_DIFFERENCES), **place}
        changed = [entry for entry in entries if entry.operation != "unchanged"]
        return {
            **count(entries),
            "configurations": [_summary(entry, _MAX_LISTED) for entry in changed[:_MAX_LISTED]],
            **place,
        }


def _summary(entry: Entry, limit: int) -> dict[str, Any]:
    return {
        "configuration": list(entry.key),
        "changed": entry.operation != "unchanged",
        "differences": [f"{one.sign} {one.path}" for one in entry.changes[:limit]],
    }


def _line(sign: str, path: str, old: Any, new: Any) -> str:
    """Return a difference for the log."""
    if sign == "~":
        return f"~ {path}: {_shown(old)} -> {_shown(new)}"
    return f"{sign} {path}: {_shown(new if sign == '+' else old)}"


def _shown(value: Any) -> str:
    import msgspec

    from airflow_provider.errors import cut

    return cut(msgspec.json.encode(value).decode(), 200)
