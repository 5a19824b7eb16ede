"""Operator that uploads a file, or rows as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from airflow_provider.amigocloud import DEFAULT_CONN_ID
from airflow_provider.amigocloud.api import dataset_number
from airflow_provider.amigocloud.values import path_problems, problems_of
from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.core.compat import is_deferrable, without_retry
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.polling import bounded, clock, shown_bound, wait_for
from airflow_provider.errors import AmbiguousWriteError, InputError, ProviderError, RunFailedError

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider.amigocloud.hooks import AmigoCloudHook
    from airflow_provider.amigocloud.sync.fields import Schema
    from airflow_provider.amigocloud.upload.chunks import StoredChunks
    from airflow_provider.amigocloud.upload.content import Content
    from airflow_provider.core.files.row_source import RowOptions
    from airflow_provider.core.state.submission import Submission


class AmigoCloudUploadOperator(RowOperator):
    """Upload a file, or rows as CSV, and wait until the service has imported it as a dataset.

    A Parquet file, the files of a wildcard, a folder or a manifest, and the result of a query are rows: they
    are written to a temporary CSV file, and this is uploaded. Any other file is sent as it is. A row with a
    value that the imported dataset would not have is refused before the upload.

    From Airflow 3.3 on, a retry after a crash resumes the job, or the chunks, of the earlier attempt; chunks
    only when the content is the same. When it is unknown whether a new dataset was created, the task fails
    with ``AmbiguousWriteError`` instead of creating another one.

    Further arguments: ``columns``, ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``,
    ``source_format``, ``hive`` and ``complete``, or ``sql``, ``sql_conn_id``, ``parameters`` and
    ``sql_timezone``, of :class:`RowOperator`. Without ``min_rows``, a source without rows is refused.

    :param source: path of the file: local, or any URL that ``ObjectStoragePath`` accepts (templated). Its
        suffix tells the service the format. Exactly one of ``source`` and ``sql`` is required.
    :param dataset: id of the dataset whose content the file replaces; None for a new dataset (templated).
        Rows must have the dataset's fields.
    :param options: further form fields, such as ``{"csv_props.delimiter": ";"}`` (templated).
    :param deferrable: wait in the triggerer; by default Airflow's ``[operators] default_deferrable``
        (templated).
    :param poll_interval: maximum seconds between polls of the job (templated).
    :param timeout: seconds after which the job counts as stuck (templated); ``execution_timeout`` is a
        further bound, also while the task is deferred.
    :param amigocloud_conn_id: id of the Airflow connection; its token needs the permission to administrate,
        and must be a user's to read the job (templated).
    :return: ``{"job": hash, "dataset_ids": [n]}``, and ``rows`` where rows were uploaded.
    """

    template_fields: Sequence[str] = (
        "source",
        "dataset",
        "options",
        "deferrable",
        "poll_interval",
        "timeout",
        "amigocloud_conn_id",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
    )
    long_decimals = "refuse"
    ui_color = "#d7ecd9"

    def __init__(
        self,
        *,
        source: str | None = None,
        dataset: int | str | None = None,
        options: dict[str, str] | None = None,
        deferrable: bool | str | None = None,
        poll_interval: float | str = 5.0,
        timeout: float | timedelta | str = 3600.0,
        amigocloud_conn_id: str = DEFAULT_CONN_ID,
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
        """Upload the file, wait on the worker or in the triggerer, and return ``job`` and ``dataset_ids``.

        :raises InputError: when arguments are invalid, the file does not exist or is empty, or rows have
            values that the dataset would not have.
        """
        from airflow_provider.amigocloud.hooks import AmigoCloudHook

        options = self._check()
        submission = self._submission(context)
        with AmigoCloudHook(self.amigocloud_conn_id) as hook:
            job = submission.remote_id
            if job is None:
                job = self._upload(hook, options, submission, self._submission(context, "chunks"))
            else:
                self.log.info("Resuming with job %s of an earlier attempt", job)
            deadline = clock() + bounded(cast("float", self.timeout), self.execution_timeout)
            if not is_deferrable(cast("bool | None", self.deferrable)):
                return add_to_outlet_events(
                    context, self.outlets, self._wait(hook, job, deadline, submission)
                )
        # Imported late: only a task that defers needs the modules of triggers.
        from airflow_provider.amigocloud.conditions import JobIsDone
        from airflow_provider.amigocloud.triggers import AmigoCloudTrigger

        trigger = AmigoCloudTrigger(
            amigocloud_conn_id=self.amigocloud_conn_id,
            question=JobIsDone.__name__,
            about={"job_id": job},
            deadline=deadline,
            poll_interval=cast("float", self.poll_interval),
        )
        kwargs = {"job": job, **_rows_noted(submission)}
        return self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs)

    def execute_complete(
        self, context: Context, event: dict[str, Any], rows: int | None = None, job: str | None = None
    ) -> dict[str, Any]:
        """Return the result of the trigger's event.

        :param job: the job that was waited for; None in a task that an earlier release has deferred.
        :param rows: number of rows; None when a file was sent as it is.
        :raises TimeoutError: when the job was not done in time.
        :raises RunFailedError: when the job has failed.
        """
        from airflow_provider.core.trigger_events import raise_for

        self._check()
        submission = self._submission(context)
        known = {"rows": rows} if rows is not None else _rows_noted(submission)
        with self._uploaded(submission):
            if event["status"] == "timeout":
                raise self._stuck(job or submission.remote_id)
            raise_for(event)
        submission.finished()
        result = {"job": event["job"], "dataset_ids": event["dataset_ids"], **known}
        return add_to_outlet_events(context, self.outlets, result)

    def _check(self) -> RowOptions:
        """Validate the arguments before any request, and read those that a template made."""
        from airflow_provider.core.input.scalars import Scalar, read_scalars

        problems = self._source_problems()
        if self.dataset is not None:
            problems += problems_of("dataset", lambda: dataset_number(self.dataset or ""))
        problems += self._fields(None if problems else self.dataset)[1]
        scalars = {
            "deferrable": Scalar("boolean", optional=True),
            "poll_interval": Scalar("seconds", above=0),
            "timeout": Scalar("seconds", above=0),
        }
        return self.row_options([*problems, *read_scalars(self, scalars)])

    def _source_problems(self) -> list[str]:
        if self.sql is None:
            return path_problems(self.source, "source")
        return [] if self.source is None else ["give either 'source' or 'sql', not both"]

    def _fields(self, dataset: int | str | None) -> tuple[dict[str, str], list[str]]:
        from airflow_provider.amigocloud.uploads import read_fields

        return read_fields(self.options, None if dataset is None else str(dataset_number(dataset)))

    @property
    def _replaces(self) -> bool:
        """Return whether the content replaces that of a dataset, so that it may be sent twice."""
        action = self._fields(self.dataset)[0].get("dataset_write_action")
        return self.dataset is not None and action == "overwrite"

    def _submission(self, context: Context, name: str = "upload") -> Submission:
        from airflow_provider.core.state.submission import Submission

        request: dict[str, Any] = {"source": self.source, "dataset": self.dataset, "options": self.options}
        # A file that is sent as it is has none of these, and its request is that of earlier versions.
        for field in (*self.ROW_FIELDS, *self.SQL_FIELDS):
            if (value := getattr(self, field)) not in (None, False):
                request[field] = repr(value)
        return Submission(cast("Any", context), request, self.log, name)

    def _upload(
        self, hook: AmigoCloudHook, options: RowOptions, submission: Submission, earlier: Submission
    ) -> str:
        """Upload the content, and store that a dataset may exist, then the id of the job."""
        from airflow_provider.amigocloud.upload.chunks import StoredChunks

        what = "the rows" if self.source is None else f"'{self.source}'"
        if submission.is_known and not earlier.remote_id and not self._replaces:
            raise AmbiguousWriteError(
                f"an earlier attempt uploaded {what}, but the id of its job is unknown; check"
                " whether the dataset exists; a new run of the DAG uploads the file again"
            )
        hook.need_project()
        chunks = StoredChunks(earlier, not self._replaces, submission.intend, self.log)
        with self._content(hook, options) as content:
            job = self._send(hook, content, submission, chunks)
        submission.created(job, None if content.rows is None else {"rows": content.rows})
        chunks.finished()
        self.log.info("Uploaded the file; its import is job %s", job)
        return job

    def _send(
        self, hook: AmigoCloudHook, content: Content, submission: Submission, chunks: StoredChunks
    ) -> str:
        from airflow_provider.amigocloud.upload.content import FIELDS
        from airflow_provider.amigocloud.uploads import upload_open

        fields = {**self._fields(self.dataset)[0], **({} if content.rows is None else FIELDS)}
        try:
            return upload_open(hook.send, content.file, content.name, fields, chunks)
        except AmbiguousWriteError as error:
            if not self._replaces and (chunks.may_be_complete or not chunks.upload_id):
                raise without_retry(error) from None
            raise
        except ProviderError:
            chunks.refused()
            submission.renew()
            raise

    @contextmanager
    def _content(self, hook: AmigoCloudHook, options: RowOptions) -> Iterator[Content]:
        """Yield what is uploaded: the file, or rows as CSV."""
        from airflow_provider.amigocloud.upload.content import csv_name, open_content, rows_of, write_csv

        rows = None if self.source is None else rows_of(self.source, options)
        if self.source is not None and rows is None:
            with open_content(self.source) as content:
                yield content
            return
        name = csv_name(self.source, self.task_id)
        target = self._target()
        with (
            self.open_rows(rows) as source,
            write_csv(source, options, lambda: self._schema(hook, target), name, self.log) as content,
        ):
            yield content

    def _target(self) -> str | None:
        """Return the id of the dataset whose rows are replaced; None for a new one.

        :raises InputError: when the form fields say how a CSV is read that the task writes itself.
        """
        fields, _ = self._fields(self.dataset)
        if wrong := [name for name in fields if name.startswith("csv_props.")]:
            named = ", ".join(map(repr, wrong))
            raise InputError(f"{named}: the CSV of rows is written by the task; leave it out", "options")
        return fields.get("dataset_id")

    def _schema(self, hook: AmigoCloudHook, target: str | None) -> Schema | None:
        from airflow_provider.amigocloud.sync.fields import Schema

        return None if target is None else Schema(hook.get_schema(target))

    def _wait(
        self, hook: AmigoCloudHook, job: str, deadline: float, submission: Submission
    ) -> dict[str, Any]:
        from airflow_provider.amigocloud.conditions import JobIsDone, check

        known = _rows_noted(submission)
        with self._uploaded(submission):
            try:
                found = wait_for(
                    lambda: check(hook, JobIsDone(job)),
                    deadline=deadline,
                    poll_interval=cast("float", self.poll_interval),
                    log=self.log,
                )
            except TimeoutError:
                raise self._stuck(job) from None
        submission.finished()
        return {"job": job, "dataset_ids": found["dataset_ids"], **known}

    def _stuck(self, job: str | None) -> TimeoutError:
        waited = shown_bound(cast("float", self.timeout), self.execution_timeout)
        return TimeoutError(f"job {job} was not done after {waited}")

    @contextmanager
    def _uploaded(self, submission: Submission) -> Iterator[None]:
        """Within the block, after an upload, let no retry upload again what the service may still import."""
        try:
            yield
        except RunFailedError:
            submission.renew()
            raise
        except Exception as error:
            if submission.remembers or self._replaces:
                raise
            raise without_retry(error) from None


def _rows_noted(submission: Submission) -> dict[str, Any]:
    """Return the number of rows that were uploaded as ``rows``; nothing for a file that was sent as it is."""
    return dict(submission.note) if isinstance(submission.note, dict) else {}
