"""Import cost: CPU time and modules that importing a public module takes.

``python tests/support/import_cost.py MODULE ...`` prints a JSON object for each module.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HEAVY = ("requests", "pyarrow", "shapely", "starlette", "uvicorn", "websockets", "pandas", "numpy", "paho")
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


def measure(*modules: str, checkout: Path | None = None) -> list[dict[str, Any]]:
    """Import each module in a process of its own that has loaded the task SDK, and return its cost.

    :param checkout: folder with another version of the package; None for the version that runs this.
    """
    # Without compiled files on disk, the cost would be that of compiling.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if checkout is not None:
        env["PYTHONPATH"] = str(checkout.resolve())
    command = [sys.executable, __file__, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    costs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if checkout is not None:
        assert all(Path(cost["file"]).is_relative_to(checkout.resolve()) for cost in costs), costs
    return costs


def _measure_here(module: str) -> dict[str, Any]:
    before = set(sys.modules)
    began = time.process_time()
    file = importlib.import_module(module).__file__
    seconds = time.process_time() - began
    new = set(sys.modules) - before
    heavy = sorted(name for name in HEAVY if name in new)
    ms = round(seconds * 1000, 1)
    return {"module": module, "file": file, "ms": ms, "modules": len(new), "heavy": heavy}


def _measure_all(modules: list[str]) -> None:
    from airflow.sdk import BaseHook, BaseOperator  # noqa: F401

    # Whether a garbage collection of the task SDK's objects falls into an import is chance.
    gc.freeze()
    for module in modules:
        # A fork has loaded what this process has, and none of the modules measured before.
        if not (child := os.fork()):
            print(json.dumps(_measure_here(module)), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{module} cannot be imported")


if __name__ == "__main__":
    _measure_all(sys.argv[1:])
