"""Operators for AmigoCloud: export, SQL statements, uploads, and the sync of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_provider.amigocloud import DEFAULT_CONN_ID
from airflow_provider.amigocloud.api import dataset_number, write_text
from airflow_provider.amigocloud.export.parts.operator import AmigoCloudPlanExportOperator
from airflow_provider.amigocloud.photos.operator import AmigoCloudExportPhotosOperator
from airflow_provider.amigocloud.sync.operator import AmigoCloudSyncDatasetOperator
from airflow_provider.amigocloud.upload.operator import AmigoCloudUploadOperator
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import without_retry
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.core.pages.links import ReportLink
from airflow_provider.errors import AmbiguousWriteError, ProviderError

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider.amigocloud.export.checkpoint import Checkpoint
    from airflow_provider.amigocloud.export.incremental import Increment, WatermarkStore
    from airflow_provider.amigocloud.export.request import ExportRequest
    from airflow_provider.amigocloud.export.sources import Source
    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.sql.statement import Statement
    from airflow_provider.core.state.submission import Submission


# Modules of the export are imported where it runs: DAG files are parsed often.

__all__ = [
    "AmigoCloudExportOperator",
    "AmigoCloudExportPhotosOperator",
    "AmigoCloudPlanExportOperator",
    "AmigoCloudSqlOperator",
    "AmigoCloudSyncDatasetOperator",
    "AmigoCloudUploadOperator",
]


class AmigoCloudExportOperator(CheckedOperator):
    """Export a dataset, the result of a query, or a list into one file, completely or not at all.

    A dataset is read from a snapshot, in key order, so that concurrent writes do not affect the export. The
    rows are compared to the service's count, and the file is published atomically at the end. From Airflow
    3.3 on, a retry after a crash resumes with the same snapshot.

    :param output_path: local path, or any URL that ``ObjectStoragePath`` accepts (templated).
    :param sql: query (templated). Exactly one of ``sql``, ``dataset``, ``url`` and ``saved_query`` is
        required.
    :param dataset: id of a dataset (templated).
    :param url: list endpoint, such as ``datasets`` or ``/me/projects`` (templated).
    :param saved_query: id of one of the project's saved queries, whose SQL is read when the task runs
        (templated).
    :param format: ``jsonl``, ``csv``, ``parquet``, ``geojson`` or ``geoparquet``; by default from the suffix
        of the path (``.jsonl.gz`` and ``.csv.gz`` are compressed). ``jsonl``, ``csv`` and ``parquet`` hold
        geometries as the service returns them, as hex EWKB; the other two require WGS 84 (templated).
    :param key: with ``sql`` and ``saved_query``: column of the result whose values are unique and never null.
        The rows are then read in key order, which is exact while data changes, and fast at any size. A column
        of floats is no key, as floats are not compared exactly (templated).
    :param page_size: rows to request per page; the service returns at most 1000, as far as is known
        (templated).
    :param concurrency: maximum concurrent requests, for a dataset and for a query with a key of hex ids or
        UUIDs; by default the connection's ``max_concurrency``, else 4. Other queries and lists are read one
        page ahead (templated).
    :param incremental_column: export only the rows that are new since the last export, by this column of
        dates, timestamps or numbers that only grow. The watermark is stored on the task's one outlet asset
        (Airflow 3.3), moves after the file is published, and never passes the service's time. Rows without a
        value are in the first export only (templated).
    :param lag: distance before the watermark from which rows are read again, for rows that become visible
        late: a ``timedelta``, or a number for a column of numbers. Rows exported before are dropped
        (templated).
    :param full_refresh: whether to ignore the watermark and export all rows (templated).
    :param part: one of the parts that ``AmigoCloudPlanExportOperator`` returns, from
        ``expand(part=plan.output)``: export its rows, in the state of the plan, into a file of its own. In
        ``output_path``, ``{part}`` stands for ``00003-of-00008``. A path that ends in the part's number, as
        ``{{ ti.map_index }}`` makes it, is taken as it is; a folder with ``/`` at its end gets the file
        ``part-00003-of-00008.jsonl``, or with the ending of ``format``; another path gets the number before
        its suffix. An asset among the outlets is refused: it belongs to the ``CommitManifestOperator``
        (templated).
    :param state: hash of the state to read, instead of the latest one, of a dataset or of a query about one
        dataset (templated).
    :param report: whether to write a page about the rows beside the file: counts, nulls, ranges, a map, and
        what changed since the last export, see ``docs/reports.md``. The result has its path as ``report``
        (templated).
    :param amigocloud_conn_id: id of the Airflow connection (templated).
    """

    template_fields: Sequence[str] = (
        "output_path",
        "sql",
        "dataset",
        "url",
        "format",
        "saved_query",
        "key",
        "page_size",
        "concurrency",
        "incremental_column",
        "lag",
        "full_refresh",
        "part",
        "state",
        "report",
        "amigocloud_conn_id",
    )
    operator_extra_links = (ReportLink(),)
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
        saved_query: int | str | None = None,
        format: str | None = None,  # noqa: A002 - the public name
        key: str | None = None,
        page_size: int | str = 1000,
        concurrency: int | str | None = None,
        incremental_column: str | None = None,
        lag: timedelta | float | str | None = None,
        full_refresh: bool | str = False,
        part: Mapping[str, Any] | None = None,
        state: str | None = None,
        report: bool | str = False,
        amigocloud_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.sql = sql
        self.dataset = dataset
        self.url = url
        self.saved_query = saved_query
        self.format = format
        self.key = key
        self.page_size = page_size
        self.concurrency = concurrency
        self.incremental_column = incremental_column
        self.lag = lag
        self.full_refresh = full_refresh
        self.part = part
        self.state = state
        self.report = report
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the export, and return the manifest.

        :raises InputError: when arguments are invalid, or rows do not fit the format.
        :raises IncompleteExportError: when the rows may be incomplete; nothing is published.
        """
        from airflow_provider.amigocloud.export.export import export
        from airflow_provider.amigocloud.export.request import read_request
        from airflow_provider.amigocloud.hooks import AmigoCloudHook
        from airflow_provider.amigocloud.report import subject_of
        from airflow_provider.core.files.storage import ensure_writable
        from airflow_provider.core.reports.report import open_report

        request = read_request(self)
        ensure_writable(request.output_path)
        subject = subject_of(self, request)
        report = open_report(self, context, request.output_path, subject)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            statement = request.statement or self._saved_statement(hook)
            store, increment = self._increment(context, request, statement)
            condition = increment.condition() if increment else None
            checkpoint = self._checkpoint(context, request, statement, condition)
            source = self._source(hook, request, statement, checkpoint, condition)
            try:
                path, file_format, part = request.output_path, request.file_format, request.part
                manifest = export(hook, source, path, file_format, increment, part, report)
            except ProviderError as error:
                checkpoint.keep_after(error)
                raise
        if store and increment:
            store.save(increment)
        checkpoint.delete()
        return add_to_outlet_events(context, self.outlets, manifest)

    def _saved_statement(self, hook: AmigoCloudHook) -> Statement | None:
        """Return the query that the project has saved; None when the source is no saved query."""
        from airflow_provider.amigocloud.export.parts.arguments import query_problems
        from airflow_provider.amigocloud.export.request import read_statement
        from airflow_provider.core.input.conditions import raise_problems

        if self.saved_query is None:
            return None
        name = f"saved query {self.saved_query}"
        statement = read_statement(hook.get_saved_query(self.saved_query), self.key, name)
        if self.state is not None:
            raise_problems(query_problems(statement), name)
        return statement

    def _increment(
        self, context: Context, request: ExportRequest, statement: Statement | None
    ) -> tuple[WatermarkStore | None, Increment | None]:
        """Return the increment since the stored watermark; since the beginning with ``full_refresh``."""
        from airflow_provider.amigocloud.export.incremental import Increment, WatermarkStore
        from airflow_provider.amigocloud.export.parts.arguments import outlet_assets

        if self.incremental_column is None:
            return None, None
        column, key = self.incremental_column, self.key or "amigo_id"
        sql = statement.text if statement else None
        source = {"sql": sql, "dataset": self.dataset, "column": column, "key": key}
        store = WatermarkStore(cast("Any", context), outlet_assets(self), source, self.log)
        watermark, seen = (None, frozenset[str]()) if self.full_refresh else store.load()
        return store, Increment(column, key, request.lag, watermark, seen)

    def _checkpoint(
        self,
        context: Context,
        export: ExportRequest,
        statement: Statement | None,
        condition: str | None,
    ) -> Checkpoint:
        """Return the checkpoint of this export, with the pages that earlier attempts have saved."""
        from airflow_provider.amigocloud.export.checkpoint import Checkpoint

        request = {
            "sql": statement.text if statement else None,
            "dataset": self.dataset,
            "key": self.key,
            "condition": condition,
            "connection": self.amigocloud_conn_id,
            **({"state": export.state} if export.state else {}),
            **({"part": export.part.to_json()} if export.part else {}),
        }
        return Checkpoint(context.get("task_state_store"), export.output_path, request, self.log)

    def _source(
        self,
        hook: AmigoCloudHook,
        request: ExportRequest,
        statement: Statement | None,
        checkpoint: Checkpoint,
        condition: str | None,
    ) -> Source:
        from airflow_provider.amigocloud.export.keyset import EVERYTHING
        from airflow_provider.amigocloud.export.parts.reading import fixed_state
        from airflow_provider.amigocloud.export.readers import ReadOptions
        from airflow_provider.amigocloud.export.sources import dataset_source, list_source, sql_source

        concurrency = cast("int | None", self.concurrency)
        options = ReadOptions(cast("int", self.page_size), concurrency or hook.max_concurrency)
        if self.url is not None:
            return list_source(hook, self.url, options)
        hook.need_project()
        part = request.part
        if statement is not None:
            fixed = fixed_state(hook, statement.datasets, request.state)
            return sql_source(hook, statement, self.key, options, checkpoint, condition, fixed)
        dataset = part.dataset if part else dataset_number(cast("int", self.dataset))
        fixed = fixed_state(hook, [dataset], request.state, part)
        keys = part.keys if part else EVERYTHING
        return dataset_source(hook, dataset, options, checkpoint, condition, fixed, keys)


class AmigoCloudSqlOperator(CheckedOperator):
    """Run a statement that writes: INSERT, UPDATE or DELETE.

    The statement is sent once. When there is no response, or an earlier attempt was killed while it was sent
    (known from Airflow 3.3 on), the task fails with ``AmbiguousWriteError`` and Airflow does not retry it, as
    the statement may have taken effect. Check the data, then clear the task if the statement must run again.

    :param sql: the statement (templated).
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to edit
        (templated).
    """

    template_fields: Sequence[str] = ("sql", "amigocloud_conn_id")
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 - as Airflow declares it
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#d7ecd9"

    def __init__(self, *, sql: str, amigocloud_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.amigocloud_conn_id = amigocloud_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Run the statement, and return ``{"rows": n}``, the number of affected rows.

        :raises InputError: when it is not one statement, or reads only.
        :raises AmbiguousWriteError: when it may have been sent before, or there was no response; the task is
            not retried.
        """
        from airflow_provider.core.state.submission import Submission

        statement = write_text(self.sql)
        request = [self.amigocloud_conn_id, statement]
        submission = Submission(cast("Any", context), request, self.log, "statement")
        if submission.remote_id:
            rows = int(submission.note)
            self.log.info("An earlier attempt has run the statement: %d rows affected", rows)
        else:
            rows = self._run(statement, submission)
            self.log.info("%d rows affected", rows)
        return add_to_outlet_events(context, self.outlets, {"rows": rows})

    def _run(self, statement: str, submission: Submission) -> int:
        """Send the statement, unless an earlier attempt may have sent it; return the number of rows."""
        from airflow_provider.amigocloud.hooks import AmigoCloudHook

        try:
            if submission.is_known:
                raise AmbiguousWriteError(
                    "an earlier attempt of this task was killed while it sent the statement, which may have"
                    " taken effect; check the data, and clear the task if the statement must run again"
                )
            with AmigoCloudHook(self.amigocloud_conn_id) as hook:
                hook.need_project()
                submission.intend()
                rows = hook.run(statement)
        except ProviderError as error:
            submission.renew()
            raise (without_retry(error) if isinstance(error, AmbiguousWriteError) else error) from None
        submission.created("sent", rows)
        submission.finished()
        return rows
