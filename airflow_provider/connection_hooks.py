"""Hooks by connection: from the id of an Airflow connection to the hook of its type, outside of a task."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider.core.hook import ApiHook

HOOKS = {
    "mapsindoors": "airflow_provider.mapsindoors.hooks.MapsIndoorsHook",
    "amigocloud": "airflow_provider.amigocloud.hooks.AmigoCloudHook",
    "iotstudio": "airflow_provider.iotstudio.hooks.IoTStudioHook",
    "leanix": "airflow_provider.leanix.hooks.LeanIXHook",
}


class UnknownConnectionError(Exception):
    """The statement that a connection does not exist, or has another type.

    Its notes name the places that could not be searched.
    """


def read_metadata_database() -> None:
    """Make Airflow look connections up in its metadata database, too, as processes of a server may."""
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


@contextmanager
def logging_from(level: int) -> Iterator[None]:
    """Within the block, log what the package has to say from a level on.

    :param level: the level, such as ``logging.ERROR``.
    """
    log = logging.getLogger("airflow_provider")
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)


def escape_output() -> None:
    """Show characters as escapes where the encoding of the output lacks them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def find_connection(conn_id: str) -> Connection:
    """Return a connection of one of this provider's types.

    :param conn_id: its id.
    :raises UnknownConnectionError: when it does not exist, or has another type.
    """
    from airflow.sdk import BaseHook

    from airflow_provider.core.compat import connection_not_found

    try:
        connection = BaseHook.get_connection(conn_id)
    except connection_not_found():
        unknown = UnknownConnectionError(f"there is no connection '{conn_id}'")
        for note in _failed_searches(conn_id):
            unknown.add_note(note)
        raise unknown from None
    if connection.conn_type not in HOOKS:
        raise UnknownConnectionError(
            f"connection '{conn_id}' is of the type '{connection.conn_type}'; known types are"
            f" {', '.join(HOOKS)}"
        )
    return connection


def _failed_searches(conn_id: str) -> Iterator[str]:
    """Yield the places of connections that fail: Airflow searches the next one, logging at DEBUG only."""
    from airflow.configuration import ensure_secrets_loaded

    for backend in ensure_secrets_loaded():
        try:
            backend.get_connection(conn_id=conn_id)
        except Exception as error:  # Its text may have the connection, with its password.
            yield f"{type(backend).__name__} could not be searched: {type(error).__name__}"


def hook_class(conn_type: str) -> type[ApiHook]:
    """Return the hook of a connection type."""
    module, _, kind = HOOKS[conn_type].rpartition(".")
    return cast("type[ApiHook]", getattr(import_module(module), kind))
