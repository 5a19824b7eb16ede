"""Rows: read table rows and GeoJSON features as geodata objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Any

from airflow_provider.core.files.row_source import RowOptions
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.input.values import ABSENT, UnreadableValueError, normal_key, shown
from airflow_provider.core.json_types import Json
from airflow_provider.mapsindoors.geodata import detail_columns, details, validation
from airflow_provider.mapsindoors.geodata import values as read
from airflow_provider.mapsindoors.geodata.wkt_wkb import parse_geometry

NumberedRow = tuple[int, Json]

REFERENCES = ("parentExternalId", "parentAdministrativeId", "parentBuilding", "parentFloor")
"""Columns that name a parent, beside ``parentId``: by external id, by administrative id, or by the index of a
floor within a building (named by id or external id)."""

_MEMBER_COLUMNS = validation.MEMBER_KEYS - {"name"}


_TRANSLATED = ("name", "description")


_LONGITUDE, _LATITUDE = ("lon", "lng", "longitude"), ("lat", "latitude")


_ALIASES = {"wkt": "geometry", "wkb_geometry": "geometry", "displayType": "displayTypeId"}
"""Columns that have another name than their field; ``wkb_geometry`` is that of map tables."""

KNOWN_COLUMNS = (
    *(*validation.FIELDS, *REFERENCES, *_ALIASES, *_TRANSLATED, *_LONGITUDE, *_LATITUDE),
    *sorted(_MEMBER_COLUMNS),
)
"""Columns without a language."""

SHARED_ROWS = 3
"""Rows up to which a problem is reported for each row; more rows have it reported once."""

_NO_CASE = "properties keys that differ only in case are the same key"

_VALUE = re.compile(r", not .*$|\[[^\]]*\]", re.S)
"""Part of a problem that differs between rows with the same mistake."""


BASE_LANGUAGE = "*"
"""Language in a property's key for the solution's base language, until that is known."""

OF_SERVICE = {"id", "datasetId", "baseType", "geometry", "baseTypeProperties"}
"""Columns of a row that is an object as the service returned it."""


class ColumnProblem(str):
    """A problem of a column, such as an unknown name, which all of its rows have."""

    __slots__ = ()


def is_feature(row: Any) -> bool:
    """Return whether a row is a GeoJSON feature."""
    return isinstance(row, Mapping) and row.get("type") == "Feature"


def flatten_with(options: RowOptions) -> Callable[[Json], Json]:
    """Return the function that makes flat rows of features, see :func:`from_feature`.

    :param options: how the rows are read; a column that is the id takes precedence over a feature's own.
    """
    columns = options.columns or {}
    return partial(from_feature, has_own_id="id" in columns or "id" not in columns.values())


def from_feature(feature: Mapping[str, Any], *, has_own_id: bool = True) -> Json:
    """Return a GeoJSON feature as a flat row; any other row as it is.

    The feature's own ``id`` is in the row when it is an id of the service, or when there is no property
    ``id``. It may then be left out by its reader, see :class:`RowReader`.

    :param feature: the row.
    :param has_own_id: whether a feature's own id is read.
    """
    if not is_feature(feature):
        return feature if isinstance(feature, dict) else dict(feature)
    properties = feature.get("properties")
    row = dict(properties) if isinstance(properties, Mapping) else {}
    own = feature.get("id") if has_own_id else None
    if own is not None and (row.get("id") is None or read.is_object_id(str(own))):
        row["id"] = read.OwnFeatureId(own)
    shape = feature.get("geometry")
    if shape is not None:
        row["geometry"] = shape
    return row


@dataclass(frozen=True, slots=True)
class _Column:
    """Reader of one column.

    :param place: the part of the object that it is in.
    :param name: its name there.
    :param read: reads a value.
    """

    place: str
    name: str
    read: Callable[[Any], Any]


class RowReader:
    """Reader of flat rows; each column is understood once.

    A column with the name of a geodata field is that field. Columns with a language (``name@en``) and the
    members of a column ``properties`` are properties. A column with the name of a base type property
    (``administrativeid``, ``capacity``, ...) is that property. ``name`` and ``description`` without a
    language wait for :class:`PropertyLanguages`. A column ``detail.<key>`` is the value of an additional
    detail, or all of it, and ``detail.<key>.<member>`` a member of it. Missing values and columns whose names
    begin with ``_`` are ignored. An empty text clears a field. An unknown column is a problem; of an object
    that the service returned, it is left out.

    :param match_on: the match key. A feature's own id that cannot be one of the service is an id only when
        rows are matched by it.
    :param exact: whether values stay as they are, because they are the service's own.
    :param zone: the time zone of dates, and of times without one; None for UTC, and refuses such times.
    """

    def __init__(
        self, match_on: str = "externalId", *, exact: bool = False, zone: tzinfo | None = None
    ) -> None:
        self._match_on, self._exact, self._zone = match_on, exact, zone
        self._property_key = str if exact else read.property_key
        self._columns: dict[Any, _Column] = {}
        self._readers: dict[str, Callable[[Any], Any]] = {
            **dict.fromkeys(("parentId", "datasetId"), read.read_id),
            "id": self._id,
            "externalId": read.read_key,
            **dict.fromkeys(("baseType", "displayTypeId", "tilesUrl"), read.read_line),
            **dict.fromkeys(("geometry", "anchor"), _read_geometry),
            **dict.fromkeys(("aliases", "categories"), read.read_texts),
            **dict.fromkeys(("additionalDetails", "tileStyles"), read.read_list),
            **dict.fromkeys(("displaySetting", "properties", "baseTypeProperties"), read.read_object),
            "status": read.read_status,
        }
        if exact:
            self._readers |= {"externalId": read.read_any_text, "status": read.read_plain}

    def read(self, row: Mapping[str, Any]) -> tuple[Json, dict[str, str], list[str]]:
        """Read a row.

        :param row: values by column.
        :return: the object, its references to a parent (see :data:`REFERENCES`), and the row's problems.
        """
        kinds = ("field", "property", "member", "reference", "point", "detail")
        parts: dict[str, Json] = {kind: {} for kind in kinds}
        problems: list[str] = []
        is_of_service = self._exact or row.keys() >= OF_SERVICE
        for key, value in row.items():
            if value is None:
                continue
            column = self._columns.get(key) or self._understand(key)
            try:
                given = column.read(value)
                if column.place == "detail" and given is not ABSENT:
                    detail_columns.add_column(parts["detail"], detail_columns.column_path(column.name), given)
                    given = ABSENT
            except UnreadableValueError as problem:
                problems.append(f"{key} {problem}")
                # The other coordinate is no point without this, which is reported once.
                given = None if column.place == "point" else ABSENT
            if given is ABSENT:
                continue
            if column.place == "unknown":
                if not is_of_service or "did you mean" in column.name:
                    problems.append(ColumnProblem(column.name))
            elif column.place == "object":
                problems += self._add_members(parts, column.name, given)
            elif column.name in parts[column.place]:
                problems.append(ColumnProblem(f"{column.name!r} is given twice"))
            else:
                parts[column.place][column.name] = given
        return self._assembled(parts, problems)

    @staticmethod
    def _assembled(parts: dict[str, Json], problems: list[str]) -> tuple[Json, dict[str, str], list[str]]:
        item, point = parts["field"], parts["point"]
        for name, part in (("properties", "property"), ("baseTypeProperties", "member")):
            if parts[part]:
                item[name] = parts[part]
        if parts["detail"]:
            if "additionalDetails" in item:
                problems.append(ColumnProblem("needs either additionalDetails, or columns of details"))
            item["additionalDetails"] = details.PartialDetails(parts["detail"].values())
        if point and "geometry" in item:
            problems.append(ColumnProblem("needs either a geometry, or one longitude and one latitude"))
        elif len(point) == 1:
            missing = "latitude" if "lon" in point else "longitude"
            problems.append(
                f"has no {missing}; it needs either a geometry, or one longitude and one latitude"
            )
        elif point and None not in point.values():
            item["geometry"] = {"type": "Point", "coordinates": [point["lon"], point["lat"]]}
        return item, parts["reference"], problems

    def _understand(self, key: Any) -> _Column:
        column = self._columns[key] = self._column_of(key)
        return column

    def _column_of(self, key: Any) -> _Column:
        if not isinstance(key, str):
            return _Column("unknown", f"has the column {shown(key)}, whose name is no text", _read_unknown)
        name = normal_key(key)
        field = _ALIASES.get(name, name)
        if name.startswith("_"):
            return _Column("ignored", name, _ignored)
        if name.lower().startswith(details.PREFIX) and len(name) > len(details.PREFIX):
            wrong = detail_columns.column_problem(name)
            return _Column(
                "unknown" if wrong else "detail", f"{shown(key)} {wrong}" if wrong else name, read.read_json
            )
        if name in REFERENCES:
            reader = read.read_index if name == "parentFloor" else read.read_key
            return _Column("reference", name, lambda value: _not_empty(reader(value)))
        if name in _LONGITUDE or name in _LATITUDE:
            return _Column("point", "lon" if name in _LONGITUDE else "lat", read.read_coordinate)
        if "@" in name or name in _TRANSLATED:
            text = name if "@" in name else f"{name}@{BASE_LANGUAGE}"
            return _Column("property", self._property_key(text), read.read_any_text)
        if field in self._readers:
            place = "object" if field in ("properties", "baseTypeProperties") else "field"
            return _Column(place, field, self._readers[field])
        if name in _MEMBER_COLUMNS:
            return _Column("member", name, lambda value: self._member(name, value))
        hint = nearest(name[:100], KNOWN_COLUMNS)
        text = f"{shown(key)} is not a field of geodata, and has no language as in '{name[:60]}@en'{hint}"
        return _Column("unknown", text, _read_unknown)

    def _add_members(self, parts: dict[str, Json], field: str, members: Json) -> Iterator[str]:
        """Add the members of a field, and yield their problems."""
        part = parts["property" if field == "properties" else "member"]
        for key, value in members.items():
            name = self._property_key(key) if field == "properties" else normal_key(key)
            try:
                given = read.read_any_text(value) if field == "properties" else self._member(name, value)
            except UnreadableValueError as problem:
                yield f"{field} {key!r} {problem}"
                continue
            if given is ABSENT:
                continue
            if name in part:
                hint = f"; {_NO_CASE}" if field == "properties" else ""
                yield ColumnProblem(f"{name!r} is given twice{hint}")
            part[name] = given

    def _member(self, key: str, value: Any) -> Any:
        return read.read_any_text(value) if self._exact else read.read_member(key, value, self._zone)

    def _id(self, value: Any) -> Any:
        """Return an id; nothing for a feature's own id that only its file knows."""
        if isinstance(value, read.OwnFeatureId) and not read.is_object_id(value) and self._match_on != "id":
            return ABSENT
        return read.read_id(value)


def _read_geometry(value: Any) -> Any:
    """Return a geometry; nothing for a missing value of a data library."""
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)) or hasattr(value, "__geo_interface__"):
        return parse_geometry(value)
    plain = read.read_plain(value)
    return plain if plain is ABSENT else parse_geometry(plain)


def _not_empty(key: Any) -> Any:
    if key == "":
        raise UnreadableValueError("is empty; leave it out to keep the parent")
    return key


def _read_unknown(value: Any) -> Any:
    """Return a value of an unknown column, which is a problem whatever the value is, unless it is missing."""
    try:
        return read.read_plain(value)
    except UnreadableValueError:
        return None


def _ignored(_: Any) -> Any:
    return ABSENT


class PropertyLanguages:
    """The languages that property keys may have; each key is understood once.

    :param base: the solution's base language, for ``name`` and ``description`` without one; empty when they
        need one.
    :param known: all languages of the solution; empty when they are not known.
    """

    def __init__(self, base: str, known: Iterable[str] = ()) -> None:
        self._base, self._known = base, {language.lower(): language for language in known}
        if base and self._known:
            self._known.setdefault(base.lower(), base)
        self._keys: dict[str, tuple[str, str]] = {}

    def apply(self, item: Json, defaults: Set[str] = frozenset()) -> list[str]:
        """Set the languages of an object's property keys, and return the problems.

        :param item: an object of :class:`RowReader`; it is changed.
        :param defaults: the keys that it has from defaults only; a key of its own wins over them.
        """
        texts = item.get("properties")
        if not texts:
            return []
        out: Json = {}
        problems: list[str] = []
        for key in sorted(texts, key=defaults.__contains__) if defaults else texts:
            name, problem = self._keys.get(key) or self._understand(key)
            if problem:
                problems.append(ColumnProblem(problem))
            elif name in out and key in defaults:
                continue
            elif name in out:
                is_base = f"{name.partition('@')[0]}@{BASE_LANGUAGE}" in texts
                hint = "without a language, it is in the base language" if is_base else _NO_CASE
                problems.append(ColumnProblem(f"{name!r} is given twice; {hint}"))
            out[name] = texts[key]
        item["properties"] = out
        return problems

    def _understand(self, key: str) -> tuple[str, str]:
        """Return a key as it is sent, and its problem; an empty text for none."""
        name, _, language = key.partition("@")
        if language == BASE_LANGUAGE:
            problem = "" if self._base else f"{name!r} needs its language, as in '{name}@en'"
            found = (f"{name}@{self._base}", problem)
        elif language == "generic" or not self._known or not language or "@" in language:
            found = (key, "")
        elif language.lower() in self._known:
            found = (f"{name}@{self._known[language.lower()]}", "")
        else:
            known = ", ".join(self._known.values())
            found = (
                key,
                f"{key!r} has the language {language!r}, which the solution does not have"
                f" ({known}, or generic)",
            )
        self._keys[key] = found
        return found


def collect_problems(rows: Iterable[tuple[int, str, list[str]]], what: str) -> Problems:
    """Collect the problems of all rows; one that many rows have is in it once, with their number.

    :param rows: number, key and problems of each row.
    :param what: the source, for the error.
    """
    found = Problems(what)
    listed = [(number, key, problem) for number, key, problems in rows for problem in problems]
    kinds = [
        problem if isinstance(problem, ColumnProblem) else _VALUE.sub("", problem) for *_, problem in listed
    ]
    counts, first = Counter(kinds), dict[str, str]()
    for (number, key, problem), kind in zip(listed, kinds, strict=True):
        if counts[kind] > (1 if isinstance(problem, ColumnProblem) else SHARED_ROWS):
            found.add_column(first.setdefault(kind, str(problem)), number)
        else:
            found.add(str(problem), number, key)
    return found


def as_text(value: Any) -> str:
    """Return a base type property as the text that the service stores: ``true``, ``4``, ``2.5``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
