"""Python interpreters of this machine; runs on any Python 3, before any package is installed."""

import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
PRINT_VERSION = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"


def check() -> None:
    """Exit with a message when the current interpreter is too old or too new."""
    found = sys.version_info[:2]
    if not OLDEST <= found <= NEWEST:
        goal = os.environ.get("GOAL") or "demo"
        sys.exit(
            f"Python 3.11, 3.12 or 3.13 is needed; {sys.executable} is Python {found[0]}.{found[1]}.\n"
            f"Name another one, for example: make {goal} PYTHON=python3.12"
        )


def candidates(version: str) -> "list[str]":
    """Return paths of possible interpreters of a version (``3.13``)."""
    places = [shutil.which("python" + version), sys.executable]
    pyenv = shutil.which("pyenv")
    if pyenv:
        folder = os.path.join(output(pyenv, "root").strip(), "versions")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        places += [os.path.join(folder, n, "bin", "python") for n in names if n.startswith(version + ".")]
    return [place for place in places if place and os.path.exists(place)]


def output(*command: str) -> str:
    """Run a command; return its output, empty when it fails."""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def find(version: str) -> str:
    """Return the path of an interpreter of a version, or exit with a message."""
    for candidate in candidates(version):
        lines = output(candidate, "-c", PRINT_VERSION).split("\n")
        if lines[0] == version:
            return lines[1]
    sys.exit(f"no Python {version} on this machine (searched PATH and pyenv)")


def find_newest() -> str:
    """Return the path of the newest supported interpreter; with ``CI=true`` that must be :data:`NEWEST`."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        try:
            return find(f"3.{minor}")
        except SystemExit:
            if os.environ.get("CI") == "true":
                raise
    return sys.executable  # which check() refuses


def say() -> None:
    """Print the version of this interpreter, and a warning when it is not the newest supported one."""
    found = sys.version_info[:2]
    print("Python {}.{}".format(*found))
    if found != NEWEST:
        print("\n!!!! NOT TESTED on Python {}.{} !!!!\n".format(*NEWEST))


if __name__ == "__main__":
    goal = sys.argv[1] if len(sys.argv) > 1 else "check"
    if goal in ("check", "say"):
        check() if goal == "check" else say()
    else:
        print(find_newest() if goal == "newest" else find(goal))
