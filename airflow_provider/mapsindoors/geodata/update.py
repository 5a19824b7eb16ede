"""Updates: send rows in batches, and report the progress when a batch fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider.errors import (
    ApiError,
    NotFoundError,
    ProviderError,
    RequestRejectedError,
    ServerError,
    TransportError,
)
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.geodata.batches import batches, with_row_numbers
from airflow_provider.mapsindoors.geodata.diff import differences
from airflow_provider.mapsindoors.geodata.rows import NumberedRow, read_updates, validate_updates
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def update_rows(hook: MapsIndoorsHook, source: object, batch_size: int, log: Logger) -> int:
    """Validate all rows, send them, and return their number.

    :param hook: the connection to the solution.
    :param source: see :func:`airflow_provider.mapsindoors.geodata.rows.read_updates`.
    :param batch_size: maximum number of objects a request.
    :param log: logs the progress after each batch.
    :raises InputError: with all problems of all rows, before any request.
    :raises ProviderError: of the batch that failed, with the rows that are updated and those that are not.
    """
    count = validate_updates(source)
    done = 0
    for batch in batches(read_updates(source), batch_size, lambda row: row[1]):
        try:
            hook.update_geodata([item for _, item in batch])
        except ProviderError as error:
            raise _with_progress(error, _describe_batch(hook, error, batch), batch, done, count) from None
        done += len(batch)
        log.info("Updated %d of %d objects", done, count)
    return done


def _describe_batch(hook: MapsIndoorsHook, error: ProviderError, batch: Sequence[NumberedRow]) -> str:
    """Describe the state of a failed batch; the service may have written a part of a rejected batch."""
    first, last = batch[0][0], batch[-1][0]
    rows = f"rows {first} to {last}" if last > first else f"row {first} (id {batch[0][1].get('id')})"
    if isinstance(error, (TransportError, ServerError)):
        return f"{rows} not known to be updated"
    if first == last or not isinstance(error, (RequestRejectedError, NotFoundError)):
        return f"{rows} not updated"
    try:
        stored = {item["id"]: item for item in hook.list_geodata()}
    except ProviderError:
        return f"{rows} refused, some may be updated"
    wrong = [number for number, item in batch if differences(item, stored.get(item["id"], {}))]
    shown = ", ".join(map(str, wrong[:50])) + (", ..." if len(wrong) > 50 else "")
    return f"of {rows}, {len(batch) - len(wrong)} are updated, not updated: {shown or 'none'}"


def _with_progress(
    error: ProviderError, standing: str, batch: Sequence[NumberedRow], done: int, count: int
) -> ProviderError:
    first, last = batch[0][0], batch[-1][0]
    left = count - done - len(batch)
    before = f"{counted(done)} before row {first} updated" if done else "nothing updated before"
    after = f"{counted(left)} after row {last} not sent" if left else "nothing left after"
    progress = f"[{before}; {standing}; {after}]"
    if isinstance(error, ApiError):
        error.message = f"{with_row_numbers(error.message, batch)} {progress}"
        return error
    described = type(error)(f"{error} {progress}")
    for note in getattr(error, "__notes__", ()):
        described.add_note(note)
    return described
