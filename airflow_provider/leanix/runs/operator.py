"""Operator that starts a run, and the base of the one that waits for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider.core.arguments import check_without
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.submission import Submission
from airflow_provider.leanix import DEFAULT_CONN_ID
from airflow_provider.leanix.api import HEADER_ARGUMENTS
from airflow_provider.leanix.arguments import START_SCALARS, group_problems
from airflow_provider.leanix.links import LeanIXSyncLogLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider.leanix.hooks import LeanIXHook
    from airflow_provider.leanix.ldif.document import Ldif


class LeanIXStartRunOperator(RowOperator):
    """Start a run of a stored processor configuration, and return its id without waiting.

    The first five arguments select the configuration; a whole LDIF file as content may contain them instead,
    and what it contains must not contradict them. A retry of the task resumes the run of an earlier attempt,
    and never starts a second run beside it. With ``execution_group``, the group selects the configurations.

    Further arguments: ``ignore``, ``min_rows``, ``csv_delimiter``, ``encoding``, ``source_format``, ``hive``
    and ``complete``, or ``sql``, ``sql_conn_id``, ``parameters`` and ``sql_timezone``, of
    :class:`RowOperator`.

    :param connector_type: as in the processor configuration.
    :param connector_id: as in the processor configuration.
    :param connector_version: as in the processor configuration.
    :param processing_direction: ``inbound`` or ``outbound``.
    :param processing_mode: ``partial``, or ``full``, which deletes what the content does not contain; None
        means the mode of an LDIF file, else ``partial``.
    :param lx_version: version of the LDIF format; None means that of an LDIF file, else ``1.0.0``.
    :param lx_workspace: id of the workspace that the data is meant for; compared with the API token.
    :param description: text in the run list, at most 500 characters, of which a marker takes some 30.
    :param custom_fields: values that all processors can read; they replace those of an LDIF file.
    :param content: input of an inbound run: a list of rows, or the path of a JSON Lines, CSV, Parquet or LDIF
        file, or of many files of rows: a folder (with ``/`` at its end), a wildcard or a manifest. A row has
        ``type``, ``id`` and ``data``, or ``type``, ``id`` and a column a field of the data.
    :param columns: names of fields by names in the rows: ``{"key": "id"}``.
    :param mapping: how rows with columns of their own become items: ``{"type": "Application", "id": "app_id",
        "data": {"name": "app_name"}}``. ``type`` is the type itself, ``id`` and the values in ``data``, also
        in objects and lists in it, are names of columns. ``{"column": name}`` is a column wherever it stands,
        ``{"constant": value}`` a value. A column outside of the mapping is refused unless ``ignore`` has it.
    :param write_to_ldif: whether processors ``writeToLdif`` write an LDIF. The run has to have results then,
        and without items in the content it gets the dummy item that it needs to start with.
    :param execution_group: run all processor configurations of this group as one, instead of the stored
        configuration that the first five arguments select.
    :param allow_duplicates: accept items with the same type and id, such as points of a metric.
    :param min_content: minimum number of items; None means 1 in full mode, else 0.
    :param test_run: start a dry run, which changes nothing.
    :param leanix_conn_id: id of the connection.
    """

    template_fields: Sequence[str] = (
        *HEADER_ARGUMENTS.values(),
        "content",
        *RowOperator.ROW_FIELDS,
        *RowOperator.SQL_FIELDS,
        "mapping",
        "write_to_ldif",
        "execution_group",
        "allow_duplicates",
        "min_content",
        "test_run",
        "leanix_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **RowOperator.template_fields_renderers,
        "custom_fields": "json",
        "mapping": "json",
    }
    scalars: ClassVar[Mapping[str, Scalar]] = START_SCALARS
    operator_extra_links: Collection[BaseOperatorLink] = (LeanIXSyncLogLink(),)
    ui_color = "#d9e8f6"

    sync_log_url = ""
    _submission: Submission | None = None

    def __init__(
        self,
        *,
        connector_type: str | None = None,
        connector_id: str | None = None,
        connector_version: str | None = None,
        processing_direction: str | None = None,
        processing_mode: str | None = None,
        lx_version: str | None = None,
        lx_workspace: str | None = None,
        description: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
        content: list[dict[str, Any]] | str | None = None,
        mapping: Mapping[str, Any] | None = None,
        write_to_ldif: bool | None = None,
        execution_group: str | None = None,
        allow_duplicates: bool = False,
        min_content: int | None = None,
        test_run: bool = False,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector_type = connector_type
        self.connector_id = connector_id
        self.connector_version = connector_version
        self.processing_direction = processing_direction
        self.processing_mode = processing_mode
        self.lx_version = lx_version
        self.lx_workspace = lx_workspace
        self.description = description
        self.custom_fields = custom_fields
        self.content = content
        self.mapping = mapping
        self.write_to_ldif = write_to_ldif
        self.execution_group = execution_group
        self.allow_duplicates = allow_duplicates
        self.min_content = min_content
        self.test_run = test_run
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> Any:
        """Start the run, or resume the run of an earlier attempt; return its id."""
        from airflow_provider.leanix.hooks import LeanIXHook

        self._check_arguments()
        with LeanIXHook(self.leanix_conn_id) as hook, self.open_rows(self.content) as content:
            ldif = self._ldif(hook, content)
            submission = Submission(context, self._fingerprint(ldif), self.log)
            run_id = self._submit(context, hook, submission, ldif)
            self.sync_log_url = hook.sync_log_url()
        submission.finished()
        return run_id

    def on_kill(self) -> None:
        """Stop the run, because the task was killed."""
        from airflow_provider.leanix.hooks import LeanIXHook
        from airflow_provider.leanix.runs.submit import stop_killed_run

        if self._submission and self._submission.remote_id:
            with LeanIXHook(self.leanix_conn_id) as hook:
                stop_killed_run(hook, self._submission.remote_id, self.log)

    def _check_arguments(self) -> None:
        """Read the rendered arguments as their types, and raise all their problems."""
        self._raise_problems(read_scalars(self, self.scalars))

    def _raise_problems(self, problems: list[str]) -> None:
        """Raise the problems of arguments, with those of the arguments about rows."""
        from airflow_provider.leanix.ldif.mapping import mapping_problems

        if self.sql is not None:
            problems += check_without("sql", {"content": self.content})
        problems += group_problems(self.execution_group)
        problems += mapping_problems(self.mapping, has_rows=self._has_rows)
        self.row_options(problems)

    @property
    def _has_rows(self) -> bool:
        return self.content is not None or self.sql is not None

    def _ldif(self, hook: LeanIXHook, content: object) -> Ldif:
        from airflow_provider.leanix.ldif.document import make_header, prepare
        from airflow_provider.leanix.ldif.mapping import read_mapping

        ldif = prepare(
            make_header(**{name: getattr(self, name) for name in HEADER_ARGUMENTS.values()}),
            content,
            min_content=self.min_content,
            options=self.row_options(),
            allow_duplicates=self.allow_duplicates,
            mapping=read_mapping(self.mapping)[0],
            writes=self._writes(),
        )
        hook.check_workspace(ldif.header.get("lxWorkspace"))
        if ldif.is_empty:
            self.log.warning(
                "The content has no items: the run gets nothing to process ('min_content' of 1 refuses that)"
            )
        if ldif.writes and not ldif.sent:
            self.log.info("Export by writeToLdif: the content has no items, so a dummy item starts the run")
        return ldif

    def _writes(self) -> bool:
        """Return whether the run is to write an LDIF."""
        return bool(self.write_to_ldif)

    def _fingerprint(self, ldif: Ldif) -> str:
        """Return the fingerprint of the request; a changed input is a new request."""
        parts = [self.leanix_conn_id, dict(ldif.header), ldif.count, ldif.sha256, self.test_run]
        return fingerprint([*parts, self.execution_group] if self.execution_group else parts)

    def _submit(self, context: Context, hook: LeanIXHook, submission: Submission, ldif: Ldif) -> str:
        from airflow_provider.leanix.runs.submit import submit

        self._submission = submission
        is_retry = int(getattr(context["ti"], "try_number", 1) or 1) > 1
        group = self.execution_group
        return submit(hook, submission, ldif, test=self.test_run, is_retry=is_retry, execution_group=group)
