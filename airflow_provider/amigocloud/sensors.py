"""Sensors for AmigoCloud: jobs, datasets and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud import conditions
from airflow_provider.amigocloud.conditions import DatasetHasChanged, JobIsDone, QueryIsTrue
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.polling import clock
from airflow_provider.core.sensor import PollSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.amigocloud.triggers import AmigoCloudTrigger


class AmigoCloudSensor(PollSensor):
    """Base sensor: wait for one condition, on a worker or in the triggerer.

    The interval and the timeout are the sensor's ``poke_interval`` and ``timeout``.

    :param deferrable: wait in the triggerer; by default Airflow's ``[operators] default_deferrable``.
    :param amigocloud_conn_id: id of the Airflow connection.
    """

    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.amigocloud_conn_id = amigocloud_conn_id

    def condition(self, context: Context) -> JobIsDone | DatasetHasChanged | QueryIsTrue:
        """Return the condition to wait for."""
        raise NotImplementedError

    def build_trigger(self, context: Context) -> AmigoCloudTrigger:
        """Build the trigger that waits for the same condition."""
        from airflow_provider.amigocloud.triggers import AmigoCloudTrigger

        condition = self.condition(context)
        return AmigoCloudTrigger(
            amigocloud_conn_id=self.amigocloud_conn_id,
            question=type(condition).__name__,
            about=asdict(condition),
            deadline=clock() + self.timeout,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return "the condition is not true"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Evaluate the condition once."""
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            return conditions.check(hook, self.condition(context))


class AmigoCloudJobSensor(AmigoCloudSensor):
    """Wait until a job has succeeded; a failed job fails the task, with the job's reason.

    Jobs belong to the user: a project's token may lack the permission to read them. Returns ``job``,
    ``job_status`` and ``dataset_ids``.

    :param job_id: id of the job (templated).
    """

    template_fields: Sequence[str] = ("job_id", "amigocloud_conn_id")

    def __init__(self, *, job_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id

    def condition(self, context: Context) -> JobIsDone:
        """Return the condition that the job has succeeded."""
        return JobIsDone(self.job_id)


class AmigoCloudDatasetSensor(AmigoCloudSensor):
    """Wait until a dataset has changed since an earlier state; each poll is one tiny request.

    The earlier state is ``since``, or else the state that this task returned in its previous run. Without
    either, the dataset counts as changed. Returns ``dataset`` and ``master``, the hash of its latest state.

    :param dataset: id of the dataset (templated).
    :param since: hash of a state, such as the ``state`` in an export's manifest (templated).
    """

    template_fields: Sequence[str] = ("dataset", "since", "amigocloud_conn_id")

    def __init__(self, *, dataset: int | str, since: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.since = since

    def condition(self, context: Context) -> DatasetHasChanged:
        """Return the condition that the dataset's state differs from the earlier one."""
        return DatasetHasChanged(self.dataset, self.since or self._previous_state(context))

    def _previous_state(self, context: Context) -> str | None:
        found = context["ti"].xcom_pull(task_ids=self.task_id, include_prior_dates=True)
        if not isinstance(found, dict) or found.get("dataset") != str(self.dataset):
            return None
        return str(found["master"])


class AmigoCloudSqlSensor(AmigoCloudSensor):
    """Wait until the first value of a query's first row is neither null, false, zero nor empty.

    Returns ``value``.

    :param sql: the query (templated).
    """

    template_fields: Sequence[str] = ("sql", "amigocloud_conn_id")
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 - as Airflow declares it
    template_ext: Sequence[str] = (".sql",)

    def __init__(self, *, sql: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql = sql

    def condition(self, context: Context) -> QueryIsTrue:
        """Return the condition that the query is true."""
        return QueryIsTrue(self.sql)
