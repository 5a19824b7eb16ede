"""What the demo's Airflow is told, without starting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dev import local_airflow
from dev.local_airflow import LocalAirflow


def test_it_listens_on_this_machine_only_and_its_home_is_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, str] = {}

    def run(_: Any, env: dict[str, str], *__: Any) -> Any:
        started.update(env)
        raise RuntimeError("not started")

    monkeypatch.setattr(local_airflow.Started, "run", run)
    home = tmp_path / "homes" / "demo"
    with pytest.raises(RuntimeError, match="not started"):
        LocalAirflow(home, connections={}, output=tmp_path / "out", say=lambda _: None).start()
    assert started["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert started["AIRFLOW__API__BASE_URL"].startswith("http://127.0.0.1:")
    # Its airflow.cfg holds the keys that tokens are signed with.
    assert home.stat().st_mode & 0o777 == 0o700
