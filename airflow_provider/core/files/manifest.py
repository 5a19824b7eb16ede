"""Bytes out: one file, written beside its final name, published in one step, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def manifest(
    publication: AtomicFile, *, file_format: str, rows: int, columns: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Describe a published file, as operators return it: small JSON, no rows.

    :param publication: the file.
    :param file_format: name of its format.
    :param rows: how many rows it holds.
    :param columns: names of its columns.
    :param more: ``requests``, ``seconds``, and what else applies (``watermark``, ``state``).
    """
    file = {"uri": publication.uri, "rows": rows, "bytes": publication.bytes}
    return {
        "uri": publication.uri,
        "format": file_format,
        "rows": rows,
        "bytes": publication.bytes,
        "files": [file],
        "columns": list(columns),
        **more,
    }


def log_manifest(manifest: dict[str, Any], log: Logger) -> dict[str, Any]:
    """Say in one log line what an export has made, and give its manifest on."""
    log.info(
        "Exported %d rows, %d bytes, with %d requests in %.1f s: %s",
        *(manifest[name] for name in ("rows", "bytes", "requests", "seconds", "uri")),
    )
    return manifest
