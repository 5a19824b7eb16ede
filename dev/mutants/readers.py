"""Find tests that read what a module defines on import; comparing a constant runs no line of its module."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

from dev.mutants.swap import nested


@cache
def imported_names(file: Path, module: str) -> frozenset[str]:
    """Return the names under which a file has a module, or what it imports from it.

    :param file: the file of tests.
    :param module: the module's dotted name.
    """
    package, _, stem = module.rpartition(".")
    return frozenset(
        one.asname or one.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for one in node.names
        if node.module == module or (node.module == package and one.name == stem)
    )


def reads(test: Any, module: str) -> bool:
    """Return whether a test itself uses a name that its file imports from a module.

    :param test: the test, as pytest has collected it.
    :param module: the module's dotted name.
    """
    code = getattr(test.function, "__code__", None)
    names = imported_names(test.path, module)
    return code is not None and any(names & {*one.co_names} for one in nested(code))
