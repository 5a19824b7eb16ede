"""JSON Patch (RFC 6902), as far as descriptions of Things need it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class PatchError(ValueError):
    """A patch that cannot be applied."""


def apply_patch(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """Return a changed copy of a document; raise ``PatchError`` when any operation fails."""
    if not isinstance(operations, list):
        raise PatchError("a patch is a list of operations")
    result = copy.deepcopy(document)
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in tuple(_OPERATIONS):
            raise PatchError("malformed operation")
        try:
            _OPERATIONS[operation["op"]](result, operation)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchError(f"{operation['op']} {operation.get('path')!r} cannot be applied") from error
    return result


def _parent(document: Any, pointer: str) -> tuple[Any, Any]:
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    *steps, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    for step in steps:
        document = document[_key(document, step)]
    return document, _key(document, last)


def _key(container: Any, step: str) -> Any:
    if isinstance(container, list):
        return len(container) if step == "-" else int(step)
    return step


def _value(document: Any, pointer: str) -> Any:
    parent, key = _parent(document, pointer)
    return parent[key]


def _add(document: Any, operation: dict[str, Any]) -> None:
    _put(document, operation["path"], operation["value"])


def _put(document: Any, pointer: str, value: Any) -> None:
    parent, key = _parent(document, pointer)
    if isinstance(parent, list):
        parent.insert(key, value)
    else:
        parent[key] = value


def _remove(document: Any, operation: dict[str, Any]) -> None:
    parent, key = _parent(document, operation["path"])
    del parent[key]


def _replace(document: Any, operation: dict[str, Any]) -> None:
    parent, key = _parent(document, operation["path"])
    parent[key]  # must be there
    parent[key] = operation["value"]


def _move(document: Any, operation: dict[str, Any]) -> None:
    value = _value(document, operation["from"])
    _remove(document, {"path": operation["from"]})
    _put(document, operation["path"], value)


def _copy(document: Any, operation: dict[str, Any]) -> None:
    _put(document, operation["path"], copy.deepcopy(_value(document, operation["from"])))


def _test(document: Any, operation: dict[str, Any]) -> None:
    if _value(document, operation["path"]) != operation["value"]:
        raise ValueError("test failed")


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
