"""Docstrings describe every parameter of the public interface."""

from __future__ import annotations

from importlib import import_module
from inspect import Parameter, isclass, isfunction, signature
from typing import Any

import pytest

from airflow_provider import assets, errors
from airflow_provider.core.hook import ApiHook
from tests.support.import_cost import KINDS, PACKAGES, VENDORS, public_modules

MODULES = [name for name in public_modules() if name.rpartition(".")[2] in KINDS]
CALLED_BY_AIRFLOW = {"convert_to_openlineage"}


def undescribed(callable_: Any, *docstrings: str | None) -> list[str]:
    described = "\n".join(docstring or "" for docstring in docstrings)
    variable = {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    names = [one.name for one in signature(callable_).parameters.values() if one.kind not in variable]
    return [name for name in names if name != "self" and f":param {name}:" not in described]


def ours(kind: type) -> list[type]:
    """Return a class and its bases in this package."""
    return [one for one in kind.__mro__ if one.__module__.startswith("airflow_provider.")]


def public(module: str, what: Any) -> list[Any]:
    """Return the public objects of a module, defined in it or in a module beside it."""
    found = [one for name, one in vars(import_module(module)).items() if what(one) and name[0] != "_"]
    return [one for one in found if one.__module__.split(".")[:2] == module.split(".")[:2]]


def kind_of(one: type) -> str:
    """Return the kind of a class: the last word of its name."""
    return next(
        (kind for kind in ("Hook", "Operator", "Sensor", "Trigger") if one.__name__.endswith(kind)), ""
    )


CLASSES = {
    one.__name__: one
    for module in MODULES
    for one in public(module, isclass)
    if kind_of(one) and one.__module__.split(".")[1] in PACKAGES
}
HOOKS = {name: one for name, one in CLASSES.items() if kind_of(one) == "Hook"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_describes_its_arguments(name: str) -> None:
    kinds = [kind for kind in ours(CLASSES[name]) if "__init__" in vars(kind)]
    left = {kind: undescribed(kind.__init__, *(one.__doc__ for one in ours(kind))) for kind in kinds}
    assert {kind: names for kind, names in left.items() if names} == {}


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_describes_the_arguments_of_its_methods(name: str) -> None:
    methods = [
        one
        for kind in ours(HOOKS[name])
        for attribute, one in vars(kind).items()
        if kind is not ApiHook
        if isfunction(one) and not attribute.startswith("_") and not hasattr(ApiHook, attribute)
    ]
    assert methods
    assert {one.__name__: left for one in methods if (left := undescribed(one, one.__doc__))} == {}


def test_an_error_describes_its_arguments() -> None:
    kinds = [one for one in public(errors.__name__, isclass) if "__init__" in vars(one)]
    left = {one.__name__: undescribed(one.__init__, *(base.__doc__ for base in ours(one))) for one in kinds}
    assert {name: names for name, names in left.items() if names} == {}
    assert "RunFailedError" in left


def test_functions_that_name_assets_describe_their_arguments() -> None:
    functions = [one for one in public(assets.__name__, isfunction) if one.__name__ not in CALLED_BY_AIRFLOW]
    assert {one.__name__: left for one in functions if (left := undescribed(one, one.__doc__))} == {}
    assert len(functions) > len(VENDORS)
