"""Fixture of the system tests: one Airflow for all scenarios."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.system.scenarios import CompletedRun, Scenario, run_all


@pytest.fixture(scope="session")
def completed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CompletedRun]:
    """Run the scenarios of all modules that have a test in this session."""
    # A terminated test run must not leave Airflow running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    modules = {item.module.__name__: item.module for item in request.session.items}  # type: ignore[attr-defined]
    scenarios: list[Scenario] = [m.SCENARIO for m in modules.values() if hasattr(m, "SCENARIO")]
    with ExitStack() as stack:
        yield run_all(scenarios, tmp_path_factory.mktemp("system"), stack)
