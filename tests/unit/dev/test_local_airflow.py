"""Settings and supervision of the demo's Airflow, without starting it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from dev import local_airflow
from dev.local_airflow import AirflowFailedError, LocalAirflow
from dev.processes import Started
from tests.support.wait import until


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


PARTS = """
import subprocess, sys
print("scheduler | it was locked out", flush=True)
parts = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
for part in parts:
    part.wait()
"""


def test_a_part_that_ended_is_an_error_that_shows_the_end_of_the_log(tmp_path: Path) -> None:
    airflow = LocalAirflow(tmp_path, connections={}, output=tmp_path, say=lambda _: None)
    airflow.started = Started.run([sys.executable, "-c", PARTS], os.environ, airflow.log, tmp_path)
    try:
        until(lambda: len(airflow.started.children()) == 2, 20)
        airflow.note_parts()
        airflow.fail_if_a_part_ended()
        airflow.started.children()[1].kill()
        until(lambda: airflow.started.children()[-1].status() == psutil.STATUS_ZOMBIE, 20)
        with pytest.raises(AirflowFailedError, match=r"has ended[^|]*scheduler \| it was locked out"):
            airflow.fail_if_a_part_ended()
    finally:
        airflow.stop()
