"""Export manifests: the description of a written file, and log lines about an export."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


PROGRESS_SECONDS = 10.0
"""Seconds between two log lines about an export's progress."""


def manifest(
    file: AtomicFile, *, file_format: str, rows: int, columns: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Return the manifest of a written file, the result of export operators: small JSON without rows.

    :param file: the file.
    :param file_format: name of its format.
    :param rows: number of its rows.
    :param columns: names of its columns.
    :param more: ``requests`` (number), ``seconds``, and where they apply ``watermark`` and ``state``.
    """
    return {
        "uri": file.uri,
        "format": file_format,
        "rows": rows,
        "bytes": file.bytes,
        "files": [{"uri": file.uri, "rows": rows, "bytes": file.bytes}],
        "columns": list(columns),
        **more,
    }


def log_manifest(manifest: dict[str, Any], log: Logger) -> dict[str, Any]:
    """Log an export's counts in one line, and return its manifest."""
    log.info(
        "Exported %d rows, %d bytes, with %d requests in %.1f s: %s",
        *(manifest[name] for name in ("rows", "bytes", "requests", "seconds", "uri")),
    )
    return manifest


class ProgressLog:
    """Logs an export's progress every :data:`PROGRESS_SECONDS`.

    :param log: receives the lines.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._logged_at = time.monotonic()
        self._logged_rows = 0

    def update(self, rows: int, expected: int | None = None) -> float | None:
        """Log the progress when it is time; returns the rows a second of a logged line, else None.

        :param rows: the number of rows so far.
        :param expected: the number of all rows, when it is known.
        """
        now = time.monotonic()
        if now - self._logged_at < PROGRESS_SECONDS:
            return None
        # The rate since the last line: rows from a checkpoint come much faster than rows of the service.
        rate = (rows - self._logged_rows) / max(now - self._logged_at, 1e-9)
        self._logged_at, self._logged_rows = now, rows
        total = f" of {expected}" if expected is not None else ""
        left = f", {(expected - rows) / rate:.0f} s to go" if expected and rate else ""
        self._log.info("%d%s rows, %.0f a second%s", rows, total, rate, left)
        return rate
