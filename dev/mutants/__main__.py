"""Command line of `make mutants`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dev.mutants.areas import AREAS, ROOT
from dev.mutants.report import LEAST, score, write_page
from dev.mutants.results import Results

BUILD = ROOT / "build" / "mutants"
TREE, TEMP, RESULTS = BUILD / "tree", BUILD / "tmp", BUILD / "results.jsonl"
COPIED = ("airflow_provider", "dev", "docs", "example_dags", "tests", "pyproject.toml", "README.md")
UNPACKED = (".redis", ".postgres", ".mariadb", ".mosquitto")
"""Folders of servers, which are used in place."""


def copy_tree() -> None:
    """Copy what the tests need, so that a mutant's file can be changed on disk."""
    known = set()
    for name in COPIED:
        for source in sorted((ROOT / name).rglob("*")) if (ROOT / name).is_dir() else [ROOT / name]:
            if source.is_file() and "__pycache__" not in source.parts:
                target = TREE / source.relative_to(ROOT)
                known.add(target)
                if not _is_copy(source, target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target)
    for path in TREE.rglob("*"):
        if path.is_file() and not path.is_symlink() and path not in known and path.suffix != ".pyc":
            path.unlink()
    for name in UNPACKED:
        (ROOT / name).mkdir(exist_ok=True)
        if not (TREE / name).exists():
            (TREE / name).symlink_to(ROOT / name)


def _is_copy(source: Path, target: Path) -> bool:
    """Return whether a file was copied already; a change that was left behind has another time."""
    if not target.exists():
        return False
    first, second = source.stat(), target.stat()
    return (first.st_mtime_ns, first.st_size) == (second.st_mtime_ns, second.st_size)


def run(area: str, size: int, seed: str, budget: float) -> int:
    """Run one area in a process of pytest; return its exit status."""
    temporary = TEMP / area
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    job = {"area": area, "size": size, "seed": seed, "budget": budget, "results": str(RESULTS)}
    env = {**os.environ, "MUTANTS_JOB": json.dumps(job), "TMPDIR": str(temporary), "PYTHONPATH": str(TREE)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-p", "dev.mutants.session", *AREAS[area].test_paths()]
    try:
        return subprocess.run(command, cwd=TREE, env=env, check=False).returncode
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def report(areas: list[str], size: int, seed: str, write: Path | None) -> int:
    """Print the score of areas, and write the page of all samples; return 1 when one is too low."""
    results = Results(RESULTS)
    scores = [score(area, results, size, seed) for area in areas]
    for one in scores:
        missing = f", {one.not_run} not run" if one.not_run else ""
        print(f"{one.area:12} {one.percent:5.1f} % of {one.size} of {one.total} mutants{missing}")
    if write:
        write_page(write, results)
    low = [one.area for one in scores if one.percent < LEAST or one.not_run]
    if low:
        print(f"Below {LEAST} %, or not complete: {', '.join(low)}", file=sys.stderr)
    return 1 if low else 0


def main() -> int:
    """Run the areas that are asked for, and report."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--area", action="append", choices=sorted(AREAS), help="one area; all by default")
    parser.add_argument("--sample", type=int, default=0, help="mutants an area; all by default")
    parser.add_argument("--seed", default="1", help="decides which mutants a sample has")
    parser.add_argument("--seconds", type=float, default=30, help="tests of one mutant take no longer")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--report", action="store_true", help="run nothing, report what was run")
    parser.add_argument("--write", type=Path, help="page that the tables are written to")
    arguments = parser.parse_args()
    areas = arguments.area or list(AREAS)
    if not hasattr(sys, "monitoring"):
        print(
            "Python 3.12 or later is needed: earlier ones cannot say which lines a test runs", file=sys.stderr
        )
        return 2
    if arguments.fresh:
        RESULTS.unlink(missing_ok=True)
    if not arguments.report:
        copy_tree()
        for area in areas:
            if run(area, arguments.sample, arguments.seed, arguments.seconds):
                return 1
    return report(areas, arguments.sample, arguments.seed, arguments.write)


if __name__ == "__main__":
    sys.exit(main())
