"""Earlier report: the profile of the last export, read from its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from airflow_provider.core.files.paths.parts import outlet_assets
from airflow_provider.core.files.paths.patterns import REPORT_ENDING
from airflow_provider.core.files.storage import object_path
from airflow_provider.core.redaction import redact, shown_path
from airflow_provider.core.reports.page import DATA_END, DATA_START, PREFIX
from airflow_provider.core.reports.profile import Profile, from_script
from airflow_provider.core.state.identity import fingerprint, task_identity
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import InputError, one_line

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

MAX_BYTES = 16 * 1024 * 1024
"""Maximum bytes of a page that is read."""

NO_REPORT = "There is no earlier report: the next one compares itself with this one."

_DAMAGED = "The earlier report cannot be read, so there is no comparison."


def report_path(output_path: str) -> str:
    """Return the path of the report about a file: ``rows.jsonl.gz`` has ``rows.jsonl.report.html``.

    The report about the tables in a folder is ``tables.report.html`` in it.

    :param output_path: path of the file, or of a folder with ``/`` at its end.
    """
    if output_path.endswith("/"):
        return f"{output_path}tables{REPORT_ENDING}"
    return f"{output_path.removesuffix('.gz')}{REPORT_ENDING}"


class NoReportError(ValueError):
    """A file is not the page of a report."""


def read_report(uri: str) -> Profile | None:
    """Return the profile in a page; None when there is no page.

    :param uri: location of the page.
    :raises NoReportError: when the file is no report, but something else.
    :raises ValueError: when it is a damaged report.
    """
    try:
        with _open(uri) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    if not data:
        raise ValueError("it is empty")
    if not data.startswith(PREFIX.encode()):
        raise NoReportError("it is no report")
    if len(data) > MAX_BYTES:
        raise ValueError("it is too large")
    _, found, rest = data.decode("utf-8", "replace").rpartition(DATA_START)
    text, end, _ = rest.partition(DATA_END)
    if not found or not end:
        raise ValueError("its data are missing")
    return from_script(text)


def _open(uri: str) -> IO[bytes]:
    target = object_path(uri)
    if target.protocol in ("", "file", "local"):
        # Airflow would import the libraries of all storages for it.
        return Path(target.path).open("rb")
    opened: IO[bytes] = target.open("rb")  # type: ignore[no-untyped-call]
    return opened


def read_own_report(uri: str, output_path: str, log: Logger) -> tuple[Profile | None, str]:
    """Return the last profile at the path of a report that is to be replaced, or why there is none.

    :param uri: path of the report.
    :param output_path: path of the file that the report is about.
    :param log: receives a warning about a damaged report.
    :raises InputError: when the file at the path is something else, or the report of another file.
    """
    try:
        found = read_report(uri)
    except NoReportError:
        raise InputError(
            f"'{shown_path(uri)}' is the path of the report, and there is a file that is none; move it",
            "report",
        ) from None
    except Exception as error:  # Storage libraries raise errors of any class.
        return None, _damaged(uri, error, log)
    if found is None:
        return None, NO_REPORT
    if found.uri != shown_path(output_path):
        raise InputError(
            f"'{shown_path(uri)}' is the report of another file, '{found.uri[:200]}'; give one of them"
            " another name, or remove the report",
            "report",
        )
    return found, ""


def _damaged(uri: str, error: Exception, log: Logger) -> str:
    said = one_line(redact(str(error)))
    log.warning("The earlier report %s cannot be read: %.300s", shown_path(uri), said)
    return _DAMAGED


class LastReport:
    """Location of the task's last report, stored with its outlet asset (Airflow 3.3).

    It is what a task with a date in its path compares itself with. A run that is repeated finds the report
    before its own.

    :param task: the operator.
    :param context: the task's context.
    :param log: receives a warning about a damaged report.
    """

    def __init__(self, task: Any, context: Mapping[str, Any], log: Logger) -> None:
        self._log = log
        self._mark: Watermark | None = None
        outlets = list(task.outlets or ())
        has_store = context.get("asset_state_store") is not None and context.get("ti") is not None
        if has_store and len(outlets) == 1 and outlet_assets(task) == outlets:
            dag, name, _, index = task_identity(context)
            own = [dag, name, index]
            self._mark = Watermark(
                context, outlets, own, log, name=f"report-{fingerprint(own)}", argument="report"
            )

    def read(self) -> Profile | None:
        """Return the profile of the last report; None when none is stored, or it is gone."""
        try:
            uri = self._mark.start().get("uri") if self._mark else None
        except Exception as error:
            self._log.warning("The location of the last report cannot be read: %s", redact(str(error))[:300])
            return None
        if not isinstance(uri, str):
            return None
        try:
            return read_report(uri)
        except Exception as error:  # Storage libraries raise errors of any class.
            _damaged(uri, error, self._log)
            return None

    def move(self, uri: str) -> None:
        """Store the location of this run's report.

        :param uri: the location.
        """
        if self._mark is not None:
            self._mark.move({"uri": uri})
