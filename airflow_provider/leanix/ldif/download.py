"""Download of run results: streamed to a file or into tables in chunks, published when complete."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.manifest import log_manifest
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.errors import IncompleteExportError, PermissionDeniedError, TransportError
from airflow_provider.leanix import api
from airflow_provider.leanix.arguments import choose_output, is_folder, output_problems
from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser

if TYPE_CHECKING:
    from airflow_provider.core.files.formats import Format
    from airflow_provider.core.hook import ApiHook
    from airflow_provider.core.http.sync_transport import Stream
    from airflow_provider.core.reports.report import Report
    from airflow_provider.leanix.tables.spool import ItemSpool

_MAX_ATTEMPTS = 3
"""Maximum attempts of a download that breaks off."""


def save_results(
    hook: ApiHook,
    run_id: str,
    output_path: str,
    output_format: str | None = None,
    ldif_path: str | None = None,
    report: Report | None = None,
) -> dict[str, Any] | None:
    """Write the results of a run to a file or as tables; return the manifest, or None without results.

    The service's link to the results is preferred. When the service returns no link, the results are read
    from the API itself. A download that breaks off is retried from its start.

    :param output_format: for a path without ending, see ``choose_output``; of the tables in a folder.
    :param ldif_path: where the LDIF is kept beside the tables; None for nowhere.
    :param report: observes the items, and is written after the files; None for none.
    """
    raise_problems(output_problems(output_path, output_format, ldif_path))
    started, before = time.monotonic(), hook.requests
    target = _Target(hook, run_id, output_path, output_format, ldif_path, report)
    manifest = _download(hook, run_id, target)
    if manifest is None:
        return None
    manifest["requests"] = hook.requests - before
    manifest["seconds"] = round(time.monotonic() - started, 3)
    log_manifest(manifest, hook.log)
    return report.finish(manifest) if report is not None else manifest


def _download(hook: ApiHook, run_id: str, target: _Target) -> dict[str, Any] | None:
    for attempts_left in reversed(range(_MAX_ATTEMPTS)):
        # Links are signed and expire soon, so each attempt requests a new one.
        url = hook.send(api.get_results_url(run_id))
        try:
            with hook.download(url) if url else hook.stream(api.get_results(run_id)) as stream:
                return None if stream.status == 204 else target.save(stream)
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


class _Target:
    """Destination of results; see :func:`save_results`."""

    def __init__(
        self,
        hook: ApiHook,
        run_id: str,
        output_path: str,
        output_format: str | None,
        ldif_path: str | None,
        report: Report | None,
    ) -> None:
        self._hook = hook
        self._run_id = run_id
        self._output_path = output_path
        self._output_format = output_format
        self._ldif_path = ldif_path
        self._report = report
        if is_folder(output_path):
            from airflow_provider.leanix.tables.write import ensure_folder

            ensure_folder(output_path)

    def save(self, stream: Stream) -> dict[str, Any]:
        """Write results; return the manifest."""
        if self._report is not None:
            self._report.restart()
        if is_folder(self._output_path):
            return self._save_tables(stream)
        output = choose_output(self._output_path, self._output_format)
        return self._save_file(stream, self._output_path, output, None)

    def _save_tables(self, stream: Stream) -> dict[str, Any]:
        from airflow_provider.leanix.tables.spool import ItemSpool
        from airflow_provider.leanix.tables.write import write_tables

        with ItemSpool() as spool:
            copy = None
            if self._ldif_path is None:
                self._read(stream, spool.add)
            else:
                output = choose_output(self._ldif_path)
                copy = self._save_file(stream, self._ldif_path, output, spool)
            file_format = str(self._output_format)
            found = write_tables(
                spool, self._output_path, file_format, self._run_id, self._hook.log, self._report
            )
        if copy is not None:
            found["ldif"] = {name: copy[name] for name in ("uri", "bytes", "sha256")}
        return found

    def _save_file(
        self, stream: Stream, path: str, output: Format, spool: ItemSpool | None
    ) -> dict[str, Any]:
        """Write results to a file; return its manifest.

        :param spool: receives the items, too; None for no tables.
        """
        from airflow_provider.core.files.atomic import AtomicFile
        from airflow_provider.core.files.formats import open_compressed
        from airflow_provider.core.files.manifest import manifest

        rows = 0
        with AtomicFile(path) as file, open_compressed(file, compressed=output.compressed) as target:

            def write(items: list[bytes]) -> None:
                nonlocal rows
                rows += len(items)
                if output.name == "jsonl":
                    target.write(_to_lines(items))
                if spool is not None:
                    spool.add(items)
                elif self._report is not None:
                    self._report.add_lines(_to_lines(items))

            self._read(stream, write, None if output.name == "jsonl" else target.write)
        result = manifest(file, file_format=output.name, rows=rows, columns=["type", "id", "data"])
        result["sha256"] = file.sha256
        return result

    def _read(
        self,
        stream: Stream,
        take_items: Callable[[list[bytes]], None],
        take_bytes: Callable[[bytes], object] | None = None,
    ) -> None:
        """Read results in chunks.

        :param take_items: called with the items of each chunk.
        :param take_bytes: called with each chunk.
        :raises IncompleteExportError: when they are no complete LDIF.
        """
        parser = LdifStreamParser()
        try:
            for chunk in stream.chunks():
                take_items(parser.feed(chunk))
                if take_bytes is not None:
                    take_bytes(chunk)
            parser.finish()
        except ValueError as error:
            raise IncompleteExportError(
                f"the results of run {self._run_id} are no complete LDIF: {error}; nothing was written to"
                f" {self._output_path}"
            ) from None


def _to_lines(items: list[bytes]) -> bytes:
    """Return items as JSON Lines; an item that spans several lines is joined to one."""
    import msgspec

    return b"".join(msgspec.json.format(item, indent=-1) + b"\n" for item in items)
