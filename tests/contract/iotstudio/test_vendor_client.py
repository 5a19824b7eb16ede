"""The vendor's own client takes the sandbox for the service.

It needs an environment of its own, once::

    uv venv .venv-iots --python 3.11 && uv pip install --python .venv-iots/bin/python iots==0.5.0
    pytest tests/contract
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from airflow_provider.sandbox.server import Sandbox

PYTHON = Path(__file__).resolve().parents[3] / ".venv-iots" / "bin" / "python"


def test_the_vendors_client_lists_reads_writes_and_deletes(sandbox: Sandbox) -> None:
    if not PYTHON.exists():
        pytest.skip("there is no environment with the vendor's client; this file says how to make it")
    script = Path(__file__).with_name("vendor_client.py")
    command = [str(PYTHON), str(script), sandbox.connections["iotstudio_default"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "categories": ["Meters", "Sensors"],
        "title": "Climate A-0.01",
        "sensors": 240,
        "warm": 144,
        "updated": 17.3,
        "many": "eco",
        "read": 18,
        "action": "completed",
        "renamed": "P1",
        "deleted": 404,
    }
    assert len(sandbox.iotstudio.revoked) == 1
