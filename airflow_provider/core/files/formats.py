"""File formats: choose a format by name or suffix, and compress what is written in it."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError

Output = IO[bytes] | AtomicFile | gzip.GzipFile
"""A file that is open for writing bytes."""

_LEVEL = 6
"""Compression level of gzip, from 0 to 9."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    :param name: its name, such as ``jsonl``.
    :param compressed: whether the file is compressed with gzip.
    """

    name: str
    compressed: bool = False


def choose_format(
    output_path: str,
    formats: Collection[str],
    *,
    compressible: Collection[str],
    given: str | None = None,
    argument: str = "",
) -> Format:
    """Return the format of a file, by name or else by the suffix of its path.

    :param output_path: path of the file; with the further suffix ``.gz`` the file is compressed.
    :param formats: the formats that can be written, named like their suffixes.
    :param compressible: those of them that can be compressed.
    :param given: name of the format; None for the suffix's.
    :param argument: the operator's argument that names a format, if it has one, for errors.
    :raises InputError: when the format is unknown, or cannot be compressed.
    """
    if not isinstance(output_path, str):
        raise InputError(f"must be the path of a file, not {output_path!r:.100}", "output_path")
    name = output_path.lower()
    plain = name.removesuffix(".gz")
    suffix = plain.rpartition(".")[2] if "." in plain else ""
    chosen = given or suffix
    if given and given not in formats:
        raise InputError(f"'{given}' is unknown; there are {', '.join(formats)}", argument)
    if chosen not in formats or (plain != name and chosen not in compressible):
        gz = " and ".join(f".{known}" for known in formats if known in compressible)
        hint = f", or set '{argument}'" if argument and not given else ""
        raise InputError(
            f"'{shown_path(output_path)}' must end in one of .{', .'.join(formats)}"
            f" ({gz} also with .gz){hint}",
            "output_path",
        )
    return Format(chosen, plain != name)


@contextmanager
def open_compressed(file: AtomicFile, *, compressed: bool) -> Iterator[AtomicFile | gzip.GzipFile]:
    """Open an atomic file for writing through gzip, or yield the file itself.

    :param file: the open file.
    :param compressed: whether the bytes are compressed.
    """
    if not compressed:
        yield file
        return
    # The header has neither time nor name, so that equal rows make equal bytes.
    with gzip.GzipFile("", "wb", _LEVEL, cast("Any", file), mtime=0) as zipped:
        yield zipped


def import_pyarrow(subject: str) -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``.

    :param subject: the input that needs them, for the error.
    :raises InputError: when pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError("Parquet needs pyarrow: install the extra 'parquet'", subject) from None
    return pa, pq
