"""Rows of a query: read once into a file on local disk, from where they are read any number of times.

Checking and sending both read the file, because two runs of a query could be of two states.
"""

from __future__ import annotations

import os
import struct
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec

from airflow_provider.core.input.values import Unreadable
from airflow_provider.core.sql.database_hook import open_hook
from airflow_provider.core.sql.failures import database_error, spool_error
from airflow_provider.core.sql.query import Query
from airflow_provider.core.sql.streaming import Result, open_result
from airflow_provider.core.sql.values import DatabaseValueReader, ExactDecimal
from airflow_provider.errors import InputError, ProviderError

if TYPE_CHECKING:
    from datetime import tzinfo

    from airflow.sdk.types import Logger

_BLOCK_BYTES = 256 * 1024
"""Bytes of one read of the file."""

_PROGRESS_SECONDS = 10.0
"""Seconds between two log lines about the progress."""

_SIZE = struct.Struct("<I")

_NOT_OF_DATABASES = (ProviderError, MemoryError, AttributeError, NameError)
"""Exceptions that no database raises."""

_UNREADABLE = 1
"""Code of an unreadable value in the file."""

_DECIMAL = 2
"""Code of a decimal in the file."""


class SqlRows:
    """The rows of a query, on local disk.

    The file has no name, so that nothing is left of it when the process is killed.

    :param names: names of the query's columns.
    :param timezone: the time zone of dates and times without one; None for none.
    :raises ProviderError: when there is no folder for the file.
    """

    def __init__(self, names: Sequence[str], timezone: tzinfo | None = None) -> None:
        self.names = list(names)
        self.timezone = timezone
        self.count = 0
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(buffering=_BLOCK_BYTES)  # noqa: SIM115 - see ``close``
        except OSError as error:
            raise spool_error(error, 0) from None

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows of values in the order of the columns.

        :param rows: the rows, of values that :class:`DatabaseValueReader` returns.
        :raises ProviderError: when the disk is full.
        """
        encode, write, size = msgspec.msgpack.Encoder(enc_hook=_encode_other).encode, self._file.write, _SIZE
        try:
            for row in rows:
                data = encode(row)
                write(size.pack(len(data)))
                write(data)
                self.count += 1
            self._file.flush()
        except OSError as error:
            raise spool_error(error, self.count) from None

    def __iter__(self) -> Iterator[list[Any]]:
        """Yield the rows from the first one; several iterations do not affect each other."""
        decode = msgspec.msgpack.Decoder(ext_hook=_decode_other).decode
        buffer, offset = b"", 0
        while block := os.pread(self._file.fileno(), _BLOCK_BYTES, offset):
            offset += len(block)
            buffer += block
            at = 0
            while len(buffer) - at >= _SIZE.size:
                end = at + _SIZE.size + _SIZE.unpack_from(buffer, at)[0]
                if end > len(buffer):
                    break
                yield decode(buffer[at + _SIZE.size : end])
                at = end
            buffer = buffer[at:]

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # The last bytes may not fit on a full disk.
            self._file.close()


def _encode_other(value: Any) -> Any:
    if isinstance(value, Unreadable):
        return msgspec.msgpack.Ext(_UNREADABLE, value.problem.encode())
    if isinstance(value, ExactDecimal):
        return msgspec.msgpack.Ext(_DECIMAL, str(value.number).encode())
    raise TypeError(type(value).__name__)


def _decode_other(code: int, data: memoryview) -> Any:
    text = bytes(data).decode()
    return Decimal(text) if code == _DECIMAL else Unreadable(text)


@contextmanager
def read_query(query: Query, log: Logger) -> Iterator[SqlRows]:
    """Run a query, read all of its rows, and yield them; the connection is closed by then.

    Nothing is ever committed, so that a query changes nothing.

    :param query: the query.
    :param log: receives the number of rows.
    :raises InputError: for a connection or a statement that cannot be used.
    :raises DatabaseError: when the database fails; a retry may succeed.
    """
    hook = open_hook(query.conn_id)
    rows = _read(hook, query, log)
    try:
        yield rows
    finally:
        rows.close()


def _read(hook: Any, query: Query, log: Logger) -> SqlRows:
    started = time.monotonic()
    connection = _connect(hook, query)
    rows = None
    try:
        result = open_result(connection, hook, query, log)
        with closing(result.rows):
            rows = SqlRows(result.names, query.timezone)
            reader = DatabaseValueReader(query.timezone, long_decimals=query.long_decimals)
            rows.add(map(reader.read_row, _logged(result.rows, log)))
        _report_lineage(hook, query, result, rows.count)
    except BaseException as error:
        if rows is not None:
            rows.close()
        if isinstance(error, _NOT_OF_DATABASES) or not isinstance(error, Exception):
            raise
        raise database_error(error, query) from None
    finally:
        _discard(connection)
    log.info(
        "Read %d rows with %d columns from the connection '%s' in %.1f s",
        *(rows.count, len(rows.names), query.conn_id, time.monotonic() - started),
    )
    return rows


def _connect(hook: Any, query: Query) -> Any:
    try:
        return hook.get_conn()
    except ImportError as error:
        text = f"needs the Python package {error.name or 'of its driver'}, which is not installed"
        raise InputError(text, f"connection '{query.conn_id}'") from None
    except Exception as error:
        raise database_error(error, query, connecting=True) from None


def _logged(rows: Iterable[Any], log: Logger) -> Iterator[Any]:
    due = time.monotonic() + _PROGRESS_SECONDS
    for number, row in enumerate(rows):
        if not number % 1000 and time.monotonic() > due:
            log.info("%d rows read", number)
            due = time.monotonic() + _PROGRESS_SECONDS
        yield row


def _discard(connection: Any) -> None:
    """Roll back and close, whatever state the connection is in."""
    for name in ("rollback", "close"):
        with suppress(Exception):
            getattr(connection, name)()


def _report_lineage(hook: Any, query: Query, result: Result, count: int) -> None:
    """Report the query to Airflow's hook lineage, without parameters."""
    try:
        from airflow.providers.common.sql.hooks.lineage import send_sql_hook_lineage
    except ImportError:
        return
    send_sql_hook_lineage(context=hook, sql=query.sql, cur=result.cursor, row_count=count)
