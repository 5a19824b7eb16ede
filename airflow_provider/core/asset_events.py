"""Tells the assets that a task updates what it did to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result", bound=Mapping[str, Any])


def add_to_outlet_events(context: Any, outlets: Iterable[Any] | None, result: Result) -> Result:
    """Put a result's counts and states into the event of each asset that the task updates; gives the result.

    DAGs that are scheduled on the asset find them in ``triggering_asset_events``.

    :param context: the task's context.
    :param outlets: the task's outlets.
    :param result: what the task returns; lists, objects and what is None are left out.
    """
    events = context.get("outlet_events")
    if events is None or not outlets:
        return result
    from airflow.sdk import Asset

    told = {name: value for name, value in result.items() if isinstance(value, (str, int, float))}
    for outlet in outlets:
        if isinstance(outlet, Asset):
            events[outlet].extra.update(told)
    return result
