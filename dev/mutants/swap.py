"""Put changed code into functions that are already imported, so that a mutant needs no import of its own."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Collection, Iterator
from types import CodeType, FunctionType

Place = tuple[str, int]
"""A function's qualified name, and its first line."""


class CannotSwapError(Exception):
    """The change needs a fresh import."""


def functions_of(paths: Collection[str]) -> dict[str, dict[Place, list[FunctionType]]]:
    """Return the living functions of modules, by path and place.

    Those that were taken out of garbage collection are put back, because Python lists them nowhere else.

    :param paths: absolute paths of the modules.
    """
    found: dict[str, dict[Place, list[FunctionType]]] = {path: defaultdict(list) for path in paths}
    gc.unfreeze()
    for function in gc.get_objects():
        if (
            type(function) is FunctionType
            and (places := found.get(function.__code__.co_filename)) is not None
        ):
            places[place(function.__code__)].append(function)
    return found


def place(code: CodeType) -> Place:
    """Return where a function's code comes from.

    :param code: the code.
    """
    return code.co_qualname, code.co_firstlineno


def nested(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of functions within a code, the code itself first.

    :param code: the outermost code.
    """
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def swap(living: dict[Place, list[FunctionType]], path: str, before: str, after: str, function: str) -> None:
    """Replace the code of living functions by that of a changed source.

    :param living: the module's functions.
    :param path: the module's path, as in its code.
    :param before: the source that was imported.
    :param after: the changed source.
    :param function: qualified name of the function that has changed.
    :raises CannotSwapError: a function has other variables than before, or none is alive.
    """
    old = compile(before, path, "exec", dont_inherit=True)
    new = compile(after, path, "exec", dont_inherit=True)
    swapped = 0
    for old_code, new_code in _pairs(old, new):
        name = old_code.co_qualname
        if name != function and not name.startswith(f"{function}.<locals>"):
            continue
        for living_function in living.get(place(old_code), ()):
            try:
                living_function.__code__ = new_code
            except ValueError as problem:
                raise CannotSwapError(str(problem)) from problem
            swapped += 1
    if not swapped:
        raise CannotSwapError(f"no function {function} is alive")


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield codes of the same function; where their number differs, the code around them holds the change."""
    yield old, new
    inner = [
        [constant for constant in code.co_consts if isinstance(constant, CodeType)] for code in (old, new)
    ]
    if [code.co_name for code in inner[0]] == [code.co_name for code in inner[1]]:
        for pair in zip(*inner, strict=True):
            yield from _pairs(*pair)
