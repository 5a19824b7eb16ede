"""Rows of a sync: what each Thing shall be, read from a table of any kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.core.files.many_files import ManyFiles
from airflow_provider.core.files.row_source import (
    RowOptions,
    is_query,
    open_source_files,
    read_source,
    subject_of,
)
from airflow_provider.core.input.conditions import refuse_data_frame
from airflow_provider.core.input.doubled_keys import unique_keys
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.input.values import UnreadableValueError, is_missing, shown, shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.iotstudio.conditions import is_segment
from airflow_provider.iotstudio.things.description import EMPTY, FIELDS, read_description

UID_FIELDS = ("uid", "thing_id")
"""Columns that name the Thing."""

MODEL_VERSION = "model_version"
"""Column with the version of the model, beside its name in ``model``."""

LEFT_OUT = ("id", "created", "modified")
"""Columns of an export that the service sets; they are not compared."""

UNREADABLE = "(not readable)"
"""Stands for the uid of a row whose uid cannot be read."""

COLUMNS = (*UID_FIELDS, *FIELDS, MODEL_VERSION)
"""Columns of a row."""

_OBJECTS = ("properties", "actions", "events", "links")
_SEPARATORS = r"[,;\s]+"
_MODEL = r"\s*([^@\s]+)\s*@\s*([0-9]+)\s*"
"""Text of a model with its version: ``Pump@2``."""


@dataclass(slots=True)
class DesiredThing:
    """One row: the fields that a Thing shall have.

    :param number: number of the row.
    :param key: its value of the match key; empty when it is matched by the uid alone.
    :param uid: the Thing's id, if the row has it.
    :param fields: the description's fields that the row has.
    """

    number: int
    key: str
    uid: str
    fields: Json


@dataclass
class Rows:
    """The rows of a source.

    :param things: the rows without problems, in their order.
    :param count: number of all rows.
    :param failed: the rows that are left out: ``{"row", "key", "reasons"}``.
    :param left_out: columns that are not compared.
    :param keys: match keys of the rows with problems: their Things are not missing.
    :param uids: uids of the rows with problems.
    """

    things: list[DesiredThing] = field(default_factory=list)
    count: int = 0
    failed: list[Json] = field(default_factory=list)
    left_out: dict[str, None] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)


class RowReader:
    """Reader of rows that collects the problems of all of them.

    :param match_on: ``uid`` or ``title``.
    :param category: the category of the sync; None for the whole space.
    :param defaults: fields for rows that do not have them.
    """

    def __init__(self, match_on: str, category: str | None, defaults: Mapping[str, Any]) -> None:
        self.problems = Problems("the rows")
        self.rows = Rows()
        self._match_on = match_on
        self._category = category
        self._defaults = defaults
        self._first: dict[tuple[str, str], int] = {}

    def read(self, source: object, options: RowOptions) -> Rows:
        """Read all rows.

        :param source: a list, the path of a file or of many, or the rows of a query.
        :param options: how to read them.
        """
        refuse_data_frame(source, "source")
        self.problems.where = f"the rows of {subject_of(source, 'source')}"
        opened = source if is_query(source) else open_source_files(source, "source", options)
        fields = COLUMNS if is_query(opened) else ()
        for number, row in read_source(_objects(opened), "source", options, fields=fields):
            self.rows.count += 1
            self._read_row(number, row)
        return self.rows

    def fail(self, row: DesiredThing, reason: str) -> None:
        """Leave a row out for a reason that only the service shows.

        :param row: the row.
        :param reason: what is wrong.
        """
        self._fail(row.number, row.key or row.uid, [reason])
        self.rows.keys |= {row.key, row.uid} - {""}
        self.rows.uids |= {row.uid} - {""}

    def _fail(self, number: int, key: str, reasons: list[str]) -> None:
        for reason in reasons:
            self.problems.add(reason, number, key)
        self.rows.failed.append({"row": number, "key": key, "reasons": reasons})

    def _read_row(self, number: int, row: Mapping[Any, Any]) -> None:
        uid, problems = _uid(row)
        given = {uid or UNREADABLE} if uid or problems else set()
        cells: dict[str, Any] = {}
        unknown: list[str] = []
        for name, value in {**self._defaults, **row}.items():
            if name in LEFT_OUT:
                self.rows.left_out[name] = None
            elif name in UID_FIELDS:
                continue
            elif name not in COLUMNS:
                unknown.append(_unknown(name))
            else:
                # The readers leave empty fields of tables out: None is an explicit null.
                cells[name] = value
        problems += _read_cells(cells)
        fields, wrong = read_description(cells, none=True)
        problems += wrong
        key = str(fields.get("title") or "") if self._match_on == "title" else uid
        problems += self._row_problems(uid, key, fields, number)
        if problems or unknown:
            for text in unknown:
                self.problems.add_column(text, number)
            self._fail(number, key or uid, problems)
            self.rows.failed[-1]["reasons"] = [*unknown, *problems]
            self.rows.keys |= {key, uid} - {""}
            self.rows.uids |= given
            return
        self.rows.things.append(DesiredThing(number, key, uid, fields))

    def _row_problems(self, uid: str, key: str, fields: Json, number: int) -> list[str]:
        problems = []
        if not key and not uid:
            problems.append(_NO_UID if self._match_on == "uid" else "title is missing")
        for kind, value in (("uid", uid), (self._match_on, key)):
            first = self._first.setdefault((kind, value), number) if value else number
            if first != number:
                problems.append(f"{kind} {value!r:.80} is that of row {first}, too")
                break
        categories = fields.get("categories")
        if self._category is not None and isinstance(categories, list) and self._category not in categories:
            problems.append(f"categories lacks {self._category!r}, the category of this sync")
        return problems


_NO_UID = (
    "uid is missing. The service chooses the uid of a new Thing, so rows of new Things are matched by their"
    " title: match_on='title'"
)


def _objects(source: object) -> object:
    """Return the source; what is no object in a list becomes a row that says so."""
    if isinstance(source, (str, bytes, Mapping, ManyFiles)) or is_query(source):
        return source
    if not isinstance(source, Iterable):
        return source
    return _each_object(source)


def _each_object(items: Iterable[Any]) -> Iterator[dict[Any, Any]]:
    for item in items:
        yield dict(item) if isinstance(item, Mapping) else {f"(no object but {type(item).__name__})": None}


def _unknown(name: object) -> str:
    hint = nearest(str(name), COLUMNS)
    if hint:
        return f"unknown column {shown(name)}{hint}"
    return (
        f"unknown column {shown(name)}; leave it out with ignore. Values of properties are written with"
        " IoTStudioWritePropertiesOperator"
    )


def _uid(row: Mapping[Any, Any]) -> tuple[str, list[str]]:
    given = [row[name] for name in UID_FIELDS if name in row and not is_missing(row[name])]
    if not all(isinstance(one, str) for one in given):
        return "", ["uid is no text"]
    ids = sorted({one.strip() for one in given})
    if len(ids) > 1:
        return "", [f"uid and thing_id differ: {' and '.join(map(shown, ids))}"]
    wrong = [f"uid is {shown(one)}, which cannot be the id of a Thing" for one in ids if not is_segment(one)]
    return (ids[0] if ids else ""), wrong


def _read_cells(cells: dict[str, Any]) -> list[str]:
    """Replace texts of a table by what they mean; return what is wrong with them."""
    problems: list[str] = []
    for name in (*_OBJECTS, "@type", "categories", "model"):
        value = cells.get(name)
        if not isinstance(value, str) or (not value.strip() and name not in _OBJECTS):
            continue
        problem = ""
        is_json = value.lstrip()[:1] in ("{", "[") or value.strip() == "null"
        names = [one for one in re.split(_SEPARATORS, value) if one]
        if is_json or name in _OBJECTS:
            problem = _read_json(cells, name, value)
        elif name == "categories":
            cells[name] = names
            if not names:
                problem = f"categories is {shown_value(value)}, which names none; '[]' empties it"
        elif name == "model":
            cells[name] = _model(value)
        if problem:
            problems.append(problem)
            del cells[name]
    if (version := cells.pop(MODEL_VERSION, None)) is not None:
        problems += _add_version(cells, version)
    return problems


def _read_json(cells: dict[str, Any], name: str, text: str) -> str:
    """Replace a JSON text by its value; return what is wrong with it."""
    if text.strip() == "null":
        empty = "null in a list or in JSON" if name == "model" else repr(json.dumps(EMPTY[name]))
        return f"{name} is the text 'null'; {empty} empties it"
    try:
        cells[name] = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_refuse_constant)
    except UnreadableValueError as error:
        return f"{name} {error}"
    except (ValueError, RecursionError) as error:
        return f"{name} is not JSON: {error}"
    return ""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


def _model(text: str) -> Json:
    found = re.fullmatch(_MODEL, text)
    return {"name": found[1], "version": int(found[2])} if found else {"name": text.strip()}


def _add_version(cells: dict[str, Any], version: Any) -> list[str]:
    plain = str(version).strip()
    number = re.fullmatch(r"([0-9]+)(\.0+)?", plain)
    if number is None:
        return [f"{MODEL_VERSION} must be a whole number of at least 1, not {shown_value(version)}"]
    model = cells.get("model")
    if not isinstance(model, dict):
        return [f"{MODEL_VERSION} needs the model's name in 'model'"]
    if model.get("version") not in (None, int(number[1])):
        return [f"{MODEL_VERSION} {shown_value(int(number[1]))} is not the version in 'model'"]
    cells["model"] = {**model, "version": int(number[1])}
    return []
