"""Connections that are none to a database that can be used."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_provider.core.sql.database_hook import open_hook
from airflow_provider.errors import InputError


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the hook of all connections an error."""

    def refuse(error: Exception) -> None:
        def get_hook() -> None:
            raise error

        found = SimpleNamespace(conn_type="odd", get_hook=get_hook)
        monkeypatch.setattr(BaseHook, "get_connection", lambda _: found)

    return refuse


@pytest.mark.parametrize(
    ("module", "end"), [("pyodd", "completely (pyodd is missing)"), (None, "completely"), ("", "completely")]
)
def test_a_provider_without_its_driver_is_named(refuse: Any, module: str | None, end: str) -> None:
    refuse(ImportError("no module", name=module))
    with pytest.raises(InputError) as caught:
        open_hook("warehouse")
    expected = f"connection 'warehouse': is of type 'odd', whose provider is not installed {end}"
    assert str(caught.value) == expected


def test_other_errors_of_a_hook_are_raised_as_they_are(refuse: Any) -> None:
    refuse(ValueError("its extra is no JSON"))
    with pytest.raises(ValueError, match="its extra is no JSON"):
        open_hook("warehouse")
