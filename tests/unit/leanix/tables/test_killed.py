"""Tables whose process gets a SIGKILL: what a manifest lists is there, and a retry completes the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.listing import find_files
from airflow_provider.core.files.paths.checks import hash_problems
from tests.support import killed_tables

pytestmark = pytest.mark.slow

BEFORE = [{"type": kind, "id": f"{n}", "data": {"n": n}} for n in range(5) for kind in ("A", "Gone")]
AFTER = [{"type": kind, "id": f"{n}", "data": {"n": -n}} for n in range(7) for kind in ("A", "New")]


def listed(manifest: Path) -> list[dict[str, Any]]:
    """Return the rows of a manifest's files, which are there with their sizes and hashes."""
    files = find_files(str(manifest), "source")
    assert hash_problems((file.name, file.path, file.sha256) for file in files) == []
    return [json.loads(line) for file in files for line in Path(file.path).read_text().splitlines()]


def items(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": row["type"], "id": row["id"], "data": {"n": row["n"]}} for row in rows]


def by_type(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda item: item["type"])


@pytest.mark.long
def test_killed_at_any_step_the_manifests_list_one_run_and_a_retry_completes_the_next(tmp_path: Path) -> None:
    arguments = [str(tmp_path), json.dumps(BEFORE), json.dumps(AFTER)]
    environment = {**os.environ, "PYTHONPATH": str(Path(killed_tables.__file__).parents[2])}
    command = [sys.executable, killed_tables.__file__, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    last = int(done.stdout.split()[-1])  # behind what Python logs
    # Two tables, their manifests and the manifest of all; then a manifest and two tables are removed.
    assert last == 2 * (5 + 3)
    for number in range(last + 1):
        folder = tmp_path / f"{number}"
        assert items(listed(folder / "manifest.json")) in (by_type(BEFORE), by_type(AFTER))
        for manifest in folder.glob("?*.manifest.json"):
            own = items(listed(manifest))
            name = own[0]["type"]
            assert own in [[item for item in run if item["type"] == name] for run in (BEFORE, AFTER)]
        killed_tables.write(f"{folder}/", "after", AFTER)
        assert items(listed(folder / "manifest.json")) == by_type(AFTER)
        assert not (folder / "Gone.manifest.json").exists()
    assert len(list(folder.iterdir())) == 5
