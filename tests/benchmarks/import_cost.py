"""Import cost of each public module above ``airflow.sdk``, beside another version or other providers.

Run: ``python -m tests.benchmarks.import_cost [CHECKOUT]``; with a checkout of another version, both
versions are measured in turns.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.import_cost import measure, public_modules

Cost = dict[str, Any]

REPEATS = 7

FORKS = 3
"""Imports of each module in one repeat of a comparison."""

PEERS = ("airflow.providers.http.operators.http", "airflow.providers.standard.operators.bash")


def main() -> None:
    """Print one line per module: CPU time and modules, of several fresh processes."""
    if len(sys.argv) > 1:
        compare(Path(sys.argv[1]))
        return
    modules = [*public_modules(), *(peer for peer in PEERS if _installed(peer))]
    runs = [measure(*modules) for _ in range(REPEATS)]
    print(f"{'module':50} {'least ms':>9} {'median ms':>10} {'modules':>8}")
    for costs in zip(*runs, strict=True):
        times = [cost["ms"] for cost in costs]
        print(f"{costs[0]['module']:50} {min(times):9.1f} {median(times):10.1f} {costs[0]['modules']:8}")


def compare(checkout: Path) -> None:
    """Print one line per module: the least CPU time of each version, and the number of modules.

    :param checkout: folder of the other version.
    """
    files = (checkout / "airflow_provider").rglob("*.py")
    known = {".".join(file.relative_to(checkout).with_suffix("").parts) for file in files}
    modules = [name for name in public_modules() if {name, f"{name}.__init__"} & known]
    found: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(REPEATS):
        found[0].extend(measure(*modules * FORKS, checkout=checkout))
        found[1].extend(measure(*modules * FORKS))
    print(f"{'module':50} {'other ms':>9} {'this ms':>9} {'other modules':>14} {'this modules':>13}")
    total = [0.0, 0.0]
    for module in modules:
        costs = [[cost for cost in version if cost["module"] == module] for version in found]
        times = [min(cost["ms"] for cost in version) for version in costs]
        counts = [version[0]["modules"] for version in costs]
        total = [one + more for one, more in zip(total, times, strict=True)]
        print(f"{module:50} {times[0]:9.1f} {times[1]:9.1f} {counts[0]:14} {counts[1]:13}")
    print(f"{'sum':50} {total[0]:9.1f} {total[1]:9.1f}")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
