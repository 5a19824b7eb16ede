"""Updates rows batch by batch; when one fails, says which rows are updated and which are not."""

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
    """Check all rows, then send them; gives how many there were.

    :param source: see :func:`airflow_provider.mapsindoors.geodata.rows.read_updates`.
    :param batch_size: objects a request.
    :raises InputError: with all problems of all rows, before any request.
    :raises ProviderError: of the batch that failed, with what is updated and what is not.
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
    """Say how the rows of a failed batch stand. The service may have written some of a batch it refused."""
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
    return f"of {rows}, {len(batch) - len(wrong)} are as wanted, not {shown or 'one'}"


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
