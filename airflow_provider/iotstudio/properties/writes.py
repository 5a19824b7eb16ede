"""Writes: new values by Thing, merged from rows in a temporary database, so that memory does not grow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Self, TypeVar

from airflow_provider.core.input.problems import Problems
from airflow_provider.errors import ProviderError
from airflow_provider.iotstudio.api import PAGE_SIZE

Item = TypeVar("Item")

MAX_MESSAGE_BYTES = 5 * 1024
"""Maximum size of a message in bytes, as the vendor's docs state it."""

MAX_BLOCK_THINGS = 3 * PAGE_SIZE
"""Maximum Things in memory at a time: of fewer, a bulk read could not try a page of the list."""

FULL_BLOCK_VALUES = 30_000
"""Values after which a block ends with its next thousand Things."""

_BUFFERED_ROWS = 1000
"""Rows in memory before they are stored."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE rows (thing TEXT, number INTEGER, wide INTEGER, texts INTEGER, properties TEXT);
CREATE TABLE problems (id INTEGER, kind TEXT, number INTEGER, text TEXT);
CREATE TABLE writes
    (id INTEGER PRIMARY KEY, thing TEXT, numbers TEXT, wide TEXT, texts INTEGER, properties TEXT);
"""

_SELECT_ROWS = "SELECT thing, number, wide, texts, properties, rowid FROM rows ORDER BY thing, rowid"
_SELECT_PROBLEMS = "SELECT number, text FROM problems WHERE kind = ? ORDER BY id"
_SELECT_BLOCK = (
    "SELECT id, numbers, thing, properties, wide, texts FROM writes WHERE id > ? ORDER BY id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Write:
    """New values of one Thing, sent in one request.

    :param rows: numbers of the source rows, counted from 1.
    :param thing_id: the Thing's id.
    :param properties: value by property name.
    :param wide: names of the values that came from columns of their own: the Thing's declaration tells their
        types.
    :param texts: whether all wide values are texts, as in CSV.
    """

    rows: tuple[int, ...]
    thing_id: str
    properties: dict[str, Any]
    wide: frozenset[str] = frozenset()
    texts: bool = False


class WriteSpool:
    """Rows and the writes that they make, in a temporary database on local disk.

    The database has no name, so that nothing is left of it when the process is killed. A small one never
    reaches the disk.
    """

    def __init__(self) -> None:
        self.has_wide = False
        self._row_type: type[int] = int
        self._buffer: list[tuple[Any, ...]] = []
        self._count = 0

    def __enter__(self) -> Self:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Write]:
        """Yield the merged writes, ordered by their first rows."""
        for _, write in self._numbered():
            yield write

    def add(self, write: Write) -> None:
        """Add the values of one row.

        :param write: the values, with one row.
        """
        (row,) = write.rows
        self._row_type = type(row)
        self.has_wide = self.has_wide or bool(write.wide)
        values = _encode(write.properties)
        self._buffer.append((write.thing_id, int(row), bool(write.wide), write.texts, values))
        if len(self._buffer) >= _BUFFERED_ROWS:
            self._flush()

    def merge(self, problems: Problems) -> None:
        """Make one write of all rows of each Thing; done once, before the writes are read.

        :param problems: gets each property of a Thing that two rows set, and each write that is too large.
        """
        self._flush()
        rows = self._run(_SELECT_ROWS)
        for thing, group in groupby(rows, itemgetter(0)):
            self._merge_rows(thing, group)
        self._run("DROP TABLE rows")
        for kind in ("conflict", "size"):
            for number, text in self._run(_SELECT_PROBLEMS, kind):
                problems.add(text, self._row_type(number) if number else 0)

    def replace_each(self, convert: Callable[[Sequence[Write]], Sequence[Write]]) -> None:
        """Replace the values of all writes, a block at a time.

        :param convert: function that returns the writes of a block with other values, in their order.
        """
        for block in in_blocks(self._numbered(), lambda pair: pair[1]):
            converted = convert([write for _, write in block])
            for (number, _), write in zip(block, converted, strict=True):
                self._run("UPDATE writes SET properties = ? WHERE id = ?", _encode(write.properties), number)

    def _merge_rows(self, thing: str, group: Iterable[tuple[Any, ...]]) -> None:
        """Store the write of one Thing's rows."""
        first, numbers, values = 0, list[int](), dict[str, Any]()
        set_in = dict[str, int]()
        wide, texts = set[str](), False
        for _, number, is_wide, is_text, properties, row_id in group:
            new = json.loads(properties)
            for name in values.keys() & new.keys():
                before = self._row_type(set_in[name])
                text = f"property '{name}' of Thing {thing} is set already (row {before})"
                self._add_problem(row_id, "conflict", number, text)
            first = first or row_id
            numbers.append(number)
            for name in new:
                set_in.setdefault(name, number)
            values.update(new)
            wide.update(new if is_wide else ())
            texts = texts or bool(is_text)
        write = Write(tuple(map(self._row_type, numbers)), thing, values, frozenset(wide), texts)
        if text := size_problem(write):
            self._add_problem(first, "size", 0, text)
        self._run(
            "INSERT INTO writes VALUES (?, ?, ?, ?, ?, ?)",
            *(first, thing, json.dumps(numbers), json.dumps(sorted(wide)), texts, _encode(values)),
        )
        self._count += 1

    def _add_problem(self, row_id: int, kind: str, number: int, text: str) -> None:
        self._run("INSERT INTO problems VALUES (?, ?, ?, ?)", row_id, kind, number, text)

    def _numbered(self) -> Iterator[tuple[int, Write]]:
        last = 0
        while block := self._read_block(last):
            last = block[-1][0]
            yield from block

    def _read_block(self, last: int) -> list[tuple[int, Write]]:
        """Return the writes that follow a number; none is being read when the caller changes them."""
        found = self._run(_SELECT_BLOCK, last, PAGE_SIZE).fetchall()
        return [
            (
                number,
                Write(
                    tuple(map(self._row_type, json.loads(numbers))),
                    thing,
                    json.loads(properties),
                    frozenset(json.loads(wide)),
                    bool(texts),
                ),
            )
            for number, numbers, thing, properties, wide, texts in found
        ]

    def _flush(self) -> None:
        with _disk_errors():
            self._database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", self._buffer)
        self._buffer.clear()

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        with _disk_errors():
            return self._database.execute(statement, values)


def in_blocks(items: Iterable[Item], write_of: Callable[[Item], Write]) -> Iterator[list[Item]]:
    """Yield items in blocks of whole thousands, for each of which a bulk read takes at most three requests.

    A block has at most :data:`MAX_BLOCK_THINGS`, and less when they have many values.

    :param items: the items.
    :param write_of: returns the write of an item.
    """
    block, values = list[Item](), 0
    for item in items:
        block.append(item)
        values += len(write_of(item).properties)
        full = values >= FULL_BLOCK_VALUES or len(block) >= MAX_BLOCK_THINGS
        if full and len(block) % PAGE_SIZE == 0:
            yield block
            block, values = [], 0
    if block:
        yield block


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ProviderError(
            f"the local disk cannot hold the rows ({error}); nothing was sent. Set TMPDIR to a larger disk"
        ) from None


def _encode(values: Mapping[str, Any]) -> str:
    """Return values as JSON text, from which integers of any size and floats are read as they were."""
    return json.dumps(values, separators=(",", ":"))


def size_problem(write: Write) -> str:
    """Return why a write is too large for one message; empty when it is not."""
    import msgspec

    size = len(msgspec.json.encode(write.properties))
    if size <= MAX_MESSAGE_BYTES:
        return ""
    return (
        f"{row_label(write.rows)}: the values of Thing {write.thing_id} take {size} bytes as JSON;"
        f" a message may have {MAX_MESSAGE_BYTES}"
    )


def row_label(rows: tuple[int, ...]) -> str:
    """Return a label of rows for a message."""
    return f"row {rows[0]}" if len(rows) == 1 else f"rows {', '.join(map(str, rows))}"
