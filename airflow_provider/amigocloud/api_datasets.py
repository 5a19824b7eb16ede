"""Requests that change datasets through jobs, as data: changes, new datasets, exports by the service.

All of this is seen in the vendor's samples and clients, which send a change as JSON text inside of JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from airflow_provider.amigocloud.api import Place, read_body, read_job
from airflow_provider.core.http.call import Call, segment
from airflow_provider.core.http.reply import read_nothing
from airflow_provider.errors import InputError

BATCH = 1000
"""Rows of one change, as users of the API send them."""


ACTIONS = ("INSERT", "UPDATE", "DELETE")


def batches(
    action: str, rows: Sequence[Mapping[str, Any]], size: int = BATCH
) -> Iterator[list[dict[str, Any]]]:
    """Give the data of changes, a batch at a time.

    :param action: ``INSERT``, ``UPDATE`` or ``DELETE``.
    :param rows: each with an ``amigo_id`` of the caller's choice, so that a change that is sent twice changes
        nothing the second time.
    :raises InputError: naming every row without an id, and every id that comes twice.
    """
    if action not in ACTIONS:
        raise InputError(f"must be one of {', '.join(ACTIONS)}, not {action!r}", "action")
    problems, seen = [], dict[Any, int]()
    for number, row in enumerate(rows, start=1):
        key = row.get("amigo_id")
        if not isinstance(key, str) or not key:
            problems.append(f"row {number} has no amigo_id")
        elif key in seen:
            problems.append(f"row {number} has the amigo_id of row {seen[key]}: {key}")
        seen.setdefault(key, number)
    if problems:
        raise InputError(problems, "rows")
    for at in range(0, len(rows), size):
        yield [_record(action, row) for row in rows[at : at + size]]


def _record(action: str, row: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {"amigo_id": row["amigo_id"]}
    if action != "DELETE":
        record["new"] = {name: value for name, value in row.items() if name != "amigo_id"}
    return record


def submit_change(where: Place, dataset: str, action: str, data: list[dict[str, Any]]) -> Call[str]:
    """Change rows; gives the job's id. Rows are known by their ids, so it may be sent twice."""
    change = {"type": "DML", "entity": f"dataset_{dataset}", "action": action, "data": data}
    return Call(
        "POST",
        f"{where.path}/submit_change",
        json={"change": msgspec.json.encode(change).decode()},
        base=where.base,
        read=read_job,
        name=f"{action} {len(data)} rows",
    )


def schema(where: Place) -> Call[list[dict[str, Any]]]:
    """Ask for a dataset's fields."""
    return Call(
        "GET",
        f"{where.path}/schema",
        base=where.base,
        read=lambda reply: list(read_body(reply)["schema"]),
        name="read a schema",
    )


def create_dataset(name: str, fields: Sequence[Mapping[str, Any]]) -> Call[dict[str, Any]]:
    """Make an empty dataset; gives its ``id``, ``name``, ``url`` and ``job``."""
    return Call(
        "POST",
        "datasets/create",
        json={"name": name, "schema": msgspec.json.encode(list(fields)).decode()},
        base="project",
        repeatable=False,
        read=read_body,
        name="create a dataset",
    )


def delete_dataset(where: Place) -> Call[None]:
    """Delete a dataset with all its states."""
    return Call("DELETE", where.path, base=where.base, read=read_nothing, name="delete a dataset")


def revert(where: Place, state: str) -> Call[str]:
    """Make a new state that equals an earlier one; gives the job's id. Twice is as good as once."""
    return Call(
        "POST",
        f"{where.path}/revert/{segment(state)}",
        base=where.base,
        read=read_job,
        name="revert a dataset",
    )


def export(where: Place, file_format: str) -> Call[str]:
    """Have the service write a file; gives the job's id. ``KML`` is the one format that is known to exist."""
    return Call(
        "POST",
        f"{where.path}/export",
        json={"format": file_format},
        base=where.base,
        read=read_job,
        name=f"export as {file_format}",
    )
