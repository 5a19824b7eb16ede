"""Imports a module on top of what a task's process has loaded anyway."""

import importlib
import sys

from airflow.sdk import BaseHook, BaseOperator  # noqa: F401


def run(module):
    before = set(sys.modules)
    importlib.import_module(module)
    return {"modules": len(set(sys.modules) - before)}
