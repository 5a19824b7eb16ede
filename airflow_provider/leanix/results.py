"""Carries a run's result to where it is wanted, in chunks, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.errors import IncompleteExportError, TransportError
from airflow_provider.leanix import api

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from airflow_provider.core.transport import Stream
    from airflow_provider.leanix.hooks import LeanIXHook

_TRIES = 3


def save_results(hook: LeanIXHook, run_id: str, output_path: str) -> dict[str, Any] | None:
    """Store the results of a run; gives the file's manifest, or None when there are none.

    The link that the service gives is preferred; without one the API itself hands the results out. A
    download that breaks off is begun again.
    """
    for last in (False, False, True)[-_TRIES:]:
        # A link is signed and may end soon, so each try asks for a new one.
        url = hook.send(api.get_results_url(run_id))

        def opened(url: str | None = url) -> AbstractContextManager[Stream]:
            return hook.download(url) if url else hook.stream(api.get_results(run_id))

        try:
            return _save(opened, run_id, output_path)
        except TransportError as error:
            if last:
                raise
            hook.log.warning("%s; trying again", error)
    return None


def _save(
    opened: Callable[[], AbstractContextManager[Stream]], run_id: str, output_path: str
) -> dict[str, Any] | None:
    from airflow_provider.core.sinks import Publication, manifest

    with opened() as stream:
        if stream.status == 204:
            return None
        with Publication(output_path) as publication:
            end = b""
            for chunk in stream.chunks():
                publication.write(chunk)
                end = (end + chunk)[-64:]
            if not end.rstrip().endswith(b"}"):
                raise IncompleteExportError(
                    f"the results of run {run_id} end in the middle ({publication.bytes} bytes came);"
                    f" nothing was published"
                )
    result = manifest(publication, file_format="ldif", rows=0, columns=["type", "id", "data"])
    result["sha256"] = publication.sha256
    return result
