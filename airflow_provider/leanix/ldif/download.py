"""Download of run results: streamed to the output path in chunks, published when complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.core.arguments import check_choice, check_file_path, raise_problems
from airflow_provider.core.input.values import shown
from airflow_provider.errors import IncompleteExportError, PermissionDeniedError, TransportError
from airflow_provider.leanix import api
from airflow_provider.leanix.ldif.stream_parser import LdifStreamParser

if TYPE_CHECKING:
    from airflow_provider.core.files.formats import Format
    from airflow_provider.core.hook import ApiHook
    from airflow_provider.core.http.sync_transport import Stream

_MAX_ATTEMPTS = 3
"""Maximum attempts of a download that breaks off."""

FORMATS = ("ldif", "jsonl")
"""Values of the argument ``output_format``."""

_FORMATS_BY_ENDING = {"json": "ldif", "ldif": "ldif", "jsonl": "jsonl", "ndjson": "jsonl"}
"""Formats by endings of the path; each ending also with ``.gz``."""


def save_results(
    hook: ApiHook, run_id: str, output_path: str, output_format: str | None = None
) -> dict[str, Any] | None:
    """Write the results of a run to a file; return the file's manifest, or None without results.

    The service's link to the results is preferred. When the service returns no link, the results are read
    from the API itself. A download that breaks off is retried from its start.

    :param output_format: for a path without ending, see :func:`choose_output`.
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


def choose_output(output_path: str, output_format: str | None = None) -> Format:
    """Return the format that a path's ending names, and whether the file is compressed.

    :param output_format: ``ldif`` for the unchanged bytes, ``jsonl`` for the items of the content, one per
        line; needed only for a path without ending.
    :raises InputError: for another ending, or for one of the other format.
    """
    from airflow_provider.core.files.formats import Format

    raise_problems(output_problems(output_path, output_format))
    plain, _, ending = _split(output_path)
    return Format(output_format or _FORMATS_BY_ENDING[ending], compressed=plain.endswith(".gz"))


def output_problems(output_path: Any, output_format: Any = None) -> list[str]:
    """Return the problems of an operator's output arguments, one sentence each."""
    if not isinstance(output_path, str):
        return [f"'output_path' must be the path of a file, not {shown(output_path)}"]
    problems = check_file_path("output_path", output_path)
    if output_format is not None:
        problems += check_choice("output_format", output_format, FORMATS)
    if problems:
        return problems
    _, has_ending, ending = _split(output_path)
    found = _FORMATS_BY_ENDING.get(ending)
    if found is None and (has_ending or output_format is None):
        known = ", ".join(f".{name}" for name in _FORMATS_BY_ENDING)
        return [f"'output_path' must end in one of {known} (each also with .gz), not {output_path[:200]!r}"]
    if output_format is not None and found not in (None, output_format):
        return [f"'output_format' {output_format!r} does not fit 'output_path', which ends in .{ending}"]
    return []


def _split(output_path: str) -> tuple[str, bool, str]:
    """Return a path's name, whether it has an ending besides ``.gz``, and the ending."""
    name = output_path.lower().rpartition("/")[2]
    stem, dot, ending = name.removesuffix(".gz").rpartition(".")
    return name, bool(dot and stem), ending if dot and stem else ""
