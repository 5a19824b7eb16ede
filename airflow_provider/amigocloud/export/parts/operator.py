"""Operator that plans a sharded export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud import DEFAULT_CONN_ID
from airflow_provider.core.input.rendered import CheckedOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class AmigoCloudPlanExportOperator(CheckedOperator):
    """Plan the export of a dataset in parts that mapped tasks read, all of them in one state.

    Returns the list of parts for ``expand``::

        plan = AmigoCloudPlanExportOperator(task_id="plan", dataset=2001, parts=8)
        files = AmigoCloudExportOperator.partial(
            task_id="export", output_path="/data/assets-{part}.parquet"
        ).expand(part=plan.output)
        CommitManifestOperator(task_id="commit", parts=files.output, output_path="/data/_manifest.json")

    The parts are ranges of ``amigo_id`` of about equal numbers of rows in the dataset's latest state. The
    first one has no lower and the last one no upper bound, so every row is in exactly one part. The same
    state always gives the same parts. A dataset with fewer rows than ``parts`` gets fewer parts, and an empty
    one gets one.

    When the dataset changes, the parts are still read in the planned state. When the service cannot read that
    state any more, the tasks of the parts fail without a retry: clear this task with all tasks downstream.

    :param dataset: id of the dataset (templated).
    :param parts: number of parts, at most Airflow's ``[core] max_map_length`` (templated).
    :param amigocloud_conn_id: id of the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("dataset", "parts", "amigocloud_conn_id")
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        dataset: int | str,
        parts: int | str,
        amigocloud_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.parts = parts
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read the dataset's state and the bounds of the parts, and return the parts.

        :raises InputError: when arguments are invalid, before any request.
        :raises IncompleteExportError: when the dataset changes, and the service answers for another state.
        """
        from airflow_provider.amigocloud.api import dataset_number
        from airflow_provider.amigocloud.export.parts.plan import plan_parts
        from airflow_provider.amigocloud.hooks import AmigoCloudHook
        from airflow_provider.amigocloud.values import problems_of
        from airflow_provider.core.compat import max_map_length
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.input.scalars import Scalar, read_scalars

        most = max_map_length()
        scalars = {"parts": Scalar("integer", least=1, most=most)}
        problems = problems_of("dataset", lambda: dataset_number(self.dataset))
        raise_problems([*problems, *read_scalars(self, scalars)])
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            hook.need_project()
            parts = plan_parts(hook, dataset_number(self.dataset), int(self.parts))
        rows = [part.rows for part in parts]
        self.log.info(
            "Planned %d parts of %d to %d rows, %d rows in all, of dataset %s in its state %s",
            *(len(parts), min(rows), max(rows), sum(rows), self.dataset, parts[0].state),
        )
        return [part.to_json() for part in parts]
