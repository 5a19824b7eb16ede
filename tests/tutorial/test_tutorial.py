"""The tutorial, followed word for word in an empty folder: its files are written, its commands run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dev.processes import Started

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.M | re.S)
_SECTION = re.compile(r"^## (\d+)\. .*$", re.M)
_MARK = "-- section {} --"

PROMISES = {
    2: ["Logged in; solution 'Nordhøj Campus'"],
    5: ["Planned: create 1 poi; update 1 room"],
    6: ["2 of 2 changes written"],
    7: ["Planned: no changes; 2 rows unchanged"],
}
"""What the pages say that the user will see, by the number of the section."""


def sections() -> dict[int, str]:
    """Return the numbered sections of the tutorial."""
    parts = _SECTION.split(TUTORIAL.read_text())[1:]
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def script(folder: Path) -> str:
    """Return the commands of all sections; a file is written where the tutorial shows it."""
    lines = ["set -e"]
    for number, text in sections().items():
        lines.append(f"echo '{_MARK.format(number)}'")
        for block in _BLOCK.finditer(text):
            if block["title"]:
                path, content = folder / block["title"], block["text"]
                lines += [f"mkdir -p {shlex.quote(str(path.parent))}"]
                lines += [f"printf %s {shlex.quote(content)} > {shlex.quote(str(path))}"]
            else:
                assert block["language"] == "sh"
                lines.append(block["text"])
        # The next plan replaces it.
        lines.append(f"test ! -e plan.html || cp plan.html plan-{number}.html")
    return "\n".join(lines)


def environment(wheels: Path) -> dict[str, str]:
    """Return the variables of a newcomer, whose index has the wheel that was just built."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    kept.pop("VIRTUAL_ENV", None)
    base = Path(sys.base_prefix) / "bin"
    links = f"{kept.get('PIP_FIND_LINKS', '')} {wheels}".strip()
    pins = str(ROOT / "constraints.txt")
    pip = {"PIP_FIND_LINKS": links, "PIP_CONSTRAINT": pins, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # Of ten thousand modules a few are imported, which compiles them.
    return kept | pip | {"PATH": f"{base}:{kept['PATH']}", "PIP_NO_COMPILE": "1"}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, str]]:
    """Follow the tutorial; return the folder, and what each section printed."""
    folder, wheels = tmp_path_factory.mktemp("tutorial"), tmp_path_factory.mktemp("wheels")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT], check=True)
    with (folder.parent / "tutorial.log").open("w+") as log:
        started = subprocess.Popen(
            ["bash", "-c", script(folder)],
            cwd=folder,
            env=environment(wheels),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        leader = Started.of(started.pid)
        try:
            code = started.wait(timeout=500)
        finally:
            leader.stop()
        log.seek(0)
        printed = log.read()
    assert code == 0, printed
    parts = re.split(_MARK.format(r"(\d+)") + "\n", printed)[1:]
    return folder, {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def test_the_tutorial_followed_word_for_word_shows_what_it_promises(
    followed: tuple[Path, dict[int, str]],
) -> None:
    folder, printed = followed
    told = sections()
    for number, promises in PROMISES.items():
        for promise in promises:
            assert promise in told[number]
            assert promise in printed[number]
    assert "DESK-17" in (folder / "plan-5.html").read_text()


def test_each_command_of_the_tutorial_is_run() -> None:
    """A block in another language, or outside a numbered section, would not be."""
    shown = TUTORIAL.read_text()
    assert shown.count("\n```sh\n") == sum(text.count("\n```sh\n") for text in sections().values()) == 6
