"""Environments of the peers that this provider is compared with, built at first use.

The requirements of the vendors' clients are those of the contract tests; ``requirements`` has the others.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.runner import HERE, Contender, ContenderProcess
from tests.contract import client_environments

TITLES = {"dlt": "dlt, rest_api source", "pyogrio": "pyogrio, GDAL's driver"}
"""Contenders of the export that need no vendor's client."""

Measure = Callable[[str, str, int, Path], float]


def contender(title: str, file: str, environment: str, **given: Any) -> list[Contender]:
    """Return a contender with an environment of its own; none, with a message, when that cannot be built."""
    pinned = HERE / "requirements" / f"{environment}.txt"
    if not pinned.exists():
        pinned = client_environments.REQUIREMENTS / pinned.name
    try:
        return [Contender(title, file, given, client_environments.build(pinned))]
    except client_environments.UnavailableError as error:
        print(f"!!!! NOT COMPARED with {title}: {error} !!!!", file=sys.stderr)
        return []


@contextmanager
def with_package(contenders: list[Contender]) -> Iterator[list[Contender]]:
    """Let contenders with an environment of their own import an installation of this checkout's package.

    The package reads its version from its metadata, which a checkout does not have.
    """
    with tempfile.TemporaryDirectory() as folder:
        client_environments.install_package(Path(folder))
        yield [replace(contender, code=Path(folder)) for contender in contenders]


def available() -> Iterator[tuple[str, Measure]]:
    """Yield title and measurement of each peer of the export whose environment can be built."""
    for name, title in TITLES.items():
        for peer in contender(title, f"export_{name}", name):
            yield title, _measure(peer)


def _measure(peer: Contender) -> Measure:
    def measure(url: str, token: str, dataset: int, folder: Path) -> float:
        host, _, rest = url.partition("/users/")
        given = {"host": host, "project": f"users/{rest}", "token": token, "dataset": dataset, "page": 1000}
        with tempfile.TemporaryDirectory(dir=folder) as own:
            process = ContenderProcess(peer, {})
            process.ready()
            process.start({**given, "folder": own})
            return float(process.report()["seconds"])

    return measure
