"""Other hosts and users of the machine: the sandbox and the servers of the demo are on loopback only."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from airflow_provider.sandbox.server import Sandbox, listener

ROOT = Path(__file__).parents[3]
SOURCES = sorted([*(ROOT / "airflow_provider").rglob("*.py"), *(ROOT / "dev").glob("*.py")])


def test_the_sandbox_listens_on_loopback_only() -> None:
    opened = listener(0)
    host, port = opened.getsockname()
    opened.close()
    assert (host, port > 0) == ("127.0.0.1", True)
    with Sandbox() as sandbox:
        hosts = {one.getsockname()[0] for one in sandbox._sockets}
        assert len(sandbox._sockets) == 2
    assert hosts == {"127.0.0.1"}


def test_nothing_of_the_project_listens_on_all_addresses() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"(?<![\d.])0\.0\.0\.0(?![\d.])|listen_addresses\s*=\s*'?\*", node.value)
    ]
    assert found == []


@cache
def imported(path: Path) -> set[str]:
    """Return the names of the packages that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", ["pickle", "marshal", "shelve", "yaml", "dill", "xml"])
def test_no_format_that_can_run_code_or_expand_is_read(module: str) -> None:
    """The sandbox writes XML, and reads none."""
    package = ROOT / "airflow_provider"
    found = [path for path in package.rglob("*.py") if module in imported(path)]
    assert [path for path in found if not path.is_relative_to(package / "sandbox")] == []
