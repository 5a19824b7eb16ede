"""Operators for AmigoCloud."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from airflow_provider.amigocloud.conditions import JobIsDone, look
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.arguments import check_exactly_one, check_whole_number, raise_problems
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import is_deferrable, without_retry
from airflow_provider.core.polling import clock, wait_for
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.errors import AmbiguousWriteError, InputError, ProviderError, RunFailedError

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider.amigocloud.export.checkpoint import Journal
    from airflow_provider.amigocloud.export.incremental import Increment, Memory
    from airflow_provider.amigocloud.export.sources import Source


# What an export needs is imported where it runs: DAG files are read again and again.

__all__ = ["AmigoCloudExportOperator", "AmigoCloudSqlOperator", "AmigoCloudUploadOperator"]


class AmigoCloudExportOperator(BaseOperator):
    """Writes a dataset, the result of a query, or a list into one file, complete or not at all.

    A dataset is read inside of one of its states, in key order, so that rows written meanwhile change
    nothing. Rows are counted against what the service says; the file gets its name in one step at the end.
    From Airflow 3.3 on, a try that comes after a crash reads only what is missing of the same state.

    :param output_path: a local path, or anything that ``ObjectStoragePath`` takes (templated).
    :param sql: a query (templated). One of ``sql``, ``dataset`` and ``url`` is needed.
    :param dataset: id of a dataset (templated).
    :param url: a list endpoint, such as ``datasets`` or ``/me/projects`` (templated).
    :param format: ``jsonl``, ``csv``, ``parquet``, ``geojson`` or ``geoparquet``; by default the path's
        ending tells (``.jsonl.gz`` and ``.csv.gz`` are compressed). ``jsonl``, ``csv`` and ``parquet`` hold
        geometries as the service gives them, as hex EWKB; the other two need them in WGS 84.
    :param key: with ``sql``: a column of the result whose values are unique and never null. Rows are then
        read in key order, which stays exact while data changes, and quick however large the result is.
    :param page_size: rows to ask for at once; the service gives at most 1000, as far as is known.
    :param concurrency: how many requests at once, for a dataset and for a query with a key of hex ids; by
        default the connection's ``max_concurrency`` (4). Other queries and lists are read one page ahead.
    :param incremental_column: export only what is new since the last export, by this column of dates, moments
        or numbers that only grow. The watermark is kept on the task's one outlet asset (Airflow 3.3), and
        moves after the file has its name. Rows without a value come with the first export only.
    :param lag: how far to look back behind the watermark for rows that became visible late, a ``timedelta``
        (or a number, for a column of numbers). Rows that were exported before are left out.
    :param full_refresh: forget the watermark and export everything again (templated).
    :param amigocloud_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "sql",
        "dataset",
        "url",
        "format",
        "key",
        "full_refresh",
        "amigocloud_conn_id",
    )
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 - as Airflow declares it
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        output_path: str,
        sql: str | None = None,
        dataset: int | str | None = None,
        url: str | None = None,
        format: str | None = None,  # noqa: A002 - the public name
        key: str | None = None,
        page_size: int = 1000,
        concurrency: int | None = None,
        incremental_column: str | None = None,
        lag: timedelta | float | None = None,
        full_refresh: bool | str = False,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.sql = sql
        self.dataset = dataset
        self.url = url
        self.format = format
        self.key = key
        self.page_size = page_size
        self.concurrency = concurrency
        self.incremental_column = incremental_column
        self.lag = lag
        self.full_refresh = full_refresh
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Export; gives the manifest."""
        from airflow_provider.amigocloud.export.export import export
        from airflow_provider.amigocloud.export.formats import choose_format

        self._check()
        wanted = choose_format(self.output_path, self.format)
        memory, increment = self._increment(context) if self.incremental_column else (None, None)
        condition = increment.condition() if increment else None
        journal = self._journal(context, condition)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            source = self._source(hook, journal, condition)
            try:
                manifest = export(hook, source, self.output_path, wanted, increment)
            except ProviderError as error:
                journal.failed(error)
                raise
        if memory and increment:
            memory.save(increment)
        journal.forget()
        return add_to_outlet_events(context, self.outlets, manifest)

    def _increment(self, context: Context) -> tuple[Memory, Increment]:
        """Remember the watermark, unless all is to be exported again."""
        from airflow_provider.amigocloud.export.incremental import Increment, Memory

        column, key = str(self.incremental_column), self.key or "amigo_id"
        source = {"sql": self.sql, "dataset": self.dataset, "column": column, "key": key}
        memory = Memory(cast("Any", context), self._assets(), source, self.log)
        again = str(self.full_refresh).strip().lower() in ("true", "1", "yes")
        watermark, seen = (None, frozenset[str]()) if again else memory.load()
        return memory, Increment(column, key, self.lag, watermark, seen)

    def _assets(self) -> list[Any]:
        from airflow.sdk import Asset

        return [outlet for outlet in self.outlets or () if isinstance(outlet, Asset)]

    def _journal(self, context: Context, condition: str | None) -> Journal:
        """Find what an earlier try has read."""
        from airflow_provider.amigocloud.export.checkpoint import Journal

        request = {
            "sql": self.sql,
            "dataset": self.dataset,
            "key": self.key,
            "condition": condition,
            "connection": self.amigocloud_conn_id,
        }
        return Journal(context.get("task_state_store"), self.output_path, request, self.log)

    def _source(self, hook: AmigoCloudHook, journal: Journal, condition: str | None) -> Source:
        from airflow_provider.amigocloud.export.readers import Reading
        from airflow_provider.amigocloud.export.sources import dataset_source, list_source, sql_source

        reading = Reading(self.page_size, self.concurrency or hook.max_concurrency)
        if self.url is not None:
            return list_source(hook, self.url, reading)
        hook.need_project()
        if self.dataset is not None:
            return dataset_source(hook, self.dataset, reading, journal, condition)
        return sql_source(hook, str(self.sql), self.key, reading, journal, condition)

    def _check(self) -> None:
        """Refuse arguments that make no sense, before any request."""
        sources = {"sql": self.sql, "dataset": self.dataset, "url": self.url}
        given = [name for name, value in sources.items() if value is not None]
        problems = check_exactly_one(sources)
        if self.key is not None and given != ["sql"]:
            problems.append("'key' goes with 'sql' only; a dataset's key is amigo_id")
        problems += check_whole_number("page_size", self.page_size, 1)
        if self.concurrency is not None:
            problems += check_whole_number("concurrency", self.concurrency, 1)
        raise_problems([*problems, *self._check_increment(given)])

    def _check_increment(self, given: list[str]) -> list[str]:
        if self.incremental_column is None:
            return ["'lag' goes with 'incremental_column' only"] if self.lag is not None else []
        if given == ["url"]:
            return ["'incremental_column' goes with 'dataset' and 'sql'; a list has no columns to ask for"]
        if given == ["sql"] and self.key is None:
            return ["'incremental_column' with 'sql' needs a 'key', a unique column of the result"]
        return []


class AmigoCloudSqlOperator(BaseOperator):
    """Runs a statement that writes: INSERT, UPDATE or DELETE.

    The statement is sent once. When its answer is lost the task fails with ``AmbiguousWriteError``, and
    Airflow does not try it again, rather than write twice; look at the data, then clear the task if need be.

    :param sql: the statement (templated).
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to edit.
    """

    template_fields: Sequence[str] = ("sql", "amigocloud_conn_id")
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 - as Airflow declares it
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#d7ecd9"

    def __init__(
        self, *, sql: str, amigocloud_conn_id: str = AmigoCloudHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Run the statement; gives ``{"rows": n}``, the number of affected rows."""
        if not self.sql.strip():
            raise InputError("the statement is empty", "sql")
        if re.match(r"\s*(select|values|explain)\b", self.sql, re.IGNORECASE):
            raise InputError("the statement only reads; AmigoCloudExportOperator is for that", "sql")
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            try:
                rows = hook.run(self.sql)
            except AmbiguousWriteError as error:
                raise without_retry(error) from None
        self.log.info("%d rows affected", rows)
        return add_to_outlet_events(context, self.outlets, {"rows": rows})


class AmigoCloudUploadOperator(BaseOperator):
    """Uploads a file, and waits until the service has made a dataset of it.

    A try that comes after a crash goes on with the job, or with the chunks, of the try before (from
    Airflow 3.3 on). Where it cannot know whether a new dataset was made, it fails with
    ``AmbiguousWriteError`` rather than make another one.

    :param source: path of the file: local, or anything that ``ObjectStoragePath`` takes (templated). Its
        ending tells the service the format.
    :param dataset: id of the dataset whose content the file replaces; a new dataset without it (templated).
    :param options: further form fields, such as ``{"csv_props.delimiter": ";"}`` (templated).
    :param deferrable: wait in the triggerer; by default what ``[operators] default_deferrable`` says.
    :param poll_interval: seconds between two looks at the job, at the most.
    :param timeout: seconds after which the job counts as stuck.
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to administrate,
        and must be a user's to see the job.
    """

    template_fields: Sequence[str] = ("source", "dataset", "options", "amigocloud_conn_id")
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        source: str,
        dataset: int | str | None = None,
        options: dict[str, str] | None = None,
        deferrable: bool | None = None,
        poll_interval: float = 5.0,
        timeout: float = 3600.0,
        amigocloud_conn_id: str = AmigoCloudHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.dataset = dataset
        self.options = options
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Upload, and wait here or in the triggerer; gives ``job`` and ``dataset_ids``."""
        submission = self._submission(context)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            job = submission.remote_id
            if job is None:
                job = self._upload(hook, submission, self._submission(context, "chunks"))
            else:
                self.log.info("Going on with job %s of an earlier try", job)
            deadline = clock() + self.timeout
            if not is_deferrable(self.deferrable):
                return add_to_outlet_events(
                    context, self.outlets, self._wait(hook, job, deadline, submission)
                )
        # Only here: what a trigger needs, no task that does not defer has to load.
        from airflow_provider.amigocloud.triggers import AmigoCloudTrigger

        trigger = AmigoCloudTrigger(
            amigocloud_conn_id=self.amigocloud_conn_id,
            question=JobIsDone.__name__,
            about={"job_id": job},
            deadline=deadline,
            poll_interval=self.poll_interval,
        )
        return self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the trigger."""
        submission = self._submission(context)
        if event["status"] == "timeout":
            raise TimeoutError(f"job {submission.remote_id} was not done after {self.timeout:g} s")
        try:
            raise_for(event)
        except RunFailedError:
            submission.renew()
            raise
        submission.finished()
        return add_to_outlet_events(
            context, self.outlets, {"job": event["job"], "dataset_ids": event["dataset_ids"]}
        )

    def _submission(self, context: Context, name: str = "upload") -> Submission:
        request = {"source": self.source, "dataset": self.dataset, "options": self.options}
        return Submission(cast("Any", context), request, self.log, name)

    def _upload(self, hook: AmigoCloudHook, submission: Submission, chunks: Submission) -> str:
        """Upload; remembers what may exist on the service, and the job."""
        if submission.is_known and not chunks.remote_id and self.dataset is None:
            raise AmbiguousWriteError(
                f"an earlier try uploaded '{self.source}' and never learned the job; look whether the dataset"
                " is there; a new run of the DAG uploads again"
            )
        submission.intend()
        try:
            job = hook.upload_file(
                self.source,
                dataset=self.dataset,
                options=self.options,
                upload_id=chunks.remote_id or "",
                started=chunks.created,
            )
        except AmbiguousWriteError as error:
            if self.dataset is None and not chunks.remote_id:
                raise without_retry(error) from None
            raise
        except ProviderError:
            submission.renew()
            raise
        submission.created(job)
        chunks.renew()
        self.log.info("Uploaded; the import is job %s", job)
        return job

    def _wait(
        self, hook: AmigoCloudHook, job: str, deadline: float, submission: Submission
    ) -> dict[str, Any]:
        try:
            found = wait_for(
                lambda: look(hook, JobIsDone(job)),
                deadline=deadline,
                poll_interval=self.poll_interval,
                log=self.log,
            )
        except RunFailedError:
            submission.renew()
            raise
        except TimeoutError:
            raise TimeoutError(f"job {job} was not done after {self.timeout:g} s") from None
        submission.finished()
        return {"job": job, "dataset_ids": found["dataset_ids"]}
