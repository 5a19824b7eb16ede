"""Rendered arguments: refuse an argument that was given and has lost its value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from airflow.sdk import BaseOperator

_HARMLESS = frozenset(
    {
        *("description", "columns", "ignore", "csv_delimiter", "encoding", "source_format", "hive"),
        *("concurrency", "poll_interval", "timeout", "poke_interval", "write_to_ldif"),
    }
)
"""Arguments whose default drops nothing that was asked for."""


def render_checked(
    task: Any, render: Callable[..., None], parent: Any, template_fields: Iterable[str], *others: Any
) -> None:
    """Render the arguments of a task, and require that those that were given have a value.

    An argument of None counts as not given. When it comes from a task that returned None, from a template of
    native objects without a value, or from the values of a mapped task, a condition would be dropped, and
    everything be selected.

    :param task: the operator.
    :param render: Airflow's rendering.
    :param parent: the object whose attributes are rendered: the task, or a part of an argument.
    :param template_fields: their names.
    :param others: further arguments of the rendering.
    :raises InputError: naming each argument that has no value.
    """
    names, given = list(template_fields), list[str]()
    if parent is task:
        mapped = _mapped_names(task)
        given = [name for name in names if getattr(task, name, None) is not None or name in mapped]
    render(parent, names, *others)
    lost = [name for name in given if getattr(task, name) is None and name not in _HARMLESS]
    if lost:
        from airflow_provider.core.input.conditions import raise_problems

        raise_problems(
            f"'{name}' has no value: what it was to come from, a task or a template, returned None; leave the"
            " argument out if it is not needed"
            for name in lost
        )


def _mapped_names(task: Any) -> Collection[str]:
    """Return the arguments that a mapped task has from ``expand`` or ``expand_kwargs``; none for others."""
    if not getattr(task, "_BaseOperator__from_mapped", False):
        return ()
    from airflow_provider.core.input.mapping import shared_arguments

    given: Mapping[str, Any] = getattr(task, "_BaseOperator__init_kwargs", {})
    shared = shared_arguments(task)
    return given.keys() - (given if shared is None else shared).keys()


class CheckedOperator(BaseOperator):
    """Base of operators whose arguments must have a value when they were given."""

    # Airflow names this method as the one to override; mapped tasks call it directly.
    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        render = super()._do_render_template_fields
        render_checked(self, render, parent, template_fields, context, jinja_env, seen_oids)
