"""Looks at the map after writing, until it shows what was written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from airflow_provider.core.json_types import Json
from airflow_provider.errors import VerificationError
from airflow_provider.mapsindoors.geodata.diff import differences
from airflow_provider.mapsindoors.geodata.snapshot import key_of
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change

wait = time.sleep

SETTLE = (0.0, 1.0, 3.0, 6.0)
"""Seconds before each look at what a write did. The docs do not say how soon a read shows a write."""


def looks(hook: MapsIndoorsHook, pauses: Iterable[float] = SETTLE) -> Iterator[Iterator[Json]]:
    """Read the map after each of some pauses, as long as the caller wants to."""
    for pause in pauses:
        wait(pause)
        yield hook.iter_geodata()


def verify(hook: MapsIndoorsHook, changes: Sequence[Change], match_on: str) -> None:
    """Read the solution again and compare it with what was written.

    :raises VerificationError: naming objects and fields that are not as written.
    """
    wrong: list[str] = []
    for objects in looks(hook):
        wrong = list(discrepancies(changes, objects, match_on))
        if not wrong:
            return
    raise VerificationError(wrong)


def discrepancies(changes: Sequence[Change], objects: Iterable[Json], match_on: str) -> Iterator[str]:
    """Say where the world is not as written.

    :param changes: what was written.
    :param objects: the world now.
    """
    about = {one.id for one in changes}
    by_id: dict[str, Json] = {}
    keys: Counter[str] = Counter()
    for thing in objects:
        keys[key_of(thing, match_on)] += 1
        if thing["id"] in about:
            by_id[thing["id"]] = thing
    for one in changes:
        what = f"{one.base_type} {one.id} ({one.key})"
        found = by_id.get(one.id)
        if one.operation == "delete":
            if found is not None:
                yield f"{what} still exists"
        elif found is None:
            yield f"{what} does not exist"
        else:
            for path, (there, wanted) in differences(one.body, found).items():
                yield f"{what}: {path} is {there!r}, not {wanted!r}"
            if one.operation == "create" and keys[one.key] > 1:
                yield f"{what}: {match_on} {one.key!r} exists {keys[one.key]} times"
