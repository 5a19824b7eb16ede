"""Rows: read the rows of a table as display types or categories, and find what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.core.files.row_source import RowOptions, read_source
from airflow_provider.core.input.conditions import refuse_rendered_list
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import (
    ABSENT,
    UnreadableValueError,
    normal_key,
    read_boolean,
    read_number,
    read_text,
    shown,
)
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.catalogue.kinds import Kind
from airflow_provider.mapsindoors.geodata import values as read
from airflow_provider.mapsindoors.geodata.rows import BASE_LANGUAGE, ColumnProblem, PropertyLanguages
from airflow_provider.mapsindoors.geodata.values import with_members

DEFAULT_RULE = "default"
"""Name of the display rule that columns such as ``zoomFrom`` are about."""

_NUMBERS = ("zoomFrom", "zoomTo", "labelZoomFrom", "labelZoomTo", "labelMaxWidth")
_BOOLEANS = ("visible", "iconVisible", "labelVisible")

RULE_COLUMNS = (*_NUMBERS, *_BOOLEANS, "iconUrl")
"""Columns that are members of the default display rule."""

_SPANS = (("zoomFrom", "zoomTo"), ("labelZoomFrom", "labelZoomTo"))
_PROPERTY = ("description",)
"""Columns without a language that are properties in the base language."""


_TEXTS = ("name", "properties")
"""Fields with texts by language; which defaults a row lacks is known with the solution's base language."""


@dataclass(slots=True)
class DesiredEntry:
    """One row.

    :param number: row number, from 1.
    :param key: the row's name or key; empty when it has none.
    :param fields: the fields that the row owns; display rules by name.
    :param problems: what is wrong with the row; such a row is not written.
    :param object_id: the id that the row has; empty for none.
    :param texts: names and properties for the languages in which the row has none.
    """

    number: int
    key: str
    fields: Json
    problems: list[str] = field(default_factory=list)
    object_id: str = ""
    texts: Json = field(default_factory=dict)


def columns_of(kind: Kind) -> tuple[str, ...]:
    """Return the columns of a kind that have no language."""
    rules = RULE_COLUMNS if "displayRules" in kind.fields else ()
    return (*kind.fields, *_PROPERTY, *rules)


class EntryReader:
    """Reader of flat rows.

    A column with the name of a field is that field. A column with a language (``name@en``) is a property, or
    of a category its name. A column such as ``zoomFrom`` belongs to the display rule ``default``. Missing
    values and columns whose names begin with ``_`` are ignored; an empty text clears a value.

    :param kind: what the rows are.
    :param defaults: fields for rows that do not have them, by column.
    :raises InputError: when the defaults are no valid fields.
    """

    def __init__(self, kind: Kind, defaults: object = None) -> None:
        self._kind = kind
        self._columns = columns_of(kind)
        given = {} if defaults is None else self._read_defaults(defaults)
        self._texts = {name: given.pop(name) for name in _TEXTS if name in given}
        self._defaults = given

    def _read_defaults(self, given: object) -> Json:
        if isinstance(given, str):
            refuse_rendered_list(given, "defaults")
        if not isinstance(given, Mapping):
            raise InputError(f"must be an object, not {type(given).__name__}", "defaults")
        fields, wrong = self._read(given)
        wrong += [
            f"has {name}, which no two {self._kind.plural} have in common"
            for name in ("id", self._kind.key)
            if name in fields
        ]
        if wrong:
            raise InputError(list(map(str, wrong)), "defaults")
        return fields

    def rows(self, source: object, subject: str, options: RowOptions) -> list[DesiredEntry]:
        """Read and validate the rows of a source.

        :param source: a list, the path of a file or of many, or the rows of a query.
        :param subject: the argument that the rows come from.
        :param options: how the rows are read.
        :raises InputError: when the source cannot be read.
        """
        wrong: dict[int, str] = {}
        if isinstance(source, list):
            wrong = {
                number: f"is not an object, but {type(row).__name__}"
                for number, row in enumerate(source, 1)
                if not isinstance(row, Mapping)
            }
            source = [dict(row) if isinstance(row, Mapping) else {} for row in source]
        found = []
        for number, row in read_source(source, subject, options, fields=self._columns):
            if number in wrong:
                found.append(DesiredEntry(number, "", {}, [wrong[number]]))
            else:
                found.append(self._entry(number, row))
        return found

    def _entry(self, number: int, row: Mapping[Any, Any]) -> DesiredEntry:
        fields, problems = self._read(row)
        fields = _with_defaults(self._defaults, fields)
        key, object_id = str(fields.get(self._kind.key, "")), str(fields.pop("id", ""))
        is_emptied = bool(object_id) and not key and fields.pop(self._kind.key, None) is not None
        if not key:
            fields.pop(self._kind.key, None)
        if not key and not any(one.startswith((f"{self._kind.key} ", "id ")) for one in problems):
            if is_emptied:
                problems.append(
                    f"{self._kind.key} is empty; leave it out to keep that of the {self._kind.noun}"
                )
            elif not object_id:
                problems.append(f"has no {self._kind.key}")
        problems += rule_problems(fields.get("displayRules", {}))
        return DesiredEntry(number, key, fields, problems, object_id, self._texts)

    def _read(self, row: Mapping[Any, Any]) -> tuple[Json, list[str]]:
        """Return the fields of a row, and its problems."""
        fields: Json = {}
        problems: list[str] = []
        for column, value in row.items():
            if value is None or (isinstance(column, str) and column.startswith("_")):
                continue
            try:
                place, given = self._read_column(column, value)
            except UnreadableValueError as problem:
                is_unknown = isinstance(problem, _UnknownColumnError)
                problems.append(ColumnProblem(problem) if is_unknown else f"{column} {problem}")
                continue
            if given is not ABSENT:
                problems += _put(fields, place, given)
        return fields, problems

    def _read_column(self, column: Any, value: Any) -> tuple[tuple[str, ...], Any]:
        """Return the place of a column within an entry, and its value."""
        name = normal_key(column) if isinstance(column, str) else ""
        kind = self._kind
        if "@" in name or name in _PROPERTY:
            key = read.property_key(name if "@" in name else f"{name}@{BASE_LANGUAGE}")
            if kind.key == "key" and key.startswith("name@"):
                return ("name", key.removeprefix("name@")), read.read_any_text(value)
            return ("properties", key), read.read_any_text(value)
        if name in RULE_COLUMNS and "displayRules" in kind.fields:
            return ("displayRules", DEFAULT_RULE, name), _read_member(name, value)
        if name not in kind.fields:
            hint = nearest(name[:100], self._columns)
            raise _UnknownColumnError(f"{shown(column)} is no field of a {kind.noun}{hint}")
        return (name,), _FIELDS[kind.key, name](value)


class _UnknownColumnError(UnreadableValueError):
    """A column that no entry has; the message is about the column."""


def _put(fields: Json, place: tuple[str, ...], given: Any) -> Iterator[str]:
    """Put a value at its place, and yield a problem when another column has put one there."""
    if isinstance(given, dict) and given:
        for key, value in given.items():
            yield from _put(fields, (*place, str(key)), value)
        return
    *way, last = place
    for step in way:
        fields = fields.setdefault(step, {})
    if last in fields and given != {}:
        yield ColumnProblem(f"{'.'.join(place)} is given twice")
    fields[last] = fields.get(last, given) if given == {} else given


def _with_defaults(defaults: Json, own: Json) -> Json:
    """Return fields with the defaults of those and of their members that they do not have."""
    out = {**defaults, **own}
    for name in defaults.keys() & own.keys():
        if isinstance(defaults[name], dict) and isinstance(own[name], dict):
            out[name] = _with_defaults(defaults[name], own[name])
    return out


# -- values -------------------------------------------------------------------------------------------


def _read_member(name: str, value: Any) -> Any:
    """Return a member of a display rule."""
    plain = read.read_plain(value)
    if plain is ABSENT:
        return plain
    if name in _NUMBERS:
        return read_number(plain)
    if name in _BOOLEANS:
        digit = plain.strip() if isinstance(plain, str) else ""
        return read_boolean(int(digit) if digit in ("0", "1") else plain)
    return read.read_line(value) if name == "iconUrl" else plain


def _read_rules(value: Any) -> Any:
    """Return display rules by their names."""
    rules = read.read_list(value)
    if rules is ABSENT:
        return rules
    found: dict[str, Json] = {}
    for rule in rules:
        if not isinstance(rule, dict) or not isinstance(rule.get("name"), str) or not rule["name"].strip():
            raise UnreadableValueError("must be a list of objects, each with its name")
        if rule["name"] in found:
            raise UnreadableValueError(f"has the rule {rule['name']!r:.60} twice")
        found[rule["name"]] = dict(_rule_members(rule))
    return found


def _rule_members(rule: Json) -> Iterator[tuple[str, Any]]:
    for name, value in rule.items():
        known = next((one for one in RULE_COLUMNS if one.lower() == name.lower()), name)
        if known != name:
            raise UnreadableValueError(f"has the member {name!r}; did you mean {known!r}?")
        if value is None or name == "name":
            continue
        try:
            yield name, _read_member(name, value)
        except UnreadableValueError as problem:
            raise UnreadableValueError(f"at {rule['name']}.{name} {problem}") from None


def _read_templates(value: Any) -> Any:
    found = read.read_list(value)
    if found is not ABSENT and not all(isinstance(one, dict) for one in found):
        raise UnreadableValueError("must be a list of objects with text and type")
    return found


def _read_texts_by_key(value: Any) -> Any:
    found = read.read_object(value)
    if found is ABSENT:
        return found
    keys = {read.property_key(key): read.read_any_text(text) for key, text in found.items()}
    if len(keys) < len(found):
        raise UnreadableValueError("has a key twice; they differ only in case")
    return {key: text for key, text in keys.items() if text is not ABSENT}


def _read_names(value: Any) -> Any:
    """Return names by language; a text alone is that of the base language."""
    found = read.read_json(value)
    if isinstance(found, dict):
        return {key.strip(): read.read_any_text(text) for key, text in found.items() if text is not None}
    return found if found is ABSENT else {BASE_LANGUAGE: read_text(found)}


_FIELDS: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("name", "id"): read.read_id,
    ("name", "name"): read.read_key,
    ("name", "aliases"): read.read_texts,
    ("name", "displayRules"): _read_rules,
    ("name", "propertyTemplates"): _read_templates,
    ("name", "properties"): _read_texts_by_key,
    ("key", "id"): read.read_id,
    ("key", "key"): read.read_key,
    ("key", "name"): _read_names,
    ("key", "properties"): _read_texts_by_key,
}
"""Readers of fields, by a kind's key and the field."""


def rule_problems(rules: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the spans of zoom levels that show nothing."""
    for rule, members in rules.items():
        for first, last in _SPANS:
            low, high = members.get(first), members.get(last)
            if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
                span = f"{first} {low:g} is above {last} {high:g}"
                yield f"{span} in the display rule {rule!r:.60}, so nothing would be shown"


# -- languages ----------------------------------------------------------------------------------------


def set_languages(rows: Iterable[DesiredEntry], base: str, known: Iterable[str]) -> None:
    """Set the languages of names and properties, and note those that the solution does not have.

    :param rows: the rows; they are changed.
    :param base: the solution's base language.
    :param known: all its languages; empty when they are not known.
    """
    languages = PropertyLanguages(base, known)
    for row in rows:
        texts = dict(row.texts)
        row.problems += _apply(languages, row.fields) + _apply(languages, texts)
        for name, found in texts.items():
            row.fields[name] = with_members(found, row.fields.get(name, {}))


def _apply(languages: PropertyLanguages, fields: Json) -> list[str]:
    """Set the languages of the names and properties among fields, and return the problems."""
    problems = languages.apply(fields)
    names = fields.get("name")
    if isinstance(names, dict):
        as_keys: Json = {"properties": {f"name@{language}": text for language, text in names.items()}}
        problems += languages.apply(as_keys)
        fields["name"] = {key.removeprefix("name@"): text for key, text in as_keys["properties"].items()}
    return problems


def name_problems(kind: Kind, after: Json, known: Iterable[str]) -> Iterator[str]:
    """Yield a problem for each language in which an entry would have no name.

    :param kind: what it is.
    :param after: the entry as it would be stored.
    :param known: the languages in which a name is required.
    """
    names = kind.names_of(after)
    for language in known:
        if language.lower() not in names:
            member = f"name@{language}"
            yield f"has no {member}; a {kind.noun} needs a name in every language of the solution"
