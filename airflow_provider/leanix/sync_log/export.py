"""Export of the sync log: its items as one file, all of them or those since the last run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.formats import Format, choose_format, open_compressed
from airflow_provider.core.files.manifest import log_manifest, manifest
from airflow_provider.core.files.parquet import json_text
from airflow_provider.core.files.spool import Spool, write_parquet
from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.files.writers import CsvWriter, JsonLinesWriter
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.input.values import UnreadableValueError, read_moment, shown
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.errors import IncompleteExportError
from airflow_provider.leanix.sync_items import STATUSES, created_at, key_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.leanix.hooks import LeanIXHook

FORMATS = ("jsonl", "csv", "parquet")

STATE = "leanix_sync_log"
"""Name of the state in the store."""

COLUMNS = ("type", "status", "source", "createdAt")
"""Columns that each file has, first of all: the fields that items are known to have."""

LAG = timedelta(minutes=10)
"""How late an item may show, with an earlier time than others that were read."""

_MAX_KEYS = 3000
"""Maximum items that are known by the next run: an asset's state holds 64 KiB."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The arguments of an export, read after templating.

    :param statuses: statuses of the items; None for all.
    :param since: time before which items are left out.
    """

    statuses: tuple[str, ...] | None
    since: datetime | None
    incremental: bool
    output: Format

    @classmethod
    def read(cls, task: Any) -> Selection:
        """Read the arguments of a task.

        :param task: the operator.
        :raises InputError: with every problem.
        """
        problems = read_scalars(task, {"incremental": Scalar("boolean")})
        problems += _status_problems(task.statuses)
        since = None
        if task.since not in (None, "None", ""):
            try:
                since = read_moment(task.since, UTC)
            except UnreadableValueError as error:
                problems.append(f"'since' {error}")
        raise_problems(problems)
        output = choose_format(task.output_path, FORMATS, compressible=("jsonl", "csv"))
        statuses = None if task.statuses is None else tuple(dict.fromkeys(map(str.upper, task.statuses)))
        return cls(statuses, since, task.incremental, output)


def _status_problems(statuses: Any) -> list[str]:
    if statuses is None:
        return []
    if problems := list_problems(statuses, "statuses"):
        return problems
    if not statuses:
        return ["statuses is empty; leave it out for all"]
    return [
        f"statuses has {shown(status)}; there are {', '.join(STATUSES)}"
        for status in statuses
        if str(status).upper() not in STATUSES
    ]


class Increment:
    """Items since the last run: those from a time on, without those that it has exported.

    :param watermark: the stored state; None for a full export.
    :param since: time before which the items of the first run are left out.
    """

    def __init__(self, watermark: Watermark | None, since: datetime | None) -> None:
        self._watermark = watermark
        state = {} if watermark is None else watermark.start()
        self._known: set[str] = set(state.get("keys", ()))
        self.since = datetime.fromisoformat(state["since"]) if state else since
        self._until = datetime.fromisoformat(state["until"]) if state else None
        self._read: list[tuple[datetime, str]] = []

    @property
    def until(self) -> str | None:
        """The time of the newest item, as a text."""
        return None if self._until is None else self._until.isoformat()

    def new(self, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the items that the last run has not exported."""
        for item in items:
            key, at = sha256(key_of(item).encode()).hexdigest()[:10], created_at(item)
            if at is not None:
                self._until = max(self._until or at, at)
                # Items come newest first, so the first ones are those that the next run may meet again.
                if self._watermark is not None and len(self._read) <= _MAX_KEYS and at >= self._until - LAG:
                    self._read.append((at, key))
            if key not in self._known:
                yield item

    def save(self) -> None:
        """Store where the next run starts."""
        if self._watermark is None or self._until is None:
            return
        since, read = self._until - LAG, [found for found in self._read if found[0] >= self._until - LAG]
        if len(read) > _MAX_KEYS:
            since = read[_MAX_KEYS][0] + timedelta(microseconds=1)
            read = [found for found in read if found[0] >= since]
        keys = sorted({key for _, key in read})
        self._watermark.move({"until": self._until.isoformat(), "since": since.isoformat(), "keys": keys})


def run_export(task: Any, context: Context) -> dict[str, Any]:
    """Export the items that a task's arguments select; return the manifest.

    :param task: the operator, after its templates were rendered.
    :param context: the task's context.
    :raises InputError: with all problems of the arguments, before any request.
    """
    from airflow_provider.leanix.hooks import LeanIXHook

    selection = Selection.read(task)
    watermark = None
    if selection.incremental:
        source = [task.leanix_conn_id, selection.statuses]
        watermark = Watermark(context, task.outlets, source, task.log, name=STATE, argument="incremental")
    ensure_writable(task.output_path)
    increment = Increment(watermark, selection.since)
    with LeanIXHook(task.leanix_conn_id) as hook:
        result = _export(hook, task.output_path, selection, increment)
    increment.save()
    return {**result, "watermark": increment.until}


def _export(hook: LeanIXHook, output_path: str, selection: Selection, increment: Increment) -> dict[str, Any]:
    started, before = time.monotonic(), hook.requests
    statuses = selection.statuses
    # The service is known to take one status; several are selected here.
    asked = statuses[0] if statuses and len(statuses) == 1 else None
    with Spool() as spool:
        items = hook.iter_sync_items(status=asked, since=increment.since)
        spool.add(increment.new(_of_statuses(items, statuses)))
        columns = [*COLUMNS, *(name for name in spool.kinds() if name not in COLUMNS)]
        with AtomicFile(output_path) as file:
            if selection.output.name == "parquet":
                write_parquet(file, spool, columns)
            else:
                _write_text(file, spool, columns, selection.output)
    result = manifest(file, file_format=selection.output.name, rows=spool.rows, columns=columns)
    result |= {"sha256": file.sha256, "requests": hook.requests - before}
    result["seconds"] = round(time.monotonic() - started, 3)
    return log_manifest(result, hook.log)


def _of_statuses(
    items: Iterable[dict[str, Any]], statuses: tuple[str, ...] | None
) -> Iterator[dict[str, Any]]:
    for item in items:
        if statuses is not None and not isinstance(item.get("status"), str):
            raise IncompleteExportError("an item of the sync log has no 'status': leave out 'statuses'")
        if statuses is None or item["status"].upper() in statuses:
            yield item


def _write_text(file: AtomicFile, spool: Spool, columns: list[str], output: Format) -> None:
    kinds = spool.kinds()
    with open_compressed(file, compressed=output.compressed) as target:
        writer = (CsvWriter if output.name == "csv" else JsonLinesWriter)(target, columns)
        for rows in spool.batches():
            writer.write_rows(
                {name: _cell(row.get(name), kinds.get(name)) for name in columns} for row in rows
            )
        writer.close()


def _cell(value: Any, kind: str | None) -> Any:
    return json_text(value) if kind == "json" and value is not None else value
