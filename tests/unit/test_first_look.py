from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider.sandbox.server import Sandbox

LIGHT = {"airflow", "airflow_provider", "asgiref"}
"""What may be imported on the loop: small modules of ours, and what Airflow needs to read a connection."""


@pytest.mark.slow
def test_what_takes_long_to_import_is_not_imported_on_the_triggerers_event_loop(sandbox: Sandbox) -> None:
    connections = {f"AIRFLOW_CONN_{name.upper()}": text for name, text in sandbox.connections.items()}
    command = [sys.executable, "-m", "tests.first_look"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **connections}
    )
    names = json.loads(done.stdout.splitlines()[-1])
    assert {name.partition(".")[0] for name in names} <= LIGHT
    assert "airflow_provider.amigocloud.lookout" not in names
    # They really ran, and the loop imported what they need.
    assert "airflow_provider.core.aio" in names
    for service in ("mapsindoors", "amigocloud", "iotstudio", "leanix"):
        assert sandbox.counters.total(service) > 0
