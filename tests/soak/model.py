"""Model: what every system must contain in the end, from the rows and changes that were sent alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.soak.nights import Night, moment_of

SHOWN = 12
"""Maximum differences of a system that are printed."""

NIGHT_FILES = frozenset(
    {
        "plan.json",
        "plan.html",
        "assets.parquet",
        "changes.jsonl",
        "history.jsonl",
        "components/ITComponent-*.parquet",
        "components/ITComponent.manifest.json",
        "components/manifest.json",
    }
)
"""The files of a night, each once, and no others: no temporary file, no part of an earlier attempt."""


@dataclass
class Model:
    """Prediction of every system.

    :param untouched: documents without changes, by system and key, as they were before the run.
    :param nights: the nights whose chains have succeeded, in order.
    :param set_points: set points by Thing before the first night.
    :param metered: values that devices have recorded, by Thing and value.
    :param events: changes by what identifies them in a watcher's event.
    """

    untouched: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    set_points: Mapping[str, float] = field(default_factory=dict)
    nights: list[Night] = field(default_factory=list)
    metered: Counter[tuple[str, float]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def night_done(self, night: Night) -> None:
        """Note that a night's chain has succeeded."""
        self.nights.append(night)

    def changed(self, identity: str) -> None:
        """Note a change that a watcher must see exactly once."""
        self.events[identity] += 1

    def recorded(self, thing: str, value: float) -> None:
        """Note a value that a device has recorded."""
        self.metered[thing, value] += 1

    def predicted(self) -> dict[str, dict[Hashable, Any]]:
        """Return the content of every system by key."""
        last = self.nights[-1]
        kept = {f"{system}, untouched": dict(found) for system, found in self.untouched.items()}
        return {
            "MapsIndoors": dict(last.desks),
            "AmigoCloud": {number: _asset_row(row) for number, row in last.assets.items()},
            "IoT Studio": dict(last.set_points),
            "IoT Studio, history of set points": dict(self._set_point_writes()),
            "LeanIX": dict(last.components),
            "warehouse, copy of AmigoCloud": {n: _asset_row(row) for n, row in last.assets.items()},
            "warehouse, copy of LeanIX": dict(last.components),
            "watchers": dict(self.events),
            "exported history": dict(self.metered),
            **{f"files of night {night.number}": _night_files(night) for night in self.nights},
            **kept,
        }

    def _set_point_writes(self) -> Counter[str]:
        """Return how often each set point was written: only values that differ are."""
        writes: Counter[str] = Counter()
        before = self.set_points
        for night in self.nights:
            writes.update(uid for uid, value in night.set_points.items() if before.get(uid) != value)
            before = night.set_points
        return writes


def _asset_row(row: tuple[str, int, int]) -> tuple[str, int, str]:
    name, floor, night = row
    return name, floor, moment_of(night).isoformat()


def _night_files(night: Night) -> dict[Hashable, Any]:
    return {
        "names": sorted(NIGHT_FILES),
        "assets.parquet": sorted((n, *_asset_row(row)) for n, row in night.assets.items()),
        "changes.jsonl": sorted((n, *_asset_row(row)) for n, row in night.changed_assets.items()),
        "components": sorted(night.components.items()),
    }


def differences(
    predicted: Mapping[str, Mapping[Hashable, Any]], found: Mapping[str, Mapping[Hashable, Any]]
) -> dict[str, list[str]]:
    """Return what differs, by system: a line for each key, and an empty list where all is as predicted."""
    return {
        system: _lines(predicted.get(system, {}), found.get(system, {}))
        for system in sorted({*predicted, *found})
    }


def _lines(predicted: Mapping[Hashable, Any], found: Mapping[Hashable, Any]) -> list[str]:
    keys = sorted({*predicted, *found}, key=str)
    wrong = [key for key in keys if predicted.get(key, _Nothing) != found.get(key, _Nothing)]
    lines = [f"{key}: predicted {_text(predicted, key)}, found {_text(found, key)}" for key in wrong[:SHOWN]]
    return lines if len(wrong) <= SHOWN else [*lines, f"... and {len(wrong) - SHOWN} more"]


class _Nothing:
    pass


def _text(rows: Mapping[Hashable, Any], key: Hashable) -> str:
    text = repr(rows[key]) if key in rows else "nothing"
    return text if len(text) <= 300 else f"{text[:300]}..."
