"""Updates: send rows in batches, and report the progress when a batch fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.row_source import NO_OPTIONS, RowOptions, subject_of
from airflow_provider.errors import (
    ApiError,
    NotFoundError,
    ProviderError,
    RequestRejectedError,
    ServerError,
    TransportError,
    shorten,
)
from airflow_provider.mapsindoors.api import counted
from airflow_provider.mapsindoors.geodata.batches import batches, with_row_numbers
from airflow_provider.mapsindoors.geodata.diff import complete_value, differences, same_value, with_anchor
from airflow_provider.mapsindoors.geodata.rows import NumberedRow
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.desired import (
    DesiredRow,
    match_rows,
    raise_for_rows,
    read_desired_rows,
    read_snapshot,
    set_languages,
)
from airflow_provider.mapsindoors.plan.document import Change
from airflow_provider.mapsindoors.plan.resolution import Rules, resolve_references
from airflow_provider.mapsindoors.sync.verify import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


Json = dict[str, Any]

_ON_MAP = {
    *("properties", "baseTypeProperties", "displaySetting", "geometry", "anchor"),
    *("additionalDetails", "parentId", "baseType", "externalId", "displayTypeId", "categories"),
}
"""Fields that are validated or completed by what is on the map."""


def update_rows(
    hook: MapsIndoorsHook,
    source: object,
    batch_size: int,
    log: Logger,
    *,
    options: RowOptions = NO_OPTIONS,
    allow_distant: bool = False,
) -> int:
    """Validate all rows, send them, and return their number.

    :param hook: the connection to the solution.
    :param source: rows, see :func:`airflow_provider.mapsindoors.plan.desired.read_desired_rows`.
    :param batch_size: maximum number of objects a request.
    :param log: logs the progress after each batch.
    :param options: how the rows are read.
    :param allow_distant: whether places may be far from their venue.
    :raises InputError: with all problems of all rows, before any request, or else before the first update.
    :raises ProviderError: of the batch that failed, with the rows that are updated and those that are not.
    :raises VerificationError: when the service has not moved an object to its new parent.
    """
    subject = subject_of(source, "geodata")
    rows = read_desired_rows(source, subject, match_on="id", options=options)
    _check_ids(rows)
    raise_for_rows(rows, subject, "id")
    if idle := sum(row.item.keys() == {"id"} and not row.references for row in rows):
        log.warning("%d of %d rows have nothing but their id: they change nothing", idle, len(rows))
    items, moved = _with_map(hook, rows, Rules(allow_distant, any_dataset=True), subject)
    done, count = 0, len(items)
    for batch in batches(items, batch_size, lambda row: row[1]):
        try:
            hook.update_geodata([item for _, item in batch])
        except ProviderError as error:
            raise _with_progress(error, _describe_batch(hook, error, batch), batch, done, count) from None
        done += len(batch)
        log.info("Updated %d of %d objects", done, count)
    if moved:
        log.info("Reading the map: %s must have the new parent", counted(len(moved)))
        verify(hook, moved, "id")
    return done


def _check_ids(rows: list[DesiredRow]) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        key = row.item.get("id")
        if key is None and row.item and not any(problem.startswith("id ") for problem in row.problems):
            row.problems.append("has no id; every object to update needs one")
        elif key is not None and (first := seen.setdefault(key, row.number)) != row.number:
            row.problems.append(f"has the id {key} of row {first}")


def _with_map(
    hook: MapsIndoorsHook, rows: list[DesiredRow], rules: Rules, subject: str
) -> tuple[list[NumberedRow], list[Change]]:
    """Return the objects as they are sent, and the moves to other parents.

    The map is read when a row has a field that depends on it: a nested field, of which all members are sent,
    a place, or a reference.

    :raises InputError: with all problems that the map and the catalogues show.
    """
    if not any(row.references or _ON_MAP & row.item.keys() for row in rows):
        return [(row.number, row.item) for row in rows], []
    dataset = hook.get_dataset()
    snapshot = read_snapshot(hook, dataset, rows, match_on="id")
    set_languages(rows, snapshot.base_language, snapshot.languages)
    match_rows(rows, snapshot)
    resolve_references(rows, snapshot, rules)
    raise_for_rows(rows, subject, "id")
    moved = []
    for row in rows:
        parent, there = row.item.get("parentId"), snapshot.by_id[row.object_id].get("parentId")
        if parent and parent != there:
            body = {"id": row.object_id, "parentId": parent}
            fields = {"parentId": [there, parent]}
            moved.append(
                Change("update", row.object_id, row.base_type, row.object_id, row.number, "", fields, body)
            )
    return [(row.number, _complete(row.item, snapshot.by_id[row.object_id])) for row in rows], moved


def _complete(item: Json, found: Json) -> Json:
    """Return an object with all members of its nested fields, and with the anchor of its geometry.

    Details that are no difference are left out, as other details of the object may be wrong.
    """
    wanted = with_anchor(item, found)
    return {
        field: complete_value(field, value, found.get(field))
        for field, value in wanted.items()
        if value is not None
        and not (field == "additionalDetails" and same_value(field, value, found.get(field)))
    }


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
    shown = ", ".join(shorten(list(map(str, wrong)), 50))
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
        error.message = f"{with_row_numbers(error.message, batch)} {progress}".lstrip()
        return error
    described = type(error)(f"{error} {progress}")
    for note in getattr(error, "__notes__", ()):
        described.add_note(note)
    return described
