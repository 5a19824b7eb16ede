"""Failed rows: report the rows that a sync leaves out, with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.input.row_numbers import encode_row_number
from airflow_provider.core.json_types import Json
from airflow_provider.errors import one_line

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

MAX_LOGGED = 20
"""Maximum logged rows that are left out, when a file has all of them."""


def report_failed(failed: Iterable[Json], count: int, beside: str | None, log: Logger) -> None:
    """Report rows that are left out: in a file beside the plan, or else in the log.

    :param failed: the rows, each ``{"row", "key", "reasons"}``; it is iterated twice.
    :param count: their number.
    :param beside: path of the plan; None when there is none.
    :param log: receives the first rows, or all of them without a path.
    """
    import msgspec

    path = f"{beside}.failed.jsonl" if beside and count else ""
    for failure in islice(failed, MAX_LOGGED if path else None):
        parts = (failure["row"], failure["key"], "; ".join(failure["reasons"]))
        log.warning("Row %s (%s) left out: %s", *(one_line(str(part)) for part in parts))
    if path:
        encode = msgspec.json.Encoder(enc_hook=encode_row_number).encode
        with AtomicFile(path) as out:
            for failure in failed:
                out.write(encode(failure) + b"\n")
        log.warning("%d rows left out; the file %s has all of them", count, path)
