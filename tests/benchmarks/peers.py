"""Other ways to fetch a dataset, each in an environment of its own below ``.venv-peers``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".venv-peers"
ROWS = 50_000

DLT = """
import sys, time
import dlt
from dlt.sources.rest_api import rest_api_source

project, token, table, folder = sys.argv[1:]
query = {"query": f"SELECT * FROM dataset_{table}", "limit": 1000, "token": token}
resource = {
    "name": "assets",
    "endpoint": {
        "path": "sql",
        "params": query,
        "data_selector": "data",
        "paginator": {"type": "json_link", "next_url_path": "next"},
    },
}
source = rest_api_source({"client": {"base_url": project + "/"}, "resources": [resource]})
started = time.perf_counter()
files = dlt.destinations.filesystem(folder)
pipeline = dlt.pipeline("peer", destination=files, dataset_name="twin", pipelines_dir=folder + "/work")
pipeline.run(source, loader_file_format="jsonl")
rows = pipeline.last_trace.last_normalize_info.row_counts["assets"]
print(rows, time.perf_counter() - started)
"""
PYOGRIO = """
import os, sys, time
import pyogrio

project, token, table, folder = sys.argv[1:]
host, number = project.split("/users/")[0], project.rpartition("/")[2]
pyogrio.set_gdal_config_options({"AMIGOCLOUD_API_URL": host, "AMIGOCLOUD_API_KEY": token})
started = time.perf_counter()
frame = pyogrio.read_dataframe(f"AMIGOCLOUD:{number} datasets={table}", read_geometry=False)
frame.to_json(folder + "/pyogrio.jsonl", orient="records", lines=True)
print(len(frame), time.perf_counter() - started)
"""
PEERS = {
    "dlt's rest_api source": ("dlt", ["dlt[filesystem]"], DLT),
    "pyogrio's AmigoCloud driver": ("pyogrio", ["pyogrio", "pandas"], PYOGRIO),
}

Measure = Callable[[str, str, int, Path], float]


def available() -> Iterator[tuple[str, Measure]]:
    """Give the peers that are installed, or can be."""
    for title, (name, packages, script) in PEERS.items():
        python = CACHE / name / "bin" / "python"
        if python.exists() or _build(title, python, packages):
            yield title, _measure(python, script)


def _build(title: str, python: Path, packages: list[str]) -> bool:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    home = python.parents[1]
    try:
        if uv is None:
            raise FileNotFoundError("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        shutil.rmtree(home, ignore_errors=True)
        print(f"!!!! NOT COMPARED with {title}: its environment cannot be built ({error}) !!!!")
        return False
    return True


def _measure(python: Path, script: str) -> Measure:
    def measure(project: str, token: str, table: int, folder: Path) -> float:
        given = [project, token, str(table), str(folder)]
        done = subprocess.run(
            [str(python), "-c", script, *given], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        rows, seconds = done.stdout.split()[-2:]
        if int(rows) != ROWS:
            raise AssertionError(f"{rows} rows")
        return float(seconds)

    return measure
