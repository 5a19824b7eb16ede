"""Which tests may depend on versions of Python, Airflow and libraries; ``pytest --floor`` runs these only.

The rule is computed, and what it leaves out is printed:

- A test is left out when neither its module, nor a ``conftest.py`` whose fixtures it uses, nor what these
  import of the repository, directly or not, imports Airflow or a library whose version differs between the
  pairs. The sandbox does not count: its own tests run on one pair, and nearly all others run it on both.
- A test uses Airflow itself when it, or what it refers to in its module, uses an import of Airflow. Of the
  tests of a module that use it through the package only, the first one runs: all code is read and called
  there, and what calls Airflow itself has tests that do so.
- Of a test of many cases the first one runs: cases are other values, and what depends on versions are the
  calls, which its cases share. In a module about all services that imports Airflow itself all cases run:
  there they are classes, connection types or DAGs.
- A test with the mark ``slow`` is left out: it says of itself that it does not depend on versions; and one
  with the mark ``nightly``.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from dev.changed import ROOT, UNIT, imports_of
from tests.support.airflow_uses import uses_airflow
from tests.support.selection import CASES, NIGHTLY

PACKAGE, SANDBOX = ROOT / "airflow_provider", ROOT / "airflow_provider" / "sandbox"
ROOT_CONFTEST = ROOT / "tests" / "conftest.py"

ELSEWHERE = "of modules that reach neither Airflow nor a library whose version differs"
THROUGH = "further tests of modules that use Airflow through the package only"
SLOW = "marked slow"

_OWN_NAME = re.compile(r"(?:tests|airflow_provider|example_dags)(?:\.\w+)+")


def left_out(items: Sequence[pytest.Item]) -> list[str]:
    """Return for each test the reason for which the floor leaves it out; empty for one that it runs.

    :param items: the tests.
    """
    tests: dict[str, int] = {}
    modules: dict[Path, int] = {}
    for number, item in enumerate(items):
        if not (item.get_closest_marker("slow") or item.get_closest_marker("nightly")):
            tests.setdefault(item.nodeid.partition("[")[0], number)
            modules.setdefault(item.path, number)
    return [
        _reason(item, tests.get(item.nodeid.partition("[")[0]) == number, modules.get(item.path) == number)
        for number, item in enumerate(items)
    ]


def _reason(item: pytest.Item, is_first_case: bool, is_first_test: bool) -> str:
    if item.get_closest_marker("slow"):
        return SLOW
    if item.get_closest_marker("nightly"):
        return NIGHTLY
    imports_airflow = _imports_airflow(item.path)
    if imports_airflow and item.path.parent == UNIT:
        return ""
    is_user = imports_airflow and uses_airflow(item.path, _member(item))
    fixtures: dict[str, Sequence[pytest.FixtureDef[object]]] = getattr(
        getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}
    )
    if not (is_user or airflow_fixtures() & fixtures.keys()):
        homes = {Path(found.func.__code__.co_filename) for several in fixtures.values() for found in several}
        conftests = {path for path in homes if path.name == "conftest.py" and path != ROOT_CONFTEST}
        if not any(may_depend(path) for path in (item.path, *conftests)):
            return ELSEWHERE
        if not is_first_test:
            return THROUGH
    return "" if is_first_case else CASES


def _member(item: pytest.Item) -> str:
    """Return the name of a test in its module, or that of its class."""
    return item.nodeid.split("::")[1].partition("[")[0]


@cache
def may_depend(path: Path) -> bool:
    """Return whether a module imports, directly or not, Airflow or a library whose version differs.

    :param path: file of the module.
    """
    return any(
        _imports_airflow(module) or (module.is_relative_to(PACKAGE) and _top(module) & different_libraries())
        for module in reached(path)
    )


def reached(path: Path) -> set[Path]:
    """Return a module and those of the repository that it imports, directly or not, without the sandbox.

    :param path: file of the module.
    """
    found, new = {path}, [path]
    while new:
        for module in _own_imports(new.pop()) - found:
            found.add(module)
            new.append(module)
    return found


@cache
def _own_imports(path: Path) -> set[Path]:
    files = {file for name in _names(path) if (file := _file(name))}
    return {file for file in files if not file.is_relative_to(SANDBOX)}


def _file(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _names(path: Path) -> set[str]:
    """Return what a file imports, and modules that are named in texts, for other processes to import."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant))
    return imports_of(nodes).union(*(_OWN_NAME.findall(text) for text in texts if isinstance(text, str)))


@cache
def _top(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _names(path)}


def _imports_airflow(path: Path) -> bool:
    return "airflow" in _top(path)


@cache
def airflow_fixtures() -> set[str]:
    """Return the names of fixtures of all tests that import Airflow, but for those that each test uses."""
    found = set()
    for function in ast.parse(ROOT_CONFTEST.read_text()).body:
        if isinstance(function, ast.FunctionDef) and "pytest.fixture" in _decorators(function):
            modules = {node.module or "" for node in ast.walk(function) if isinstance(node, ast.ImportFrom)}
            if any(module.partition(".")[0] == "airflow" for module in modules):
                found.add(function.name)
    return found


def _decorators(function: ast.FunctionDef) -> str:
    return " ".join(
        text for node in function.decorator_list if "autouse=True" not in (text := ast.unparse(node))
    )


@cache
def different_libraries() -> frozenset[str]:
    """Return the names by which libraries are imported whose versions differ between the two pairs."""
    newest, floor = (_pins(ROOT / f"constraints{name}.txt") for name in ("", "-floor"))
    return frozenset(
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if any(newest.get(name) != floor.get(name) for name in map(_normalised, distributions))
    )


def _pins(path: Path) -> dict[str, frozenset[str]]:
    pins: dict[str, frozenset[str]] = {}
    for line in path.read_text().splitlines():
        name, _, version = line.partition(";")[0].partition("==")
        pins[_normalised(name)] = pins.get(_normalised(name), frozenset()) | {version.strip()}
    return pins


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
