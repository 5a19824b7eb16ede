"""Docstrings as the reference shows them: all arguments of a class, those that are templated marked."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import griffe

_ROLE = re.compile(r":(class|meth|func|mod|attr|data|exc):`~?([^`]+)`")
_FIELD = re.compile(r"^:(?=param |return:|returns:|raises |type )", re.MULTILINE)
_NAME = re.compile(r"param (\w+):")
_TEMPLATED = re.compile(r"\s*\(templated\)(?=[.,;:]|$)")


def plain(text: str) -> str:
    """Return a docstring whose references are code: ``:meth:`execute``` becomes ```execute()```."""

    def code(match: re.Match[str]) -> str:
        name = match.group(2).rsplit(".", 1)[-1]
        return f"`{name}()`" if match.group(1) in {"meth", "func"} else f"`{name}`"

    return _ROLE.sub(code, text)


def fields(docstring: str) -> tuple[str, list[str]]:
    """Return the text above the fields of a docstring, and the fields without their first colon."""
    text, *found = _FIELD.split(docstring)
    return text, [field.rstrip() for field in found]


def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Return the arguments of a class and of its bases in this package, by name."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("airflow_provider.") and "__init__" in vars(base):
            taken = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
            for parameter in taken:
                if parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
                    found.setdefault(parameter.name, parameter)
            if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in taken):
                break  # It passes nothing to its bases that a caller chose.
    return found


def complete(docstring: str, cls: type) -> str:
    """Return a class's docstring with the arguments of its bases, and a mark at templated ones.

    :param docstring: the docstring, without indentation.
    :param cls: the class.
    """
    text, own = fields(docstring)
    names = {match.group(1) for field in own if (match := _NAME.match(field))}
    taken = arguments(cls)
    for base in cls.__mro__[1:]:
        if base.__module__.startswith("airflow_provider.") and base.__doc__:
            for field in fields(inspect.cleandoc(base.__doc__))[1]:
                match = _NAME.match(field)
                if match and match.group(1) in taken and match.group(1) not in names:
                    names.add(match.group(1))
                    own.append(field)
    templated = set(getattr(cls, "template_fields", ()))
    own.sort(key=lambda field: not field.startswith("param "))
    return f"{text.rstrip()}\n\n" + "".join(f":{_marked(field, templated)}\n" for field in own)


def _marked(field: str, templated: set[str]) -> str:
    match = _NAME.match(field)
    if not match or match.group(1) not in templated:
        return field
    return _TEMPLATED.sub("", field).rstrip() + " *Templated.*"


class Reference(griffe.Extension):
    """Completes the signatures and docstrings of the provider's classes."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace an object's docstring, and a class's signature."""
        if obj.docstring is None or not obj.path.startswith("airflow_provider."):
            return
        value = obj.docstring.value
        if isinstance(obj, griffe.Class):
            cls = getattr(import_module(obj.module.path), obj.name, None)
            if isinstance(cls, type) and arguments(cls):
                value = complete(value, cls)
                obj.set_member("__init__", _init(obj, cls))
        obj.docstring.value = plain(value)


def _init(obj: griffe.Class, cls: type) -> griffe.Function:
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    for parameter in sorted(arguments(cls).values(), key=lambda found: found.kind):
        default = None if parameter.default is parameter.empty else repr(parameter.default)
        parameters.append(
            griffe.Parameter(
                parameter.name,
                annotation=str(parameter.annotation),
                kind=griffe.ParameterKind(parameter.kind.description),
                default=default,
            )
        )
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters), parent=obj)
