"""One Airflow for all system tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.system.parts import Part, Played, play_all


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Play the parts of all modules with a test in this session."""
    # A test run that is told to end must not leave Airflow behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    modules = {item.module.__name__: item.module for item in request.session.items}  # type: ignore[attr-defined]
    parts: list[Part] = [module.PART for module in modules.values() if hasattr(module, "PART")]
    with ExitStack() as stack:
        yield play_all(parts, tmp_path_factory.mktemp("system"), stack)
