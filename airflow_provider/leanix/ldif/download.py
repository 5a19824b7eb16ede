"""Carries a run's result to where it is wanted, in chunks, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.errors import IncompleteExportError, PermissionDeniedError, TransportError
from airflow_provider.leanix import api
from airflow_provider.leanix.ldif.stream_parser import Splitter

if TYPE_CHECKING:
    from airflow_provider.core.hook import ApiHook
    from airflow_provider.core.http.sync_transport import Stream


_TRIES = 3


FORMATS = ("ldif", "jsonl")


def save_results(
    hook: ApiHook, run_id: str, output_path: str, output_format: str = "ldif"
) -> dict[str, Any] | None:
    """Store the results of a run; gives the file's manifest, or None when there are none.

    The link that the service gives is preferred; without one the API itself hands the results out. A
    download that breaks off is begun again.

    :param output_format: ``ldif`` for the bytes as they come, ``jsonl`` for the items of its content only,
        one a line.
    """
    for tries_left in reversed(range(_TRIES)):
        # A link is signed and may end soon, so each try asks for a new one.
        url = hook.send(api.get_results_url(run_id))
        try:
            with hook.download(url) if url else hook.stream(api.get_results(run_id)) as stream:
                return None if stream.status == 204 else _save(stream, run_id, output_path, output_format)
        except PermissionDeniedError as error:
            if url:
                error.advice = "the link is the service's own, read without credentials; has it expired?"
            raise
        except TransportError as error:
            if not tries_left:
                raise
            hook.log.warning("%s; trying again", error)
    return None


def _save(stream: Stream, run_id: str, output_path: str, output_format: str) -> dict[str, Any]:
    from airflow_provider.core.files.atomic import AtomicFile
    from airflow_provider.core.files.manifest import manifest

    splitter, rows = Splitter(), 0
    with AtomicFile(output_path) as publication:
        try:
            for chunk in stream.chunks():
                items = splitter.feed(chunk)
                rows += len(items)
                publication.write(_lines(items) if output_format == "jsonl" else chunk)
            splitter.finish()
        except ValueError as error:
            raise IncompleteExportError(
                f"the results of run {run_id} are no whole LDIF: {error}; nothing was published"
            ) from None
    result = manifest(publication, file_format=output_format, rows=rows, columns=["type", "id", "data"])
    result["sha256"] = publication.sha256
    return result


def _lines(items: list[bytes]) -> bytes:
    """Write items one a line; what spreads over lines is drawn together."""
    import msgspec

    return b"".join(msgspec.json.format(item, indent=-1) + b"\n" for item in items)


def output_problems(output_path: str, output_format: str) -> list[str]:
    """Find what is wrong with where results are to go."""
    from airflow_provider.core.arguments import check_choice, check_file_path

    return [
        *check_file_path("output_path", output_path),
        *check_choice("output_format", output_format, FORMATS),
    ]
