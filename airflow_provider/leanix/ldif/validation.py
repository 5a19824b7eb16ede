"""LDIF validation: problems found before sending, because the service ignores many of them silently."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import ABSENT, normal_key, shown
from airflow_provider.leanix.api import DIRECTIONS, KEY_FIELDS, MAX_TEXT_LENGTH, MODES, REQUIRED_FIELDS

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

_ITEM_FIELDS = frozenset({"type", "id", "data"})

TRIGGER: Mapping[str, Any] = {"type": "", "id": "", "data": {}}
"""The dummy item with which an inbound run is started that only writes an LDIF."""

_MAX_PROBLEMS = 10_000
"""Maximum problems of single items collected per LDIF."""

_MAX_UNKNOWN = 100
"""Maximum unknown fields of items collected per LDIF."""

_MAX_TEXT = 300
"""Maximum characters of a problem."""


CHUNK_FIELDS = ("firstDataObject", "lastDataObject", "maxDataObject")
"""Fields of ``chunkInformation``."""


def header_problems(header: Mapping[str, Any]) -> list[str]:
    """Return the problems of an LDIF's header, one sentence each."""
    inbound = header.get("processingDirection") == "inbound"
    required = (*REQUIRED_FIELDS, "lxVersion") if inbound else REQUIRED_FIELDS
    problems = [f"header field '{name}' is missing or empty" for name in required if not header.get(name)]
    for name, value in header.items():
        if name not in KNOWN_FIELDS:
            problems += unknown_field(name)
        elif name == "chunkInformation":
            problems += _chunk_problems(value)
        elif name not in ("customFields", "content"):
            problems += _text_problems(name, value, required)
    problems += _choice_problems(header, "processingDirection", DIRECTIONS)
    problems += _choice_problems(header, "processingMode", MODES)
    if header.get("processingDirection") == "outbound" and header.get("processingMode") == "full":
        problems.append("header field 'processingMode' must be partial in an outbound run")
    return problems


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


class ItemValidator:
    """Validator of an LDIF's items, one by one.

    ``problems`` are the problems of single items, one sentence each; beyond a limit they are counted.

    :param allow_duplicates: accept items with the same type and id, such as points of a metric.
    """

    def __init__(self, *, allow_duplicates: bool = False) -> None:
        self.problems: list[str] = []
        self._unknown: dict[str, int] = {}
        self._first_with: dict[str, int] = {}
        self._allow_duplicates = allow_duplicates
        self._seen = HashSet()
        self._dropped = 0

    def validate(self, number: int, item: Any) -> None:
        """Validate an item of an inbound run's content.

        :param number: the item's number, for its problems.
        """
        if self._is_new_item(item):
            return
        if isinstance(item, Mapping):
            for name in item.keys() - _ITEM_FIELDS:
                if name in self._unknown or len(self._unknown) < _MAX_UNKNOWN:
                    self._unknown[name] = self._unknown.get(name, 0) + 1
                    self._first_with.setdefault(name, number)
        self.add(number, item, self._problems(item))

    def _is_new_item(self, item: Any) -> bool:
        """Return whether an item is surely valid; a quick test, which most items pass."""
        if type(item) is not dict or len(item) != len(_ITEM_FIELDS) or type(item.get("data")) is not dict:
            return False
        type_, id_ = item.get("type"), item.get("id")
        if type(type_) is not str or type(id_) is not str or not (type_.isascii() and id_.isascii()):
            return False
        if not type_ or not id_ or type_ != type_.strip() or id_ != id_.strip():
            return False
        return self._allow_duplicates or self._seen.add((type_, id_))

    def add(self, number: int, item: Any, problems: Iterable[str]) -> None:
        """Add problems of an item, each with its number, type and id."""
        if len(self.problems) >= _MAX_PROBLEMS:
            self._dropped += len(list(problems))
            return
        head, tail = _item_label(item)
        self.problems += [truncate(f"item {number}{head}: {text}{tail}", _MAX_TEXT) for text in problems]

    def lines(self) -> list[str]:
        """Return all problems; an unknown field of many items comes first, with the number of its items."""
        unknown = [
            _unknown_item_field(name, count, self._first_with[name]) for name, count in self._unknown.items()
        ]
        dropped = [f"{self._dropped} further problems are not listed"] if self._dropped else []
        return [*unknown, *self.problems, *dropped]

    def _problems(self, item: Any) -> Iterator[str]:
        if not isinstance(item, Mapping):
            yield f"must be an object, not {type(item).__name__}"
            return
        if is_trigger(item):
            return
        type_, id_ = item.get("type"), item.get("id")
        for name, value in (("type", type_), ("id", id_)):
            if value is not ABSENT and (not isinstance(value, str) or not value.strip()):
                yield f"'{name}' must be a text that is not empty"
        if not isinstance(item.get("data"), Mapping):
            yield "'data' must be an object" if "data" in item else "'data' is missing; it must be an object"
        if ABSENT in (type_, id_) or self._allow_duplicates:
            return
        if not self._seen.add((normal_key(str(type_)), normal_key(str(id_)))):
            yield "the same type and id occurred before (allow_duplicates accepts that)"


def is_trigger(item: Any) -> bool:
    """Return whether an item is the dummy with which an inbound run is started that only writes an LDIF."""
    return isinstance(item, Mapping) and item == TRIGGER


def _item_label(item: Any) -> tuple[str, str]:
    """Return how a problem names its item: the id in front, the type at the end."""
    if not isinstance(item, Mapping):
        return "", ""
    name, kind = item.get("id"), item.get("type")
    head = f" ({truncate(_shown_text(name), 60)})" if name else ""
    return head, f" (type {truncate(_shown_text(kind), 60)})" if kind else ""


def _shown_text(value: Any) -> str:
    """Return a text as it is, and any other value cut short."""
    return value if isinstance(value, str) else shown(value)


def _unknown_item_field(name: Any, count: int, first: int) -> str:
    hint = nearest(str(name), _ITEM_FIELDS) or "; fields of the item belong into 'data'"
    items = f"item {first} has" if count == 1 else f"{count} items, the first is item {first}, have"
    return f"{items} the field {shown(name)}, which the service ignores{hint}"


def unknown_field(name: Any) -> list[str]:
    """Return the problem of a header field that the service would ignore."""
    plain = str(name).lower().replace("_", "").removesuffix("s")
    meant = next((known for known in KNOWN_FIELDS if known.lower().removesuffix("s") == plain), None)
    if meant is not None:
        return [f"field {shown(name)} is unknown to the service, which would ignore it; '{meant}' is meant"]
    hint = nearest(str(name), KNOWN_FIELDS) or "; values for processors belong into 'customFields'"
    return [f"field {shown(name)} is unknown to the service, which would ignore it{hint}"]


def _text_problems(name: str, value: Any, required: tuple[str, ...]) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str):
        return [f"header field '{name}' must be a text, not {type(value).__name__}"]
    if len(value) > MAX_TEXT_LENGTH:
        return [f"header field '{name}' has {len(value)} characters, more than the {MAX_TEXT_LENGTH} allowed"]
    if not value.strip() and name != "description" and (value or name not in required):
        return [f"header field '{name}' is empty; leave it out for its default"]
    if name == "lxVersion" and value.strip() == "None":
        return [
            f"header field '{name}' is the text 'None', which a template made of a value that is not there"
        ]
    return []


def _chunk_problems(value: Any) -> list[str]:
    where = "header field 'chunkInformation'"
    if value is None:
        return []
    if not isinstance(value, Mapping):
        return [f"{where} must be an object, not {shown(value)}"]
    return [
        f"{where}: field {shown(name)} is unknown{nearest(str(name), CHUNK_FIELDS)}"
        if name not in CHUNK_FIELDS
        else f"{where}: '{name}' must be a whole number of at least 0, not {shown(number)}"
        for name, number in value.items()
        if name not in CHUNK_FIELDS or isinstance(number, bool) or not isinstance(number, int) or number < 0
    ]


def _choice_problems(header: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> list[str]:
    value = header.get(name)
    if not isinstance(value, str) or not value.strip() or value.lower() in allowed:
        return []
    return [f"header field '{name}' must be {' or '.join(allowed)}, not {shown(value)}"]
