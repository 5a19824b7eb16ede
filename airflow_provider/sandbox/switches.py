"""Switches: the services' settings, each with a type and a description, to list and to set by name."""

from __future__ import annotations

import inspect
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0)]
"""A duration."""
ENDLESS = 'or "inf"'
EndlessSeconds = Annotated[float, Meta(ge=0, description=f"a number of 0 or more, {ENDLESS}")]
"""A duration that may never end."""
Number = Annotated[int, Meta(ge=0)]
"""A whole number, 0 or more."""
Rate = Annotated[float, Meta(ge=0)]
"""Requests in a unit of time; 0 refuses all."""
Status = Annotated[int, Meta(ge=200, le=599)]
"""An HTTP status."""
_MOMENT = r"^(\d{4}(-\d\d(-\d\d([T ].+)?)?)?)?$"
Moment = Annotated[str, Meta(pattern=_MOMENT, description="a time as in RFC 3339, or an empty text")]
"""A time, or an empty text for none."""
Origin = Annotated[
    str, Meta(pattern=r"^https?://[^/]+$", description="an origin such as http://127.0.0.1:8900")
]
"""Scheme, host and port of a URL."""


class SwitchError(ValueError):
    """Switches that cannot be set.

    :param problems: a sentence about each of them.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


@dataclass(eq=False)
class SwitchBoard:
    """Base of a service's switches: the fields of a dataclass, described by ``:param name:`` lines."""

    aliases: ClassVar[Mapping[str, str]] = {}
    """Further names of switches."""


@dataclass(frozen=True, eq=False)
class Switch:
    """A switch of a service.

    :param owner: the service.
    :param name: name of the switch, below the service's.
    :param kind: its type.
    :param default: its value after a reset.
    :param about: what it is.
    """

    owner: Any
    name: str
    kind: Any
    default: Any
    about: str

    @property
    def value(self) -> Any:
        """The value in force."""
        return getattr(self.owner, self.name)

    def read(self, value: Any) -> Any:
        """Return a value of JSON as the switch's type.

        :raises ValueError: when it is of another type, or beyond the type's bounds.
        """
        endless = type_name(self.kind).endswith(ENDLESS)
        given = math.inf if endless and value == "inf" else value
        try:
            read = msgspec.convert(given, self.kind)
        except msgspec.ValidationError:
            read = math.nan
        if isinstance(read, float) and not (math.isfinite(read) or (endless and read > 0)):
            raise ValueError(f"must be {type_name(self.kind)}, not {json.dumps(value)}")
        return read

    def read_text(self, text: str) -> Any:
        """Return a text of the command line as the switch's type: as JSON, else as the text that it is.

        :raises ValueError: when neither is of the switch's type.
        """
        try:
            return self.read(json.loads(text))
        except ValueError:
            pass
        try:
            return self.read(text)
        except ValueError:
            raise ValueError(f"must be {type_name(self.kind)}, not {text!r}") from None

    def describe(self) -> dict[str, Any]:
        """Return the switch as ``GET /_sandbox/switches`` does."""
        return {
            "value": plain(self.value),
            "default": plain(self.default),
            "type": type_name(self.kind),
            "about": self.about,
        }


class Switches:
    """The switches of all services, by ``<service>.<name>``.

    :param services: the services by name.
    """

    def __init__(self, services: Mapping[str, Any]) -> None:
        self.services = services
        self.by_name: dict[str, Switch] = {}
        for service, owner in services.items():
            self.by_name |= {f"{service}.{name}": switch for name, switch in switches_of(owner).items()}

    def describe(self) -> dict[str, Any]:
        """Return all switches with their values, types and descriptions, by service and name."""
        out: dict[str, dict[str, Any]] = {service: {} for service in self.services}
        for name, switch in self.by_name.items():
            out[name.partition(".")[0]][switch.name] = switch.describe()
        return out

    def check(self, given: Mapping[str, Any]) -> dict[Switch, Any]:
        """Return the values to set, read as the switches' types.

        :param given: values of JSON by name; ``{"leanix": {"allowed": false}}`` is the same as
            ``{"leanix.allowed": false}``.
        :raises SwitchError: with all problems: names that do not exist, values of other types.
        """
        return self._checked(self._flat(given), as_text=False)

    def check_texts(self, given: Iterable[tuple[str, str]]) -> dict[Switch, Any]:
        """Return the values to set, from names and texts of the command line; see :meth:`check`."""
        return self._checked(list(given), as_text=True)

    def set(self, values: Mapping[Switch, Any]) -> None:
        """Set switches to values that were checked."""
        for switch, value in values.items():
            setattr(switch.owner, switch.name, value)

    def _flat(self, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
        pairs: list[tuple[str, Any]] = []
        for name, value in given.items():
            if name in self.services and isinstance(value, Mapping):
                pairs += [(f"{name}.{inner}", item) for inner, item in value.items()]
            else:
                pairs.append((name, value))
        return pairs

    def _checked(self, pairs: list[tuple[str, Any]], *, as_text: bool) -> dict[Switch, Any]:
        problems: list[str] = []
        values: dict[Switch, Any] = {}
        for name, value in pairs:
            switch = self._find(name)
            if switch is None:
                problems.append(f"{name}: there is no such switch{nearest(name, self.by_name)}")
                continue
            if switch in values:
                problems.append(f"{name}: set twice")
                continue
            try:
                values[switch] = switch.read_text(value) if as_text else switch.read(value)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise SwitchError(problems)
        return values

    def _find(self, name: str) -> Switch | None:
        service, _, inner = name.partition(".")
        aliases = getattr(self.services.get(service), "aliases", {})
        return self.by_name.get(f"{service}.{aliases.get(inner, inner)}")


def switches_of(owner: Any) -> dict[str, Switch]:
    """Return the switches of a service: the fields of its :class:`SwitchBoard` classes."""
    out: dict[str, Switch] = {}
    for board in type(owner).__mro__:
        if not issubclass(board, SwitchBoard) or "__dataclass_fields__" not in vars(board):
            continue
        hints = typing.get_type_hints(board, include_extras=True)
        about = _descriptions(board)
        for item in fields(board):
            if item.name in about and item.name not in out:
                kind = hints[item.name]
                out[item.name] = Switch(owner, item.name, kind, _default(item), about[item.name])
    return dict(sorted(out.items()))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the part of a message that names the nearest known name, else where all of them are listed."""
    names = list(known)
    same = [other for other in names if other.partition(".")[2] == name.rpartition(".")[2]]
    close = same[:1] or get_close_matches(name, names, 1, 0.6)
    return f"; the nearest is {close[0]}" if close else "; GET /_sandbox/switches lists all"


def _descriptions(board: type) -> dict[str, str]:
    """Return the sentences of a docstring's ``:param name:`` lines."""
    found = re.findall(r"^:param (\w+): (.*(?:\n +.*)*)", inspect.getdoc(board) or "", re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "") for name, text in found}


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


def plain(value: Any) -> Any:
    """Return a value as JSON has it: sets and tuples as lists, infinity as a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Any: "any value"}


def type_name(kind: Any) -> str:
    """Return a type as a person reads it: ``a number of 0 or more, or null``."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        meta = inside[1]
        return str(meta.description or type_name(inside[0]) + _bounds(meta))
    if origin is Literal:
        return "one of " + ", ".join(map(json.dumps, inside))
    if origin in {types.UnionType, typing.Union}:
        return ", or ".join("null" if item is type(None) else type_name(item) for item in inside)
    if origin in {list, set}:
        return f"a list of {type_name(inside[0])}"
    if origin is tuple:
        return f"a list [{', '.join(map(type_name, inside))}]"
    if origin is dict:
        return f"an object of {type_name(inside[1])} by name"
    return _NAMES.get(kind, str(kind))


def _bounds(meta: Meta) -> str:
    if meta.ge is None:
        return ""
    return f" of {meta.ge} or more" if meta.le is None else f" from {meta.ge} to {meta.le}"
