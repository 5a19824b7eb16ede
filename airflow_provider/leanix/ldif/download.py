"""Download of run results: streamed to the output path in chunks, published when complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.errors import IncompleteExportError, PermissionDeniedError, TransportError
from airflow_provider.leanix import api
from airflow_provider.leanix.arguments import choose_output
from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser

if TYPE_CHECKING:
    from airflow_provider.core.files.formats import Format
    from airflow_provider.core.hook import ApiHook
    from airflow_provider.core.http.sync_transport import Stream

_MAX_ATTEMPTS = 3
"""Maximum attempts of a download that breaks off."""


def save_results(
    hook: ApiHook, run_id: str, output_path: str, output_format: str | None = None
) -> dict[str, Any] | None:
    """Write the results of a run to a file; return the file's manifest, or None without results.

    The service's link to the results is preferred. When the service returns no link, the results are read
    from the API itself. A download that breaks off is retried from its start.

    :param output_format: for a path without ending, see ``choose_output``.
    """
    output = choose_output(output_path, output_format)
    for attempts_left in reversed(range(_MAX_ATTEMPTS)):
        # Links are signed and expire soon, so each attempt requests a new one.
        url = hook.send(api.get_results_url(run_id))
        try:
            with hook.download(url) if url else hook.stream(api.get_results(run_id)) as stream:
                return None if stream.status == 204 else _save(stream, run_id, output_path, output)
        except PermissionDeniedError as error:
            if url:
                error.advice = (
                    "the link is signed by the service and read without credentials; has it expired?"
                )
            raise
        except TransportError as error:
            if not attempts_left:
                raise
            hook.log.warning("%s; retrying the download", error)
    return None


def _save(stream: Stream, run_id: str, output_path: str, output: Format) -> dict[str, Any]:
    from airflow_provider.core.files.atomic import AtomicFile
    from airflow_provider.core.files.formats import open_compressed
    from airflow_provider.core.files.manifest import manifest

    parser, rows = LdifStreamParser(), 0
    with AtomicFile(output_path) as file, open_compressed(file, compressed=output.compressed) as target:
        try:
            for chunk in stream.chunks():
                items = parser.feed(chunk)
                rows += len(items)
                target.write(_to_lines(items) if output.name == "jsonl" else chunk)
            parser.finish()
        except ValueError as error:
            raise IncompleteExportError(
                f"the results of run {run_id} are no complete LDIF: {error}; nothing was written to"
                f" {output_path}"
            ) from None
    result = manifest(file, file_format=output.name, rows=rows, columns=["type", "id", "data"])
    result["sha256"] = file.sha256
    return result


def _to_lines(items: list[bytes]) -> bytes:
    """Return items as JSON Lines; an item that spans several lines is joined to one."""
    import msgspec

    return b"".join(msgspec.json.format(item, indent=-1) + b"\n" for item in items)
