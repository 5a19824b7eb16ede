"""What a service of the sandbox holds, as a bag of lines, so that worlds can be compared.

New ids, times and hashes are left out: two days on which the same was done give equal bags.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider.sandbox.iotstudio.seed import HISTORY_HOURS, HISTORY_MS
from airflow_provider.sandbox.server import Sandbox

World = Counter[str]
MANY = 100
"""Rows of a dataset beyond which they are only counted."""

SEED_ENDS = HISTORY_MS + HISTORY_HOURS * 3_600_000
"""Milliseconds since the epoch: values recorded later are those of a test."""


def world(sandbox: Sandbox, vendor: str) -> World:
    """Give what a service holds; things that there are twice count twice."""
    return Counter(json.dumps(line, sort_keys=True) for line in _LINES[vendor](getattr(sandbox, vendor)))


def _mapsindoors(service: Any) -> Iterator[Any]:
    for one in service.campus.geodata.values():
        yield {name: value for name, value in one.items() if name != "id"}


def _amigocloud(service: Any) -> Iterator[Any]:
    service.jobs.run_due()
    for dataset in service.store.datasets.values():
        count = service.store.count(dataset.id)
        yield ["dataset", dataset.name]
        if count > MANY:
            yield [dataset.name, count]
            continue
        for row in service.store.select(f"SELECT * FROM {dataset.table}", 10_000, 0).rows:
            yield [dataset.name, {name: value for name, value in row.items() if name != "amigo_id"}]


def _iotstudio(service: Any) -> Iterator[Any]:
    for uid, thing in service.space.things.items():
        yield [uid, thing.status]
        yield from ([uid, "action", one.name, one.status] for one in thing.actions)
        yield from ([uid, "event", one.name] for one in thing.events)
        yield from ([uid, "history", name, value] for name, value in _recorded_since_the_seed(thing))


def _recorded_since_the_seed(thing: Any) -> Iterator[tuple[str, Any]]:
    for name, series in thing.history.items():
        yield from ((name, value) for at, value in series[-10:] if at >= SEED_ENDS)


def _leanix(service: Any) -> Iterator[Any]:
    # A run that was made and never started does nothing; it is no work of its own.
    yield from (["run", one.status, len(one.content)] for one in service.runs if one.status != "CREATED")
    yield from service.configurations.values()
    yield from (vars(one) for one in service.fact_sheets.values())


_LINES = {
    "mapsindoors": _mapsindoors,
    "amigocloud": _amigocloud,
    "iotstudio": _iotstudio,
    "leanix": _leanix,
}


def files(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
