"""Release: all of it but the upload, into ``dist``; ``make release-check`` runs it."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dev import interpreters

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
PAIRS = {"3.11": "constraints-floor.txt", "3.12": "constraints.txt", "3.13": "constraints.txt"}
"""Versions of Python that the wheel is installed on, with the pins of its dependencies."""

IMPORTS = """
from importlib import import_module
from airflow_provider.provider_info import get_provider_info
info = get_provider_info()
kinds = ("operators", "sensors", "hooks", "triggers")
modules = {module for kind in kinds for entry in info[kind] for module in entry["python-modules"]}
modules |= {"airflow_provider." + name for name in ("assets", "check", "errors")}
for module in sorted(modules):
    import_module(module)
print(len(modules), "modules imported")
"""
"""Source of a program that imports what users import, without any extra."""


class ReleaseError(RuntimeError):
    """A release would be wrong; the message says why."""


def section(changelog: str, version: str) -> str:
    """Return the section of a version in the changelog.

    :param version: such as ``0.2.0``; a version between releases has the section "Unreleased".
    :raises ReleaseError: when there is none, or it is empty.
    """
    title = version if re.fullmatch(r"\d+\.\d+\.\d+", version) else "Unreleased"
    pattern = rf"^## \[{re.escape(title)}\][^\n]*\n(.*?)(?=^## \[|\Z)"
    found = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if not found or not found.group(1).strip():
        raise ReleaseError(f"CHANGELOG.md has no section [{title}] with an entry")
    return found.group(1).strip() + "\n"


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]


def check_tag(tag: str | None, version: str) -> None:
    """Check that a version is that of a tag.

    :param tag: such as ``v0.2.0``; None for a dry run, where any version will do.
    :raises ReleaseError: when they differ.
    """
    if tag is not None and tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, but the built version is {version}")


def build(folder: Path) -> Path:
    """Build the source distribution, and from it the wheel; return the wheel's path."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(str(BIN / "uv"), "build", "--quiet", "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    _run(str(BIN / "twine"), "check", "--strict", *map(str, [wheel, *folder.glob("*.tar.gz")]))
    return wheel


def install(wheel: Path, python: str, constraints: str, environment: Path) -> str:
    """Install a wheel in an empty environment, import what users import, and return what that printed."""
    _run(str(BIN / "uv"), "venv", "--quiet", "--clear", "--python", python, str(environment))
    inner = str(environment / "bin" / "python")
    pins = ["--constraint", str(ROOT / constraints)]
    _run(str(BIN / "uv"), "pip", "install", "--quiet", "--python", inner, *pins, str(wheel))
    return _run(inner, "-c", IMPORTS, cwd=environment)


def write_bill(environment: Path, wheel: Path) -> Path:
    """Write the software bill of materials of what an environment has installed; return its path."""
    bill = wheel.with_name("sbom.cdx.json")
    pinned = ["--constraints", str(ROOT / "constraints.txt"), "--from", "cyclonedx-bom"]
    program = [str(BIN / "uv"), "tool", "run", "--quiet", *pinned, "cyclonedx-py", "environment"]
    _run(*program, "--output-reproducible", "--output-file", str(bill), str(environment / "bin" / "python"))
    return bill


def check_workflows() -> None:
    """Check the workflows for what an attacker could use."""
    _run(str(BIN / "zizmor"), "--offline", "--quiet", str(ROOT / ".github" / "workflows"))


def _run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def main(tag: str | None) -> None:
    """Build and check everything that a release uploads."""
    check_workflows()
    wheel = build(DIST)
    version = version_of(wheel)
    check_tag(tag, version)
    (DIST / "release-notes.md").write_text(section((ROOT / "CHANGELOG.md").read_text(), version))
    for number, constraints in PAIRS.items():
        environment = ROOT / "build" / f"release-{number}"
        imported = install(wheel, interpreters.find(number), constraints, environment)
        print(f"Python {number}: {imported}", flush=True)
    write_bill(environment, wheel)
    print(f"{version} can be released: {', '.join(sorted(path.name for path in DIST.iterdir()))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", help="the tag that the version must have, such as v0.2.0")
    try:
        main(parser.parse_args().tag)
    except ReleaseError as error:
        sys.exit(str(error))
