"""Asset events: a task's counts and states in the events of the assets that it updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result", bound=Mapping[str, Any])


def add_to_outlet_events(context: Any, outlets: Iterable[Any] | None, result: Result) -> Result:
    """Add a result's counts and states to the event of each asset in the outlets, and return the result.

    DAGs that are scheduled on the asset find them in ``triggering_asset_events``.

    :param context: the task's context.
    :param outlets: the task's outlets; other objects than assets are ignored.
    :param result: the task's result; lists, objects and None values are left out of the event.
    """
    events = context.get("outlet_events")
    if events is None or not outlets:
        return result
    from airflow.sdk import Asset

    extra = {name: value for name, value in result.items() if isinstance(value, (str, int, float))}
    for outlet in outlets:
        if isinstance(outlet, Asset):
            events[outlet].extra.update(extra)
    return result
