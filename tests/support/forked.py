"""Processes that are forked from one that has Airflow and the provider loaded.

A new interpreter takes seconds to load them. The process that is forked is started once in each process of
the tests.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_LOADED = [
    "requests",
    "tenacity",
    "airflow_provider.amigocloud.operators",
    "airflow_provider.iotstudio.operators",
    "airflow_provider.leanix.operators",
    "airflow_provider.mapsindoors.operators",
    "tests.support.killed_export",
    "tests.support.killed_leanix",
    "tests.support.killed_photos",
    "tests.support.killed_run",
    "tests.support.killed_upload",
]
"""Modules that are loaded before the first fork: all, because the first user starts the process for all."""


def context() -> Any:
    """Return the context of multiprocessing whose processes are forked from the loaded one."""
    found: Any = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_LOADED)
    return found


def start(function: Callable[..., Any], *arguments: Any, daemon: bool = False) -> Any:
    """Call a function in a new process that has this one's environment variables; return the process.

    :param function: a function of a module.
    :param arguments: its arguments.
    :param daemon: whether the process ends with this one.
    """
    process = context().Process(target=_call, args=(dict(os.environ), function, arguments), daemon=daemon)
    with chdir(ROOT):  # Relative paths of modules are those of this folder.
        process.start()
    return process


def _call(env: Mapping[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(env)
    function(*arguments)
