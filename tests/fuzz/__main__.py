"""``python -m tests.fuzz``: run fuzz targets with atheris, one after the other, and print a table."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

FOLDER = Path("build/fuzz")


def main() -> int:
    """Run the targets; return 1 when a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="seconds for each target")
    parser.add_argument("--target", action="append", help="a target's name; may be repeated")
    options = parser.parse_args()
    chosen = options.target or list(TARGETS)
    if unknown := [name for name in chosen if name not in TARGETS]:
        parser.error(f"{', '.join(unknown)}: the targets are {', '.join(TARGETS)}")
    rows = [_run(TARGETS[name], options.seconds) for name in chosen]
    print("\n| Target | Inputs | Edges | Seconds | Faults |\n| --- | ---: | ---: | ---: | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return int(any(row[-1] != "none" for row in rows))


def _run(target: Target, seconds: int) -> tuple[str, ...]:
    name = target.name
    folder = FOLDER / name
    faults, corpus = folder / "faults", folder / "corpus"
    for path in (faults, corpus):
        path.mkdir(parents=True, exist_ok=True)
    known = {path.name for path in faults.iterdir()}
    log = folder / "log.txt"
    began = time.monotonic()
    with log.open("wb") as out:
        arguments = [name, str(seconds), str(corpus), str(faults), *target.instrumented]
        command = [sys.executable, "-m", "tests.fuzz.driver", *arguments]
        code = subprocess.run(command, stdout=out, stderr=out, check=False).returncode
    text = log.read_text(errors="replace").splitlines()
    inputs, edges = _statistics(text)
    found = sorted(path.name for path in faults.iterdir() if path.name not in known)
    if code and not found:
        found = [f"exit code {code}, see {log}"]
    return name, inputs, edges, f"{time.monotonic() - began:.0f}", ", ".join(found) or "none"


def _statistics(lines: list[str]) -> tuple[str, str]:
    """Return the number of inputs, and of covered edges, from libFuzzer's last line of each."""
    inputs = edges = ""
    for line in lines:
        words = line.split()
        if line.startswith("#") and "cov:" in words:
            inputs, edges = words[0].strip("#"), words[words.index("cov:") + 1]
        if line.startswith("Done "):
            inputs = words[1]
    return f"{int(inputs or 0):,}", f"{int(edges or 0):,}"


if __name__ == "__main__":
    sys.exit(main())
