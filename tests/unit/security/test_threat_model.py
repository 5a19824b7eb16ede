"""The threat model: each row of its tables names tests, and each test exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
ACTORS = [
    "DAG author",
    "editor of a connection",
    "viewer of Airflow's UI",
    "service",
    "author of a row",
    "host on the network",
    "users of the machine",
]


def rows() -> list[list[str]]:
    """Return the cells of each row, without the heads of the tables."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] not in ("Must not happen", "---")]


def named() -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE)


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize("row", rows(), ids=lambda row: re.sub(r"\W+", "-", row[0])[:50])
def test_each_row_says_how_it_is_held_and_names_a_test(row: list[str]) -> None:
    assert len(row) == 3
    assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`(, `tests/[\w/]+\.py::test_\w+`)*", row[2])


@pytest.mark.parametrize("test", sorted(set(named())))
def test_each_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in functions(path)


def test_each_actor_has_a_table() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    for actor in ACTORS:
        (heading,) = [heading for heading in headings if actor in heading]
        section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert section.count("\n| ") > 3


def test_each_test_of_this_folder_has_a_row() -> None:
    ours = {"test_threat_model.py", "test_tools.py"}
    folder = Path(__file__).parent
    for path in sorted(folder.glob("test_*.py")):
        if path.name not in ours:
            found = {test for test in named() if test.startswith(f"tests/unit/security/{path.name}::")}
            assert found, f"{path.name} is in no row"
