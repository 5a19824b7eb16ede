"""Snapshots of the sandbox: the content of a service as a multiset of JSON lines, to compare two runs.

Generated ids, times and hashes are left out, so that two runs with the same effect have equal snapshots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.seed import HISTORY_HOURS, HISTORY_MS
from airflow_provider.sandbox.server import Sandbox

Snapshot = Counter[str]
MAX_LISTED_ROWS = 100
"""Rows of a dataset up to which each row is compared; of larger datasets only the count is."""

SEED_ENDS = HISTORY_MS + HISTORY_HOURS * 3_600_000
"""End of the seeded history, in milliseconds since the epoch; later values were recorded by a test."""


NEW_IDS = "01K"
"""Beginning of the ids of Things that are created in tests."""


def snapshot(sandbox: Sandbox, vendor: str) -> Snapshot:
    """Return the content of a service; equal items are counted."""
    # There are thousands of lines before and after each run, and the module json takes three times as long.
    lines = _LINES[vendor](getattr(sandbox, vendor))
    return Counter(msgspec.json.encode(line, order="sorted").decode() for line in lines)


def _mapsindoors(service: Any) -> Iterator[Any]:
    for item in service.campus.geodata.values():
        yield {name: value for name, value in item.items() if name != "id"}
    for entry in (*service.campus.display_types.values(), *service.campus.categories.values()):
        yield {name: value for name, value in entry.items() if name != "id"}


def _amigocloud(service: Any) -> Iterator[Any]:
    service.jobs.run_due()
    for dataset in service.store.datasets.values():
        count = service.store.count(dataset.id)
        yield ["dataset", dataset.name]
        if count > MAX_LISTED_ROWS:
            yield [dataset.name, count]
            continue
        for row in service.store.select(f"SELECT * FROM {dataset.table}", 10_000, 0).rows:
            yield [dataset.name, {name: value for name, value in row.items() if name != "amigo_id"}]


def _iotstudio(service: Any) -> Iterator[Any]:
    for uid, thing in service.space.things.items():
        # Ids of the seed begin with the time of its Things; those that were created since differ in each run.
        yield [uid if uid < NEW_IDS else "new", thing.title, thing.fields.get("description"), thing.status]
        yield from ([uid, "action", action.name, action.status] for action in thing.actions)
        yield from ([uid, "event", event.name] for event in thing.events)
        yield from ([uid, "history", name, value] for name, value in _recorded_since_the_seed(thing))


def _recorded_since_the_seed(thing: Any) -> Iterator[tuple[str, Any]]:
    for name, series in thing.history.items():
        yield from ((name, value) for at, value in series[-10:] if at >= SEED_ENDS)


def _leanix(service: Any) -> Iterator[Any]:
    # A run that was created and never started has no effect.
    yield from (["run", run.status, len(run.content)] for run in service.runs if run.status != "CREATED")
    yield from service.configurations.values()
    yield from (vars(sheet) for sheet in service.fact_sheets.values())


_LINES = {
    "mapsindoors": _mapsindoors,
    "amigocloud": _amigocloud,
    "iotstudio": _iotstudio,
    "leanix": _leanix,
}


def files(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
