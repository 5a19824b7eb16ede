"""Verification: read the map after writing, until it shows the written changes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from airflow_provider.core.input.values import shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.errors import VerificationError, shorten
from airflow_provider.mapsindoors.geodata.details import detail_differences
from airflow_provider.mapsindoors.geodata.diff import differences
from airflow_provider.mapsindoors.geodata.snapshot import key_of
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change

wait = time.sleep

READ_DELAYS = (0.0, 1.0, 3.0, 6.0)
"""Seconds before each read after a write. The vendor's docs do not say how soon a read shows a write."""

_NOT_MOVED = " (the service may not move objects: the vendor's docs leave that open; move it in the CMS)"

_KEPT = " (the service may keep what a list does not have: the docs leave that open; mend it in the CMS)"


def read_repeatedly(hook: MapsIndoorsHook, pauses: Iterable[float] = READ_DELAYS) -> Iterator[Iterator[Json]]:
    """Yield the objects of the map, read after each delay, until the caller stops.

    :param hook: the connection to the solution.
    :param pauses: seconds before each read.
    """
    for pause in pauses:
        wait(pause)
        yield hook.iter_geodata()


def verify(hook: MapsIndoorsHook, changes: Sequence[Change], match_on: str) -> None:
    """Read the map and compare it with the written changes.

    :param hook: the connection to the solution.
    :param changes: the written changes.
    :param match_on: the match key.
    :raises VerificationError: with the objects and fields that differ after the last read.
    """
    wrong: list[str] = []
    for objects in read_repeatedly(hook):
        wrong = list(discrepancies(changes, objects, match_on))
        if not wrong:
            return
    raise VerificationError(wrong)


def discrepancies(changes: Sequence[Change], objects: Iterable[Json], match_on: str) -> Iterator[str]:
    """Yield a sentence for each difference between the written changes and the map.

    :param changes: the written changes.
    :param objects: the objects of the map.
    :param match_on: the match key.
    """
    about = {change.id for change in changes}
    by_id: dict[str, Json] = {}
    keys: Counter[str] = Counter()
    for item in objects:
        keys[key_of(item, match_on)] += 1
        if item["id"] in about:
            by_id[item["id"]] = item
    for change in changes:
        described = f"{change.base_type} {change.id} ({change.key})"
        found = by_id.get(change.id)
        if change.operation == "delete":
            if found is not None:
                yield f"{described} still exists"
        elif found is None:
            yield f"{described} does not exist"
        else:
            for path, (there, wanted) in differences(change.body, found).items():
                if path == "additionalDetails":
                    parts = "; ".join(shorten(list(detail_differences(wanted, there)), 5))
                    yield f"{described}: additionalDetails is not as sent: {parts}{_KEPT}"
                    continue
                hint = _NOT_MOVED if path == "parentId" else ""
                yield f"{described}: {path} is {shown_value(there)}, not {shown_value(wanted)}{hint}"
            if change.operation == "create" and keys[change.key] > 1:
                yield f"{described}: {match_on} {change.key!r} exists {keys[change.key]} times"
