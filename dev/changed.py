"""Changed files: which tests matter for them; ``make check`` runs these tests."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "tests" / "unit"
ALWAYS = tuple(UNIT / f"test_{name}.py" for name in ("docs", "docstrings", "language", "layout"))
"""Tests of all files: they take a few seconds."""

BASES = ("origin/main", "HEAD")
"""Commits with which the files are compared: the first that is there."""


def changed_files() -> set[Path]:
    """Return the files that differ from what is pushed, those that git does not know yet among them."""
    base = next((base for base in BASES if _git("rev-parse", "--verify", "--quiet", base)), "HEAD")
    names = _git("diff", "--name-only", "--merge-base", base) + _git(
        "ls-files", "--others", "--exclude-standard"
    )
    return {ROOT / name for name in names}


def find_tests(changed: Iterable[Path]) -> list[Path]:
    """Return the test modules that matter for some files.

    These are modules that have changed, those that import a module that has changed, and those of its name in
    the folder that mirrors its own; and always those of all files.

    :param changed: the files.
    """
    files = set(changed)
    names = {name for path in files if (name := module_name(path))}
    mirrors = {mirror(path) for path in files}
    tests = [
        path for path in sorted(UNIT.rglob("test_*.py")) if path in files | mirrors or imports(path) & names
    ]
    return sorted({*ALWAYS, *tests})


def module_name(path: Path) -> str:
    """Return the name by which a file of the repository is imported; empty for files that are no modules."""
    if path.suffix != ".py" or not path.is_relative_to(ROOT):
        return ""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def mirror(path: Path) -> Path:
    """Return the test module that a module of the package or of ``dev`` would have in the unit tests."""
    parts = path.relative_to(ROOT).parts
    folders = parts[1:-1] if parts[0] == "airflow_provider" else parts[:-1]
    return UNIT.joinpath(*folders, f"test_{path.stem}.py")


def imports(path: Path) -> set[str]:
    """Return the names of modules that a file imports, also within functions; names in them count, too."""
    return imports_of(ast.walk(ast.parse(path.read_text())))


def imports_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names of modules that nodes of a file import; names in them count, too."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1]


if __name__ == "__main__":
    print(*(path.relative_to(ROOT) for path in find_tests(changed_files())))
