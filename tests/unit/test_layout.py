"""The rules that the README gives for the code's layout."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # layout does not depend on versions

PACKAGE = Path(__file__).resolve().parents[2] / "airflow_provider"
TESTS = PACKAGE.parent / "tests"
VENDORS = {"mapsindoors", "amigocloud", "iotstudio", "leanix"}
NAMES = re.compile("mapsindoors|mapspeople|amigo|iot ?studio|altair|leanix", re.IGNORECASE)
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
LINES = 500
"""A longer module holds more than one idea."""

MOST_MODULES = 14
"""Modules beside ``__init__`` in one folder; more of them are two capabilities."""

FUNCTION_LINES = 40
"""A longer function does more than one thing; its docstring and its parameters do not count."""

ABOVE = {
    "api": {"hooks", "operators", "sensors", "triggers"},
    "hooks": {"operators", "sensors", "triggers"},
    "triggers": {"operators", "sensors"},
    "operators": {"sensors"},
    "sensors": {"operators"},
}


@cache
def imports(module: str) -> frozenset[str]:
    """Give the modules of the package that a module imports, inside of functions too."""
    named = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports by a relative name"
            named |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    ours = {name.removeprefix("airflow_provider.") for name in named}
    return frozenset(found for name in ours for found in (name, f"{name}.__init__") if found in MODULES)


def reached(module: str) -> set[str]:
    """Give the modules that a module gets to over any number of imports."""
    found: set[str] = set()
    left = {module}
    while left:
        new = imports(left.pop()) - found
        found |= new
        left |= new
    return found


def crossings(kept_apart: set[str]) -> list[tuple[str, str]]:
    """Give the imports that lead from one of these packages into another of them."""
    return [
        (module, other)
        for module in MODULES
        for other in imports(module)
        if (mine := module.split(".")[0]) != (theirs := other.split(".")[0])
        if {mine, theirs} <= kept_apart
    ]


def test_imports_are_seen() -> None:
    assert {"leanix.api", "core.http.sync_transport", "errors"} <= reached("leanix.operators")


def test_no_vendors_package_imports_another() -> None:
    assert crossings(VENDORS) == []


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_the_core_imports_no_vendors_package(vendor: str) -> None:
    assert [pair for pair in crossings({"core", vendor}) if pair[0].startswith("core.")] == []


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_the_warehouse_and_a_vendors_package_import_nothing_of_each_other(vendor: str) -> None:
    assert crossings({"warehouse", vendor}) == []


def test_the_core_imports_nothing_of_the_warehouse() -> None:
    assert [pair for pair in crossings({"core", "warehouse"}) if pair[0].startswith("core.")] == []


@pytest.mark.parametrize("package", ["core", "warehouse"])
def test_the_core_and_the_warehouse_name_no_vendor(package: str) -> None:
    core = {module: path.read_text() for module, path in MODULES.items() if module.startswith(f"{package}.")}
    assert {module: found for module, text in core.items() if (found := NAMES.findall(text))} == {}


def test_the_emulator_and_what_it_tests_import_nothing_of_each_other() -> None:
    rest = {module.split(".")[0] for module in MODULES} - {"sandbox"}
    assert [pair for other in rest for pair in crossings({"sandbox", other})] == []


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_arrows_point_down_only(vendor: str) -> None:
    upward = {
        low: found
        for low, above in ABOVE.items()
        if (found := reached(f"{vendor}.{low}") & {f"{vendor}.{high}" for high in above})
    }
    assert upward == {}


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Return the nodes of a graph that lie on a circle, or between two circles."""
    left = {node: set(others) & arrows.keys() for node, others in arrows.items()}
    while True:
        pointed_at = set().union(*left.values()) if left else set()
        ends = {node for node, others in left.items() if not others or node not in pointed_at}
        if not ends:
            return sorted(left)
        left = {node: others - ends for node, others in left.items() if node not in ends}


def children(folder: str) -> dict[str, set[str]]:
    """Return what lies in a folder, modules and sub-folders, each with those of them that it imports."""
    prefix = f"{folder}." if folder else ""

    def child(module: str) -> str:
        return module.removeprefix(prefix).split(".")[0]

    arrows: dict[str, set[str]] = {}
    for module in MODULES:
        if module.startswith(prefix) and child(module) != "__init__":
            others = {child(other) for other in imports(module) if other.startswith(prefix)}
            arrows.setdefault(child(module), set()).update(others - {child(module), "__init__"})
    return arrows


FOLDERS = sorted({module.rpartition(".")[0] for module in MODULES})


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_modules_form_no_circle() -> None:
    assert circles({module: set(imports(module)) for module in MODULES}) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_and_sub_folders_of_a_folder_form_no_circle(folder: str) -> None:
    assert circles(children(folder)) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_holds_few_modules(folder: str) -> None:
    inside = [module for module in MODULES if module.rpartition(".")[0] == folder]
    assert len([module for module in inside if not module.endswith("__init__")]) <= MOST_MODULES


@pytest.mark.parametrize(
    "folder", [folder for folder in FOLDERS if "." in folder and "sandbox" not in folder]
)
def test_the_init_of_a_folder_holds_a_docstring_only(folder: str) -> None:
    tree = ast.parse(MODULES[f"{folder}.__init__"].read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_no_module_is_too_long_to_hold_one_idea() -> None:
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: count for module, count in lines.items() if count > LINES} == {}


def test_no_function_is_too_long_to_be_read_at_a_glance() -> None:
    long = {
        f"{module}.{node.name}": lines
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (lines := body_lines(node))
        if lines > FUNCTION_LINES
    }
    assert long == {}


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[1:2] if ast.get_docstring(node) else node.body[:1]
    return (node.end_lineno or 0) - first[0].lineno + 1 if first else 0


def test_no_test_sets_the_clock_of_the_whole_process() -> None:
    """The sandbox's loop runs on it, in a thread of its own; ``set_in_module`` sets that of one module.

    The test of two hosts may: its step of less than a second, onwards, hurts no loop.
    """
    clock = re.compile(r"""setattr\((time, "|["'][\w.]+\.time\.)(monotonic|time|sleep|perf_counter)""")
    found = {
        f"{path.name}:{number}"
        for path in TESTS.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if clock.search(line) and path.name != "test_redis_store.py"
    }
    assert found == set()
