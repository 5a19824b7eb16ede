"""Sensors for AmigoCloud: jobs, datasets and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from airflow_provider.amigocloud import conditions
from airflow_provider.amigocloud.api import dataset_number, query_text, required
from airflow_provider.amigocloud.conditions import (
    Condition,
    DatasetHasChanged,
    JobIsDone,
    QueryIsTrue,
    SavedQueryIsTrue,
)
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.values import problems_of, text_problems
from airflow_provider.core.polling import clock
from airflow_provider.core.sensor import PollSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.amigocloud.triggers import AmigoCloudTrigger


_SEEN = ("state_of_run_without_date", "state_of_run_with_date")
"""Keys of the XComs that hold the state which a run has seen, by whether the run has a logical date."""


class AmigoCloudSensor(PollSensor):
    """Base sensor: wait for one condition, on a worker or in the triggerer.

    The interval and the timeout are the sensor's ``poke_interval`` and ``timeout``.

    :param deferrable: wait in the triggerer; by default Airflow's ``[operators] default_deferrable``
        (templated).
    :param amigocloud_conn_id: id of the Airflow connection (templated).
    """

    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        deferrable: bool | str | None = None,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = cast("bool | None", deferrable)
        self.amigocloud_conn_id = amigocloud_conn_id

    def condition(self, context: Context) -> Condition:
        """Return the condition to wait for."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """Return what is wrong with the arguments that name the condition."""
        raise NotImplementedError

    def check_arguments(self) -> None:
        """Raise for invalid arguments, before the first request.

        :raises InputError: with all problems.
        """
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.input.scalars import Scalar, read_scalars

        scalars = {"deferrable": Scalar("boolean", optional=True)}
        raise_problems([*read_scalars(self, scalars), *self.problems()])

    def build_trigger(self, context: Context) -> AmigoCloudTrigger:
        """Build the trigger that waits for the same condition."""
        from airflow_provider.amigocloud.triggers import AmigoCloudTrigger

        condition = self.condition(context)
        return AmigoCloudTrigger(
            amigocloud_conn_id=self.amigocloud_conn_id,
            question=type(condition).__name__,
            about=asdict(cast("Any", condition)),
            deadline=self.end,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return "the condition is not true"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Evaluate the condition once."""
        with AmigoCloudHook(self.amigocloud_conn_id) as hook, hook.until(self.poll_end()):
            return conditions.check(hook, self.condition(context))


class AmigoCloudJobSensor(AmigoCloudSensor):
    """Wait until a job has succeeded; a failed job fails the task, with the job's reason.

    Jobs belong to the user: a project's token may lack the permission to read them. Returns ``job``,
    ``job_status`` and ``dataset_ids``.

    :param job_id: id of the job (templated).
    """

    template_fields: Sequence[str] = ("job_id", "deferrable", "amigocloud_conn_id")

    def __init__(self, *, job_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id

    def problems(self) -> list[str]:
        """Return what is wrong with the job's id."""
        return text_problems(self.job_id, "job_id")

    def condition(self, context: Context) -> JobIsDone:
        """Return the condition that the job has succeeded."""
        return JobIsDone(required(self.job_id, "job_id"))


class AmigoCloudDatasetSensor(AmigoCloudSensor):
    """Wait until a dataset has changed since an earlier state; each poll is one tiny request.

    The earlier state is ``since``, or else the state that this task returned in its previous run, with a
    logical date or without. Without either, the dataset counts as changed. Returns ``dataset`` and
    ``master``, the hash of its latest state.

    :param dataset: id of the dataset (templated).
    :param since: hash of a state, such as the ``state`` in an export's manifest (templated).
    """

    template_fields: Sequence[str] = ("dataset", "since", "deferrable", "amigocloud_conn_id")

    def __init__(self, *, dataset: int | str, since: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.since = since

    def problems(self) -> list[str]:
        """Return what is wrong with the dataset's id and the earlier state."""
        found = [] if self.since is None else text_problems(self.since, "since")
        return [*found, *problems_of("dataset", lambda: dataset_number(self.dataset))]

    def condition(self, context: Context) -> DatasetHasChanged:
        """Return the condition that the dataset's state differs from the earlier one."""
        since = self._previous_state(context) if self.since is None else required(self.since, "since")
        return DatasetHasChanged(dataset_number(self.dataset), since)

    def execute(self, context: Context) -> Any:
        """Wait on the worker or, when deferrable, in the triggerer; returns the task's result."""
        return self._remember(context, super().execute(context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the task's result from the event of its trigger, or raise the error that it carries."""
        result: dict[str, Any] = self._remember(context, super().execute_complete(context, event))
        return result

    @staticmethod
    def _remember(context: Context, result: Any) -> Any:
        """Store the state for the next run, apart for runs with and without a logical date.

        Of both, Airflow would return the one that the database sorts last: for PostgreSQL a run without a
        date is later than all others, for SQLite and MySQL it is earlier.
        """
        dated = getattr(context.get("dag_run"), "logical_date", None) is not None
        context["ti"].xcom_push(key=_SEEN[dated], value={**result, "at": clock()})
        return result

    def _previous_state(self, context: Context) -> str | None:
        found = [seen for key in _SEEN if (seen := self._earlier(context, key))]
        if not found:  # The earlier runs are of release 0.1.0.
            found = [seen for seen in (self._earlier(context, "return_value"),) if seen]
        return str(max(found, key=lambda seen: float(seen.get("at", 0)))["master"]) if found else None

    def _earlier(self, context: Context, key: str) -> dict[str, Any] | None:
        """Return what the latest run with such an XCom has stored for the dataset; None for nothing."""
        ti = context["ti"]
        # Without an index, Airflow returns a list of what the task has returned in all its runs.
        found = ti.xcom_pull(
            task_ids=self.task_id, key=key, include_prior_dates=True, map_indexes=ti.map_index
        )
        is_same = isinstance(found, dict) and found.get("dataset") == str(dataset_number(self.dataset))
        return found if is_same else None


class AmigoCloudSqlSensor(AmigoCloudSensor):
    """Wait until the first value of a query's first row is neither null, false, zero nor empty.

    Returns ``value``.

    :param sql: the query (templated). Exactly one of ``sql`` and ``saved_query`` is required.
    :param saved_query: id of one of the project's saved queries, whose SQL is read at each poll (templated).
    """

    template_fields: Sequence[str] = ("sql", "saved_query", "deferrable", "amigocloud_conn_id")
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 - as Airflow declares it
    template_ext: Sequence[str] = (".sql",)

    def __init__(
        self, *, sql: str | None = None, saved_query: int | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.saved_query = saved_query

    def problems(self) -> list[str]:
        """Return what is wrong with the query."""
        from airflow_provider.core.arguments import check_exactly_one

        found = check_exactly_one({"sql": self.sql, "saved_query": self.saved_query})
        if self.saved_query is not None:
            found += text_problems(self.saved_query, "saved_query")
        if self.sql is not None:
            found += problems_of("sql", lambda: query_text(self.sql))
        return found

    def condition(self, context: Context) -> QueryIsTrue | SavedQueryIsTrue:
        """Return the condition that the query is true."""
        if self.saved_query is not None:
            return SavedQueryIsTrue(required(self.saved_query, "saved_query"))
        return QueryIsTrue(query_text(self.sql))
