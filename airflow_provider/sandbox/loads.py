"""Loads: large amounts of generated data, the same in every process, by the name of a service and a kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from airflow_provider.sandbox.switches import Switch, SwitchBoard, SwitchError, switches_of

FIRST = ""
"""Name of a load's first argument on the command line, which has no name there."""

Seed = Annotated[int, Meta(ge=0, le=1_000_000)]
"""A number from which data is generated: equal seeds make equal data."""


@dataclass(eq=False)
class Load(SwitchBoard):
    """Base of a load: its fields are the arguments, described by ``:param name:`` lines."""

    kind: ClassVar[str]
    """Name of the load, and of its first argument, which must be given."""

    also: ClassVar[str] = ""
    """A further name of the load."""

    @abstractmethod
    def run(self, service: Any) -> dict[str, Any]:
        """Add the data to a service; return what was added as JSON."""

    def problems(self, service: Any) -> list[str]:
        """Return a sentence about each reason why a service cannot take the data."""
        return []


@dataclass(frozen=True)
class Request:
    """A load that was checked, with its service."""

    service: Any
    load: Load

    def run(self) -> dict[str, Any]:
        """Add the data; return what was added as JSON."""
        return self.load.run(self.service)


def read_load(
    services: Mapping[str, Any], name: str, given: Mapping[str, Any], *, as_text: bool = False
) -> Request:
    """Return a load that can be run.

    :param name: service and kind, ``amigocloud.rows``.
    :param given: the arguments, by name.
    :param as_text: whether the arguments are texts of the command line.
    :raises SwitchError: with all problems: names that do not exist, arguments of other types.
    """
    service, kind = _find(services, name)
    load = kind()
    given = {load.kind if key == FIRST else key: value for key, value in given.items()}
    arguments = switches_of(load)
    problems = [
        f"{name}: there is no argument {unknown}{_nearest(unknown, arguments)}"
        for unknown in sorted(set(given) - set(arguments))
    ]
    if load.kind not in given:
        problems.append(f"{name}: {load.kind} is required: {arguments[load.kind].about}")
    for argument in sorted(set(given) & set(arguments)):
        try:
            setattr(load, argument, _read(arguments[argument], given[argument], as_text))
        except ValueError as error:
            problems.append(f"{name}: {argument} {error}")
    problems = problems or [f"{name}: {text}" for text in load.problems(service)]
    if problems:
        raise SwitchError(problems)
    return Request(service, load)


def parse_load(text: str) -> tuple[str, dict[str, str]]:
    """Return name and arguments of a load on the command line: ``amigocloud.rows=1000000,dataset=3001``.

    :raises SwitchError: when it has another form.
    """
    name, equals, rest = text.partition("=")
    parts = [part.strip() for part in rest.split(",")]
    pairs = [(FIRST, parts[0]), *(tuple(part.split("=", 1)) for part in parts[1:])]
    if not equals or not parts[0] or any(len(pair) != 2 for pair in pairs):
        raise SwitchError(
            [f"{text}: must be SERVICE.KIND=COUNT, further arguments after commas as NAME=VALUE"]
        )
    return name, {str(key): str(value) for key, value in pairs}


def load_kinds(services: Mapping[str, Any]) -> dict[str, type[Load]]:
    """Return all loads by ``<service>.<kind>``."""
    return {f"{name}.{load.kind}": load for name, service in services.items() for load in service.loads}


def describe_loads(services: Mapping[str, Any]) -> dict[str, Any]:
    """Return all loads with the types and descriptions of their arguments."""
    out: dict[str, Any] = {}
    for name, load in load_kinds(services).items():
        described = {key: argument.describe() for key, argument in switches_of(load()).items()}
        out[name] = {
            key: {field: about[field] for field in ("default", "type", "about")}
            for key, about in described.items()
        }
    return out


def _find(services: Mapping[str, Any], name: str) -> tuple[Any, type[Load]]:
    kinds = load_kinds(services)
    owner = name.partition(".")[0]
    further = {f"{other.partition('.')[0]}.{load.also}": load for other, load in kinds.items() if load.also}
    found = kinds.get(name) or further.get(name)
    if found is None:
        raise SwitchError([f"{name}: there is no such load{_nearest(name, kinds)}"])
    return services[owner], found


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, 1, 0.5)
    return f"; the nearest is {close[0]}" if close else f"; there are {', '.join(known)}"


def _read(argument: Switch, value: Any, as_text: bool) -> Any:
    return argument.read_text(value) if as_text else argument.read(value)
