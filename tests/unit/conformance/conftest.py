"""Fixtures of the conformance tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def fresh_tokens() -> None:
    """Drop the tokens of other tests."""
    from airflow_provider.core.http import auth

    auth._slots.clear()
