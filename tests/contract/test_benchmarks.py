"""Benchmarks whose contenders have environments of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import jobs, peer_environments
from tests.benchmarks.runner import Contender

BARE_PYTHON = Path(sys.base_prefix) / "bin" / "python3"
"""An interpreter without any package."""


def test_a_contender_imports_an_installation_of_the_package_with_its_version() -> None:
    with peer_environments.with_package([Contender("bare", "", python=BARE_PYTHON)]) as (contender,):
        script = "import airflow_provider as package; print(package.__file__, package.__version__)"
        environment = {**os.environ, "PYTHONPATH": str(contender.code)}
        command = [str(contender.python), "-P", "-c", script]
        shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    file, version = shown.split()
    assert file == str(contender.code / "airflow_provider" / "__init__.py")
    assert version[0].isdigit()


@pytest.mark.nightly
def test_the_benchmark_of_imports_measures_each_module() -> None:
    job = jobs.importing(1)

    assert [row.title for row in job.rows] == list(jobs.MODULES)
    assert all(int(row.note.removesuffix(" modules")) > 0 for row in job.rows)
