"""Environments for what this provider is compared with, built when first needed.

The pins of the vendors' clients are those of the contract tests, the others are in ``requirements`` here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.turns import HERE, Running, Side
from tests.contract import client_environments

TITLES = {"dlt": "dlt, rest_api source", "pyogrio": "pyogrio, GDAL's driver"}
"""Ways to export that need no vendor's client."""

Measure = Callable[[str, str, int, Path], float]


def side(title: str, file: str, environment: str, **given: Any) -> list[Side]:
    """Give a side that needs an environment of its own; none, loudly, where that cannot be built."""
    pinned = HERE / "requirements" / f"{environment}.txt"
    if not pinned.exists():
        pinned = client_environments.REQUIREMENTS / pinned.name
    try:
        return [Side(title, file, given, client_environments.build(pinned))]
    except client_environments.UnavailableError as error:
        print(f"!!!! NOT COMPARED with {title}: {error} !!!!", file=sys.stderr)
        return []


def available() -> Iterator[tuple[str, Measure]]:
    """Give the ways to export that are there, or can be: how they are called, and what times them."""
    for name, title in TITLES.items():
        for one in side(title, f"export_{name}", name):
            yield title, _measure(one)


def _measure(one: Side) -> Measure:
    def measure(url: str, token: str, dataset: int, folder: Path) -> float:
        host, _, rest = url.partition("/users/")
        given = {"host": host, "project": f"users/{rest}", "token": token, "dataset": dataset, "page": 1000}
        with tempfile.TemporaryDirectory(dir=folder) as own:
            running = Running(one, {})
            running.ready()
            running.begin({**given, "folder": own})
            return float(running.ended()["seconds"])

    return measure
