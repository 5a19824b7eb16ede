"""Each module of the package can be imported, on each pair of versions."""

from __future__ import annotations

import importlib
import pkgutil

import airflow
import pytest

import airflow_provider

NEWER = {"airflow_provider.retries": (3, 3)}
"""Modules that need a later Airflow than the oldest, with its version."""

RUNNING = tuple(int(part) for part in airflow.__version__.split(".")[:2])


def test_each_module_of_the_package_can_be_imported() -> None:
    names = [found.name for found in pkgutil.walk_packages(airflow_provider.__path__, "airflow_provider.")]
    assert NEWER.keys() < set(names)
    for name in names:
        if name.endswith("__main__"):
            continue
        if NEWER.get(name, (3, 0)) > RUNNING:
            with pytest.raises(ImportError, match=r"airflow\.sdk"):
                importlib.import_module(name)
        else:
            assert importlib.import_module(name).__name__ == name
