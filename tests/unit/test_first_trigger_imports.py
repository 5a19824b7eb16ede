"""First runs of the triggers: only light modules are imported on the triggerer's event loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from airflow_provider.sandbox.server import Sandbox

SERVICES = ("mapsindoors", "amigocloud", "iotstudio", "leanix")
LIGHT = {"airflow", "airflow_provider", "asgiref", "csv", "_csv"}
"""Packages whose import on the loop is allowed: this one, and those that Airflow needs to read a connection.

On Python 3.13 Airflow itself no longer loads ``csv``, so that the first import of it counts here.
"""

ASIDE = {
    "airflow_provider.amigocloud.sql.lexer",
    "airflow_provider.amigocloud.watchers.monitor",
    "airflow_provider.iotstudio.events.reader",
    "airflow_provider.iotstudio.events.silence",
    "airflow_provider.mapsindoors.geodata.diff",
}
"""Modules that take long for a loop with thousands of triggers."""


@pytest.mark.slow
@pytest.mark.long
def test_what_takes_long_to_import_is_not_imported_on_the_triggerers_event_loop(sandbox: Sandbox) -> None:
    connections = {f"AIRFLOW_CONN_{name.upper()}": text for name, text in sandbox.connections.items()}
    with_broker = json.loads(connections["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"])
    with_broker["extra"]["mqtt_url"] = "mqtt://127.0.0.1:9"
    connections["AIRFLOW_CONN_IOTSTUDIO_DEFAULT"] = json.dumps(with_broker)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.first_trigger_imports"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **connections},
    )
    with child:
        while child.poll() is None and not all(map(sandbox.counters.total, SERVICES)):
            time.sleep(0.05)
        output, _ = child.communicate()
    names = json.loads(output.splitlines()[-1])
    assert {name.partition(".")[0] for name in names} <= LIGHT
    assert not set(names) & ASIDE
    assert "airflow_provider.core.state.turns" in names  # imports on the loop are seen


@pytest.mark.slow
def test_the_first_call_of_a_hook_in_a_script_imports_nothing_heavy_on_its_event_loop(
    sandbox: Sandbox,
) -> None:
    connections = {f"AIRFLOW_CONN_{name.upper()}": text for name, text in sandbox.connections.items()}
    command = [sys.executable, "-m", "tests.support.first_call_imports"]
    env = {**os.environ, **connections}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, check=True)
    names = json.loads(done.stdout.splitlines()[-1])
    assert {name.partition(".")[0] for name in names} <= LIGHT - {"airflow", "asgiref"}
