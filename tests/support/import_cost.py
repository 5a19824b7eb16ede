"""Import cost: time and modules that importing a public module takes.

``python tests/support/import_cost.py MODULE ...`` prints a JSON object for each module.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from typing import Any

HEAVY = ("requests", "pyarrow", "shapely", "starlette", "uvicorn", "websockets", "pandas", "numpy")
VENDORS = ("mapsindoors", "amigocloud", "iotstudio", "leanix")
PACKAGES = (*VENDORS, "warehouse")
KINDS = ("hooks", "operators", "sensors", "triggers")


def public_modules() -> list[str]:
    """Return the names of the modules that users import."""
    modules = ["airflow_provider.errors", "airflow_provider.provider_info", "airflow_provider.sandbox"]
    for name in PACKAGES:
        package = importlib.import_module(f"airflow_provider.{name}")
        found = {module.name for module in pkgutil.iter_modules(package.__path__)}
        modules += [f"airflow_provider.{name}.{kind}" for kind in KINDS if kind in found]
    return modules


def measure(*modules: str) -> list[dict[str, Any]]:
    """Import each module in a process of its own that has loaded the task SDK, and return its cost."""
    done = subprocess.run([sys.executable, __file__, *modules], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _measure_here(module: str) -> dict[str, Any]:
    before = set(sys.modules)
    began = time.perf_counter()
    importlib.import_module(module)
    seconds = time.perf_counter() - began
    new = set(sys.modules) - before
    heavy = sorted(name for name in HEAVY if name in new)
    return {"module": module, "ms": round(seconds * 1000, 1), "modules": len(new), "heavy": heavy}


def _measure_all(modules: list[str]) -> None:
    from airflow.sdk import BaseHook, BaseOperator  # noqa: F401

    for module in modules:
        # A fork has loaded what this process has, and none of the modules measured before.
        if not (child := os.fork()):
            print(json.dumps(_measure_here(module)), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{module} cannot be imported")


if __name__ == "__main__":
    _measure_all(sys.argv[1:])
