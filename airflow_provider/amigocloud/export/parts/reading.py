"""Reading in a fixed state: the state of an export's part, or the one that the task names."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider.amigocloud.export.fixed_state import FixedState
from airflow_provider.amigocloud.export.parts.part import Part
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.compat import without_retry
from airflow_provider.errors import IncompleteExportError, PlanRejectedError


def fixed_state(
    hook: AmigoCloudHook, datasets: Sequence[int], state: str | None, part: Part | None = None
) -> FixedState | None:
    """Return the state that an export must read; None for the latest one.

    When the state cannot be read, the task is not retried: no later attempt can read it.

    :param hook: hook of the connection.
    :param datasets: ids of the datasets that are read; a state is one of a single dataset.
    :param state: hash of the state; None for the latest one.
    :param part: the part that is exported, if it is one.
    """
    if state is None:
        return None
    (dataset,) = datasets

    def unreadable(reason: str) -> Exception:
        place = f"dataset {dataset} can no longer be read in its state {state}"
        if part is None:
            return without_retry(
                IncompleteExportError(f"{place}: {reason}; nothing was published; export another state")
            )
        return without_retry(
            PlanRejectedError(
                f"{place}, in which part {part.number} of {part.count} was planned: {reason}. Nothing was"
                " published, and a retry cannot help. Clear the task that planned the parts"
                " (AmigoCloudPlanExportOperator) with all tasks downstream: it plans all parts in the"
                " latest state"
            )
        )

    return FixedState(hook, dataset, state, unreadable, part.rows if part else None)
