"""Tells where the map is unlike what a sensor expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]


def unlike(expected: Iterable[Mapping[str, Any]], objects: Iterable[Json], match_on: str) -> list[str]:
    """Say where live objects differ from what is expected; compared like in a sync.

    :param expected: the match key and some fields of each object.
    :param objects: the live objects.
    """
    from airflow_provider.mapsindoors.compare import differences
    from airflow_provider.mapsindoors.world import key_of

    found: dict[str, list[Json]] = {}
    for one in objects:
        found.setdefault(key_of(one, match_on), []).append(one)
    out = []
    for wanted in expected:
        key = key_of(wanted, match_on)
        there = found.get(key, [])
        if len(there) != 1:
            out.append(f"{match_on} {key!r} is that of {len(there)} objects")
            continue
        for path, (live, value) in differences(wanted, there[0]).items():
            out.append(f"{match_on} {key!r}: {path} is {live!r}, not {value!r}")
    return out
