"""Fixtures of the conformance tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def fresh_tokens() -> None:
    """Drop the tokens of other tests."""
    from airflow_provider.core.http import auth

    auth._slots.clear()


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a folder of the test's own, in which runs leave their files."""
    monkeypatch.chdir(tmp_path)
    # The command sets it, so that Airflow reads its database: the tests have their connections elsewhere.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    return tmp_path
