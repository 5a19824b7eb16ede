"""The task that starts a LeanIX run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider.core.state.identity import fingerprint
from airflow_provider.core.state.submission import Submission
from airflow_provider.leanix import runs
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.ldif import Ldif, make_header, prepare
from airflow_provider.leanix.links import LeanIXSyncLogLink

if TYPE_CHECKING:
    from airflow.sdk import Context


class LeanIXStartRunOperator(BaseOperator):
    """Start a run of a stored processor configuration, and return its id at once.

    The first five arguments select the configuration. A later try of the task takes up the run that an
    earlier one has made, and never starts a second one beside it.

    :param connector_type: as in the processor configuration.
    :param connector_id: as in the processor configuration.
    :param connector_version: as in the processor configuration.
    :param processing_direction: ``inbound`` or ``outbound``.
    :param processing_mode: ``partial``, or ``full``, which deletes what the content does not hold.
    :param lx_version: version of the format.
    :param lx_workspace: id of the workspace that the data is meant for; checked against the API token.
    :param description: shown in the run list, at most 500 characters, of which a marker takes some 30.
    :param custom_fields: values that all processors can read.
    :param content: what an inbound run takes in: a list of ``{"type", "id", "data"}``, or the path of a JSON
        Lines, Parquet or LDIF file.
    :param min_content: the fewest items that are no mistake; 1 in full mode unless given.
    :param test_run: a dry run that changes nothing.
    :param leanix_conn_id: the connection.
    """

    template_fields: Sequence[str] = (
        "connector_type",
        "connector_id",
        "connector_version",
        "processing_direction",
        "processing_mode",
        "lx_workspace",
        "description",
        "custom_fields",
        "content",
        "leanix_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"custom_fields": "json"}
    operator_extra_links = (LeanIXSyncLogLink(),)
    ui_color = "#d9e8f6"

    sync_log_url = ""
    _submission: Submission | None = None

    def __init__(
        self,
        *,
        connector_type: str,
        connector_id: str,
        connector_version: str,
        processing_direction: str,
        processing_mode: str = "partial",
        lx_version: str = "1.0.0",
        lx_workspace: str | None = None,
        description: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
        content: list[dict[str, Any]] | str | None = None,
        min_content: int | None = None,
        test_run: bool = False,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
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
        self.min_content = min_content
        self.test_run = test_run
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> Any:
        """Start the run, or take up the one that an earlier try has started."""
        with LeanIXHook(self.leanix_conn_id) as hook:
            ldif = self._ldif(hook)
            submission = self._remember(context, self._request(ldif))
            run_id = self._submit(context, hook, submission, ldif)
            self.sync_log_url = hook.sync_log_url()
        submission.finished()
        return run_id

    def on_kill(self) -> None:
        """Stop the run: the task was killed."""
        run_id = self._submission.remote_id if self._submission else None
        if run_id:
            with LeanIXHook(self.leanix_conn_id) as hook:
                stopped = hook.stop_run(run_id)
            self.log.info("Run %s %s", run_id, "was stopped" if stopped else "was not running")

    def _ldif(self, hook: LeanIXHook) -> Ldif:
        header = make_header(
            connector_type=self.connector_type,
            connector_id=self.connector_id,
            connector_version=self.connector_version,
            processing_direction=self.processing_direction,
            processing_mode=self.processing_mode,
            lx_version=self.lx_version,
            lx_workspace=self.lx_workspace,
            description=self.description,
            custom_fields=self.custom_fields,
        )
        ldif = prepare(header, self.content, min_content=self.min_content)
        hook.check_workspace(self.lx_workspace)
        return ldif

    def _request(self, ldif: Ldif) -> str:
        """Name what is asked for: a changed input is new work."""
        parts = [self.leanix_conn_id, dict(ldif.header), ldif.count, ldif.sha256, self.test_run]
        return fingerprint(parts)

    def _remember(self, context: Context, request: str) -> Submission:
        return Submission(context, request, self.log)

    def _submit(self, context: Context, hook: LeanIXHook, submission: Submission, ldif: Ldif) -> str:
        self._submission = submission
        tried_before = int(getattr(context["ti"], "try_number", 1) or 1) > 1
        return runs.submit(hook, submission, ldif, test=self.test_run, tried_before=tried_before)
