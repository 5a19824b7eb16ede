"""Operators for AmigoCloud: export, SQL statements, and uploads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from airflow_provider.amigocloud.conditions import JobIsDone, check
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

    from airflow_provider.amigocloud.export.checkpoint import Checkpoint
    from airflow_provider.amigocloud.export.incremental import Increment, WatermarkStore
    from airflow_provider.amigocloud.export.sources import Source


# Modules of the export are imported where it runs: DAG files are parsed often.

__all__ = ["AmigoCloudExportOperator", "AmigoCloudSqlOperator", "AmigoCloudUploadOperator"]


class AmigoCloudExportOperator(BaseOperator):
    """Export a dataset, the result of a query, or a list into one file, completely or not at all.

    A dataset is read from a snapshot, in key order, so that concurrent writes do not affect the export. The
    rows are compared to the service's count, and the file is published atomically at the end. From Airflow
    3.3 on, a retry after a crash resumes with the same snapshot.

    :param output_path: local path, or any URL that ``ObjectStoragePath`` accepts (templated).
    :param sql: query (templated). Exactly one of ``sql``, ``dataset`` and ``url`` is required.
    :param dataset: id of a dataset (templated).
    :param url: list endpoint, such as ``datasets`` or ``/me/projects`` (templated).
    :param format: ``jsonl``, ``csv``, ``parquet``, ``geojson`` or ``geoparquet``; by default from the suffix
        of the path (``.jsonl.gz`` and ``.csv.gz`` are compressed). ``jsonl``, ``csv`` and ``parquet`` hold
        geometries as the service returns them, as hex EWKB; the other two require WGS 84 (templated).
    :param key: with ``sql`` only: column of the result whose values are unique and never null. The rows are
        then read in key order, which is exact while data changes, and fast at any size (templated).
    :param page_size: rows to request per page; the service returns at most 1000, as far as is known.
    :param concurrency: maximum concurrent requests, for a dataset and for a query with a key of hex ids; by
        default the connection's ``max_concurrency`` (4). Other queries and lists are read one page ahead.
    :param incremental_column: export only the rows that are new since the last export, by this column of
        dates, timestamps or numbers that only grow. The watermark is stored on the task's one outlet asset
        (Airflow 3.3), and moves after the file is published. Rows without a value are in the first export
        only.
    :param lag: distance before the watermark from which rows are read again, for rows that become visible
        late: a ``timedelta``, or a number for a column of numbers. Rows exported before are dropped.
    :param full_refresh: whether to ignore the watermark and export all rows (templated).
    :param amigocloud_conn_id: id of the Airflow connection (templated).
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
        """Run the export, and return the manifest.

        :raises InputError: when arguments are invalid, or rows do not fit the format.
        :raises IncompleteExportError: when the rows may be incomplete; nothing is published.
        """
        from airflow_provider.amigocloud.export.export import export
        from airflow_provider.amigocloud.export.formats import choose_format

        self._check()
        file_format = choose_format(self.output_path, self.format)
        store, increment = self._increment(context) if self.incremental_column else (None, None)
        condition = increment.condition() if increment else None
        checkpoint = self._checkpoint(context, condition)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            source = self._source(hook, checkpoint, condition)
            try:
                manifest = export(hook, source, self.output_path, file_format, increment)
            except ProviderError as error:
                checkpoint.keep_after(error)
                raise
        if store and increment:
            store.save(increment)
        checkpoint.delete()
        return add_to_outlet_events(context, self.outlets, manifest)

    def _increment(self, context: Context) -> tuple[WatermarkStore, Increment]:
        """Return the increment since the stored watermark; since the beginning with ``full_refresh``."""
        from airflow_provider.amigocloud.export.incremental import Increment, WatermarkStore

        column, key = str(self.incremental_column), self.key or "amigo_id"
        source = {"sql": self.sql, "dataset": self.dataset, "column": column, "key": key}
        store = WatermarkStore(cast("Any", context), self._assets(), source, self.log)
        is_full = str(self.full_refresh).strip().lower() in ("true", "1", "yes")
        watermark, seen = (None, frozenset[str]()) if is_full else store.load()
        return store, Increment(column, key, self.lag, watermark, seen)

    def _assets(self) -> list[Any]:
        from airflow.sdk import Asset

        return [outlet for outlet in self.outlets or () if isinstance(outlet, Asset)]

    def _checkpoint(self, context: Context, condition: str | None) -> Checkpoint:
        """Return the checkpoint of this export, with the pages that earlier attempts have saved."""
        from airflow_provider.amigocloud.export.checkpoint import Checkpoint

        request = {
            "sql": self.sql,
            "dataset": self.dataset,
            "key": self.key,
            "condition": condition,
            "connection": self.amigocloud_conn_id,
        }
        return Checkpoint(context.get("task_state_store"), self.output_path, request, self.log)

    def _source(self, hook: AmigoCloudHook, checkpoint: Checkpoint, condition: str | None) -> Source:
        from airflow_provider.amigocloud.export.readers import ReadOptions
        from airflow_provider.amigocloud.export.sources import dataset_source, list_source, sql_source

        options = ReadOptions(self.page_size, self.concurrency or hook.max_concurrency)
        if self.url is not None:
            return list_source(hook, self.url, options)
        hook.need_project()
        if self.dataset is not None:
            return dataset_source(hook, self.dataset, options, checkpoint, condition)
        return sql_source(hook, str(self.sql), self.key, options, checkpoint, condition)

    def _check(self) -> None:
        """Validate the arguments before any request."""
        sources = {"sql": self.sql, "dataset": self.dataset, "url": self.url}
        given = [name for name, value in sources.items() if value is not None]
        problems = check_exactly_one(sources)
        if self.key is not None and given != ["sql"]:
            problems.append("'key' is used with 'sql' only; a dataset's key is amigo_id")
        problems += check_whole_number("page_size", self.page_size, 1)
        if self.concurrency is not None:
            problems += check_whole_number("concurrency", self.concurrency, 1)
        raise_problems([*problems, *self._check_increment(given)])

    def _check_increment(self, given: list[str]) -> list[str]:
        if self.incremental_column is None:
            return ["'lag' is used with 'incremental_column' only"] if self.lag is not None else []
        if given == ["url"]:
            return ["'incremental_column' is used with 'dataset' and 'sql'; a list cannot be filtered"]
        if given == ["sql"] and self.key is None:
            return ["'incremental_column' with 'sql' needs a 'key', a unique column of the result"]
        return []


class AmigoCloudSqlOperator(BaseOperator):
    """Run a statement that writes: INSERT, UPDATE or DELETE.

    The statement is sent once. When there is no response, the task fails with ``AmbiguousWriteError`` and
    Airflow does not retry it, as the statement may have taken effect. Check the data, then clear the task if
    the statement must run again.

    :param sql: the statement (templated).
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to edit
        (templated).
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
        """Run the statement, and return ``{"rows": n}``, the number of affected rows.

        :raises InputError: when the statement is empty, or reads only.
        :raises AmbiguousWriteError: when there was no response; the task is not retried.
        """
        if not self.sql.strip():
            raise InputError("the statement is empty", "sql")
        if re.match(r"\s*(select|values|explain)\b", self.sql, re.IGNORECASE):
            raise InputError("the statement reads only; use AmigoCloudExportOperator for queries", "sql")
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            try:
                rows = hook.run(self.sql)
            except AmbiguousWriteError as error:
                raise without_retry(error) from None
        self.log.info("%d rows affected", rows)
        return add_to_outlet_events(context, self.outlets, {"rows": rows})


class AmigoCloudUploadOperator(BaseOperator):
    """Upload a file, and wait until the service has imported it as a dataset.

    From Airflow 3.3 on, a retry after a crash resumes the job, or the chunks, of the earlier attempt. When it
    is unknown whether a new dataset was created, the task fails with ``AmbiguousWriteError`` instead of
    creating another one.

    :param source: path of the file: local, or any URL that ``ObjectStoragePath`` accepts (templated). Its
        suffix tells the service the format.
    :param dataset: id of the dataset whose content the file replaces; None for a new dataset (templated).
    :param options: further form fields, such as ``{"csv_props.delimiter": ";"}`` (templated).
    :param deferrable: wait in the triggerer; by default Airflow's ``[operators] default_deferrable``.
    :param poll_interval: maximum seconds between polls of the job.
    :param timeout: seconds after which the job counts as stuck.
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to administrate,
        and must be a user's to read the job (templated).
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
        """Upload the file, wait on the worker or in the triggerer, and return ``job`` and ``dataset_ids``."""
        submission = self._submission(context)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            job = submission.remote_id
            if job is None:
                job = self._upload(hook, submission, self._submission(context, "chunks"))
            else:
                self.log.info("Resuming with job %s of an earlier attempt", job)
            deadline = clock() + self.timeout
            if not is_deferrable(self.deferrable):
                return add_to_outlet_events(
                    context, self.outlets, self._wait(hook, job, deadline, submission)
                )
        # Imported late: only a task that defers needs the modules of triggers.
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
        """Return the result of the trigger's event.

        :raises TimeoutError: when the job was not done in time.
        :raises RunFailedError: when the job has failed.
        """
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
        """Upload the file, and store that a dataset may exist, then the id of the job."""
        if submission.is_known and not chunks.remote_id and self.dataset is None:
            raise AmbiguousWriteError(
                f"an earlier attempt uploaded '{self.source}', but the id of its job is unknown; check"
                " whether the dataset exists; a new run of the DAG uploads the file again"
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
        self.log.info("Uploaded the file; its import is job %s", job)
        return job

    def _wait(
        self, hook: AmigoCloudHook, job: str, deadline: float, submission: Submission
    ) -> dict[str, Any]:
        try:
            found = wait_for(
                lambda: check(hook, JobIsDone(job)),
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
