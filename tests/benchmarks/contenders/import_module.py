"""Import of a module in a process that has loaded what every task loads."""

import importlib
import sys

from airflow.sdk import BaseHook, BaseOperator  # noqa: F401


def run(module):
    before = set(sys.modules)
    importlib.import_module(module)
    return {"modules": len(set(sys.modules) - before)}
