"""Import cost of each public module above ``airflow.sdk``, beside other providers if installed.

Run: ``python -m tests.benchmarks.import_cost``
"""

from __future__ import annotations

from importlib.util import find_spec
from statistics import median

from tests.support.import_cost import measure, public_modules

REPEATS = 7
PEERS = ("airflow.providers.http.operators.http", "airflow.providers.standard.operators.bash")


def main() -> None:
    """Print one line per module: minimum and median of several fresh processes."""
    modules = [*public_modules(), *(peer for peer in PEERS if _installed(peer))]
    runs = [measure(*modules) for _ in range(REPEATS)]
    print(f"{'module':50} {'least ms':>9} {'median ms':>10} {'modules':>8}")
    for costs in zip(*runs, strict=True):
        times = [cost["ms"] for cost in costs]
        print(f"{costs[0]['module']:50} {min(times):9.1f} {median(times):10.1f} {costs[0]['modules']:8}")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    main()
