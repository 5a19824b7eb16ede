"""Tests that use what their module imports of Airflow, by themselves or through what else it has."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

AIRFLOW = "airflow"
"""Stands for an import within a function, and for a text that names a module of Airflow."""

_TEXT = re.compile(r"\bairflow[. ]")

Module = tuple[dict[str, set[str]], set[str]]
"""Names that each member of a module refers to, and the names that every test uses."""


def uses_airflow(path: Path, name: str) -> bool:
    """Return whether a test, or what it refers to in its module, uses an import of Airflow.

    :param path: file of the module.
    :param name: name of the test, or of its class; one that the module lacks uses all of it.
    """
    members, always = _module(path)
    found, new = set(always), [name, *always]
    while new:
        for other in members.get(new.pop(), set()) - found:
            found.add(other)
            new.append(other)
    return AIRFLOW in found or (name not in members and AIRFLOW in set().union(*members.values()))


@cache
def _module(path: Path) -> Module:
    members: dict[str, set[str]] = {}
    always: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        names = _names(node)
        for member in _bound(node):
            members[member] = members.get(member, set()) | names
        if "autouse=True" in " ".join(map(ast.unparse, getattr(node, "decorator_list", ()))):
            always |= names
    return members, always


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a module binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    for one in ast.walk(node):
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in one.names}
    return names


def _names(node: ast.stmt) -> set[str]:
    """Return the names that a statement refers to: also fixtures, by parameters or in texts."""
    names: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            names.add(one.id)
        elif isinstance(one, ast.arg):
            names.add(one.arg)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            names.add(AIRFLOW if _TEXT.search(one.value) else one.value)
        elif isinstance(one, (ast.Import, ast.ImportFrom)) and AIRFLOW in _imported(one):
            names.add(AIRFLOW)
    return names


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Return the top names of the modules that a statement imports."""
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {module.partition(".")[0] for module in modules}
