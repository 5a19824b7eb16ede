"""The folder of a process of the tests: the next process removes what a killed one has left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.own_folder import OWN, new_folder, remove_leftovers


def test_the_folder_of_a_killed_process_is_removed_and_its_servers_are_ended(tmp_path: Path) -> None:
    left, lock = new_folder(tmp_path)
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], cwd=left)
    os.close(lock)  # As the end of its process does.
    used, lock = new_folder(tmp_path)
    assert remove_leftovers(tmp_path) == [left]
    assert server.wait(10) == -9
    assert list(tmp_path.iterdir()) == [used]
    os.close(lock)


def test_a_folder_that_another_process_has_just_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "airflow-home-new").mkdir()
    assert remove_leftovers(tmp_path) == []


def test_the_own_folder_is_airflows_home() -> None:
    assert os.environ["AIRFLOW_HOME"] == str(OWN)
