"""Nights: the rows of the warehouse in each night, from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST_DAY = datetime(2026, 1, 1, 3, tzinfo=UTC)
DESKS, ASSETS, COMPONENTS, DEVICES = 40, 150, 60, 60
"""Rows of each table in the first night."""

CHANGES = 6
"""Rows of each table that change from night to night; half as many come, and as many go."""


@dataclass(frozen=True)
class Night:
    """The rows of one night.

    :param number: the night, from 0.
    :param desks: title and seats by external id, for the map.
    :param assets: name, floor and night of the last change by number, for the dataset.
    :param set_points: set point by Thing.
    :param components: label by external id, for the landscape.
    :param next_row: number of the next new row.
    """

    number: int
    desks: Mapping[str, tuple[str, int]]
    assets: Mapping[int, tuple[str, int, int]]
    set_points: Mapping[str, float]
    components: Mapping[str, str]
    next_row: int

    @property
    def changed_assets(self) -> dict[int, tuple[str, int, int]]:
        """The assets that are new or changed since the night before."""
        return {number: row for number, row in self.assets.items() if row[2] == self.number}


def moment_of(number: int) -> datetime:
    """Return the time at which the rows of a night were changed."""
    return FIRST_DAY + timedelta(days=number)


def first_night(seed: int, devices: Sequence[str]) -> Night:
    """Return the first night.

    :param devices: ids of the Things that have set points.
    """
    dice = random.Random(f"{seed} night 0")
    return Night(
        number=0,
        desks={_key("DESK", n): _desk(dice, n, 0) for n in range(DESKS)},
        assets={n: _asset(dice, n, 0) for n in range(ASSETS)},
        set_points={uid: _set_point(dice) for uid in devices},
        components={_key("soak", n): f"Component {n} of night 0" for n in range(COMPONENTS)},
        next_row=max(DESKS, ASSETS, COMPONENTS),
    )


def next_night(seed: int, before: Night) -> Night:
    """Return the night that follows another one."""
    number = before.number + 1
    dice = random.Random(f"{seed} night {number}")
    new = range(before.next_row, before.next_row + CHANGES // 2)
    desks: dict[str, Any] = _changed(dice, before.desks, lambda key: _desk(dice, int(key[-5:]), number))
    assets: dict[int, Any] = _changed(dice, before.assets, lambda key: _asset(dice, key, number))
    components: dict[str, Any] = _changed(
        dice, before.components, lambda key: f"Component {int(key[-5:])} of night {number}"
    )
    for row in new:
        desks[_key("DESK", row)] = _desk(dice, row, number)
        assets[row] = _asset(dice, row, number)
        components[_key("soak", row)] = f"Component {row} of night {number}"
    set_points = dict(before.set_points)
    for uid in dice.sample(sorted(set_points), min(CHANGES, len(set_points))):
        set_points[uid] = _other_set_point(dice, set_points[uid])
    return Night(number, desks, assets, set_points, components, new.stop)


def _changed(dice: random.Random, rows: Mapping[Any, Any], change: Any) -> dict[Any, Any]:
    """Return rows of which some are changed and some are gone."""
    chosen = dice.sample(sorted(rows), CHANGES + CHANGES // 2)
    changed = {**rows, **{key: change(key) for key in chosen[:CHANGES]}}
    return {key: row for key, row in changed.items() if key not in chosen[CHANGES:]}


def _key(kind: str, number: int) -> str:
    return f"{kind}-{number:05d}"


def _desk(dice: random.Random, number: int, night: int) -> tuple[str, int]:
    return f"Desk {number} of night {night}", dice.randrange(1, 9)


def _asset(dice: random.Random, number: int, night: int) -> tuple[str, int, int]:
    return f"Asset {number} of night {night}", dice.randrange(0, 6), night


def _set_point(dice: random.Random) -> float:
    return dice.randrange(10, 60) / 2


def _other_set_point(dice: random.Random, old: float) -> float:
    return dice.choice([value / 2 for value in range(10, 60) if value / 2 != old])
