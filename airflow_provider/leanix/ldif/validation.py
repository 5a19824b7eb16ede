"""LDIF validation: problems found before sending, because the service ignores many of them silently."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.core.http.reply import truncate
from airflow_provider.errors import InputError

KEY_FIELDS = ("connectorType", "connectorId", "connectorVersion", "processingDirection", "processingMode")
"""Header fields that together select a processor configuration."""

REQUIRED_FIELDS = KEY_FIELDS[:4]
"""Key fields without a default."""

DIRECTIONS = ("inbound", "outbound")
"""Values of the header field ``processingDirection``."""

MODES = ("partial", "full")
"""Values of the header field ``processingMode``."""

MAX_TEXT_LENGTH = 500
"""Maximum characters of a header field."""

KNOWN_FIELDS = (
    *KEY_FIELDS,
    "lxVersion",
    "lxWorkspace",
    "description",
    "customFields",
    "chunkInformation",
    "content",
)
"""Top-level fields of an LDIF in the vendor's OpenAPI file."""

_ITEM_FIELDS = ("type", "id", "data")

_MAX_PROBLEMS = 100
"""Maximum problems collected per LDIF."""


def header_problems(header: Mapping[str, Any]) -> list[str]:
    """Return the problems of an LDIF's header, one sentence each."""
    inbound = header.get("processingDirection") == "inbound"
    required = (*REQUIRED_FIELDS, "lxVersion") if inbound else REQUIRED_FIELDS
    problems = [f"header field '{name}' is missing or empty" for name in required if not header.get(name)]
    for name, value in header.items():
        if name not in KNOWN_FIELDS:
            problems += misspelled_field(name)
        elif name not in ("customFields", "chunkInformation", "content"):
            problems += _text_problems(name, value)
    problems += _choice_problems(header, "processingDirection", DIRECTIONS)
    problems += _choice_problems(header, "processingMode", MODES)
    if header.get("processingDirection") == "outbound" and header.get("processingMode") == "full":
        problems.append("header field 'processingMode' must be partial in an outbound run")
    return problems


def validate_ldif(ldif: Mapping[str, Any]) -> None:
    """Validate a whole LDIF against the rules of the service, and for fields it would ignore.

    :raises InputError: with every problem at once.
    """
    if not isinstance(ldif, Mapping):
        raise InputError(f"must be a JSON object, not {type(ldif).__name__}", "the LDIF")
    problems = header_problems(ldif)
    content = ldif.get("content", [])
    if isinstance(content, list):
        validator = ItemValidator()
        for number, item in enumerate(content, start=1):
            validator.validate(number, item)
        problems += validator.problems
    else:
        problems.append(f"'content' must be a list, not {type(content).__name__}")
    if problems:
        raise InputError(problems, "the LDIF")


class HashSet:
    """A set of hashes that takes 11 to 24 bytes per value, a fifth of a ``set``.

    An LDIF may have millions of items. Open addressing with linear probing; zero marks a free slot.
    """

    def __init__(self) -> None:
        self._count = 0
        self._slots = array("q", bytes(8 * 1024))

    def add(self, value: object) -> bool:
        """Add a value; return whether it is new."""
        if self._count * 4 >= len(self._slots) * 3:
            self._grow()
        return self._insert(hash(value) or 1)

    def _insert(self, digest: int) -> bool:
        slots, mask = self._slots, len(self._slots) - 1
        at = digest & mask
        while slots[at]:
            if slots[at] == digest:
                return False
            at = (at + 1) & mask
        slots[at] = digest
        self._count += 1
        return True

    def _grow(self) -> None:
        old, self._slots, self._count = self._slots, array("q", bytes(16 * len(self._slots))), 0
        for digest in old:
            if digest:
                self._insert(digest)


@dataclass
class ItemValidator:
    """Validator of an LDIF's items, one by one.

    :param problems: the first hundred problems, one sentence each.
    """

    problems: list[str] = field(default_factory=list)
    _seen: HashSet = field(default_factory=HashSet, repr=False)

    def validate(self, number: int, item: Any) -> None:
        """Validate an item of an inbound run's content.

        :param number: the item's number, for its problems.
        """
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems += [f"item {number}{_item_label(item)}: {text}" for text in self._problems(item)]

    def _problems(self, item: Any) -> Iterator[str]:
        if not isinstance(item, Mapping):
            yield f"must be an object, not {type(item).__name__}"
            return
        trigger = item.get("type") == "" and item.get("id") == "" and item.get("data") == {}
        if trigger:  # the documented way to start a run that only exports
            return
        for name in ("type", "id"):
            if not isinstance(item.get(name), str) or not item[name]:
                yield f"'{name}' must be a text that is not empty"
        if not isinstance(item.get("data"), Mapping):
            yield "'data' must be an object"
        if unknown := [name for name in item if name not in _ITEM_FIELDS]:
            yield f"has fields besides type, id and data, which the service ignores: {', '.join(unknown)}"
        if not self._seen.add((str(item.get("type")), str(item.get("id")))):
            yield "the same type and id occurred before"


def lower(value: Any) -> Any:
    """Return a text in lower case, and any other value unchanged."""
    return value.lower() if isinstance(value, str) else value


def _item_label(item: Any) -> str:
    name = item.get("id") if isinstance(item, Mapping) else None
    return f" ({truncate(str(name), 60)})" if name else ""


def misspelled_field(name: str) -> list[str]:
    """Return the problem of a field that the service would ignore because its name is misspelled."""
    plain = name.lower().replace("_", "").removesuffix("s")
    meant = next(
        (known for known in KNOWN_FIELDS if known.lower().removesuffix("s") == plain and known != name), None
    )
    return (
        [f"field '{name}' is unknown to the service, which would ignore it; '{meant}' is meant"]
        if meant
        else []
    )


def _text_problems(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str):
        return [f"header field '{name}' must be a text, not {type(value).__name__}"]
    if len(value) > MAX_TEXT_LENGTH:
        return [f"header field '{name}' has {len(value)} characters, more than the {MAX_TEXT_LENGTH} allowed"]
    return []


def _choice_problems(header: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> list[str]:
    value = header.get(name)
    if not value or lower(value) in allowed:
        return []
    return [f"header field '{name}' must be {' or '.join(allowed)}, not {value!r}"]
