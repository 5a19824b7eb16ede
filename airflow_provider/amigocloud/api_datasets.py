"""Requests that act on datasets, as data: changes of rows, new datasets, exports by the service.

They are seen in the vendor's samples and clients, which send a change as JSON text inside JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider.amigocloud.api import (
    Location,
    read_body,
    read_job,
    read_object,
    read_part,
    required,
    text_of,
)
from airflow_provider.amigocloud.values import KEY, read_changes, read_schema
from airflow_provider.core.http.call import Call, segment
from airflow_provider.core.http.reply import read_nothing
from airflow_provider.errors import InputError

BATCH = 1000
"""Maximum rows per change (seen in clients)."""

ACTIONS = ("INSERT", "UPDATE", "DELETE")
"""Actions of a change."""


def batches(action: str, rows: Any, size: int = BATCH) -> Iterator[list[dict[str, Any]]]:
    """Yield the data of changes, a batch at a time.

    :param action: ``INSERT``, ``UPDATE`` or ``DELETE``.
    :param rows: rows, each with an ``amigo_id`` that the caller chooses, so that the change is idempotent.
    :param size: maximum rows per batch.
    :raises InputError: when rows have no id, a repeated id, or a value without a JSON form; with all of them.
    """
    if action not in ACTIONS:
        raise InputError(f"must be one of {', '.join(ACTIONS)}, not {action!r:.60}", "action")
    read = read_changes(rows, with_fields=action != "DELETE")
    for at in range(0, len(read), size):
        yield [_record(action, row) for row in read[at : at + size]]


def _record(action: str, row: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {KEY: row[KEY]}
    if action != "DELETE":
        record["new"] = {name: value for name, value in row.items() if name != KEY}
    return record


def submit_change(where: Location, dataset: str, action: str, data: list[dict[str, Any]]) -> Call[str]:
    """Return the request that changes rows, and reads the job's id; idempotent, as rows have ids.

    :param where: location of the dataset.
    :param dataset: id of the dataset.
    :param action: ``INSERT``, ``UPDATE`` or ``DELETE``.
    :param data: a batch of :func:`batches`.
    """
    text = msgspec.json.encode(change(dataset, action, data)).decode()
    return Call(
        "POST",
        f"{where.path}/submit_change",
        json={"change": text},
        base=where.base,
        read=read_job,
        name=f"{action} {len(data)} rows",
    )


def submit_changeset(changes: list[dict[str, Any]]) -> Call[str]:
    """Return the request that submits changes of the project's datasets, and reads the job's id.

    It is sent once: who submits new rows must know what became of them before they are sent again.

    :param changes: the changes, see :func:`change`.
    """
    count = sum(len(one["data"]) for one in changes)
    return Call(
        "POST",
        "submit_changeset",
        json={"changeset": msgspec.json.encode(changes).decode()},
        base="project",
        repeatable=False,
        read=read_job,
        name=f"change {count} rows",
    )


def change(dataset: str, action: str, data: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a change of a dataset's rows.

    :param dataset: id of the dataset.
    :param action: ``INSERT``, ``UPDATE`` or ``DELETE``.
    :param data: the rows, each with an ``amigo_id`` and, unless they are deleted, with ``new``.
    """
    return {"type": "DML", "entity": f"dataset_{dataset}", "action": action, "data": data}


def schema(where: Location) -> Call[list[dict[str, Any]]]:
    """Return the request that reads a dataset's fields."""
    return read_part(where, "schema", _fields, "read a schema")


def _fields(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in value
    ):
        raise ValueError("a list of fields with names was expected")
    return value


def create_dataset(name: str, fields: Any) -> Call[dict[str, Any]]:
    """Return the request that creates an empty dataset; reads its ``id``, ``name``, ``url`` and ``job``.

    :param name: name that users see.
    :param fields: fields, each with ``name`` and ``type``.
    :raises InputError: when a field lacks one of them, or two have one name.
    """
    return Call(
        "POST",
        "datasets/create",
        json={"name": required(name, "name"), "schema": msgspec.json.encode(read_schema(fields)).decode()},
        base="project",
        repeatable=False,
        read=read_object,
        name="create a dataset",
    )


def delete_dataset(where: Location) -> Call[None]:
    """Return the request that deletes a dataset with all its states."""
    return Call("DELETE", where.path, base=where.base, read=read_nothing, name="delete a dataset")


def revert(where: Location, state: str) -> Call[str]:
    """Return the request that adds a state equal to an earlier one, and reads the job's id; idempotent."""
    return Call(
        "POST",
        f"{where.path}/revert/{segment(required(state, 'state'))}",
        base=where.base,
        read=read_job,
        name="revert a dataset",
    )


def states(where: Location, after: str, to: str) -> Call[list[str]]:
    """Return the request that reads the hashes of a dataset's states after one state, up to another.

    :param where: location of the dataset.
    :param after: hash of the state before the first one.
    :param to: hash of the last one.
    """
    return Call(
        "GET",
        f"{where.path}/states",
        base=where.base,
        params={"from": after, "to": to},
        read=lambda reply: _texts(read_body(reply)["states"]),
        name="read a dataset's states",
    )


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list of texts was expected")
    return list(map(text_of, value))


def export(where: Location, file_format: str) -> Call[str]:
    """Return the request that starts an export by the service, and reads the job's id.

    :param where: location of the dataset.
    :param file_format: name of the format; only ``KML`` is known to exist.
    """
    return Call(
        "POST",
        f"{where.path}/export",
        json={"format": required(file_format, "file_format")},
        base=where.base,
        read=read_job,
        name=f"export as {file_format}",
    )
