"""The task that fetches what a LeanIX run has produced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.errors import InputError, RunFailedError
from airflow_provider.leanix.api import FINISHED
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.results import output_problems

if TYPE_CHECKING:
    from airflow.sdk import Context


class LeanIXFetchResultsOperator(BaseOperator):
    """Fetch the LDIF that a FINISHED run made.

    :param run_id: the run, which must be FINISHED.
    :param output_path: where the LDIF goes, byte for byte: a local path, or any URL that
        ``ObjectStoragePath`` takes.
    :param output_format: ``ldif``, or ``jsonl`` for the items of its content only, one a line.
    :param leanix_conn_id: the connection.

    Returns the manifest of the file, or None when the run made no LDIF.
    """

    template_fields: Sequence[str] = ("run_id", "output_path", "leanix_conn_id")
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        run_id: str,
        output_path: str,
        output_format: str = "ldif",
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.output_path = output_path
        self.output_format = output_format
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Fetch the results."""
        if problems := output_problems(self.output_path, self.output_format):
            raise InputError(problems, "the task's arguments")
        with LeanIXHook(self.leanix_conn_id) as hook:
            status = hook.get_run_status(self.run_id)
            if status != FINISHED:
                raise RunFailedError(
                    self.run_id, status, "only a FINISHED run has results; wait for it first"
                )
            made = hook.download_results(self.run_id, self.output_path, output_format=self.output_format)
        return tell(context, self.outlets, made) if made else None
