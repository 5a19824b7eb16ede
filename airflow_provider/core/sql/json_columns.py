"""JSON columns of PostgreSQL: what Python's reader would drop, or not read, is an unreadable value."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider.core.input.doubled_keys import unique_keys
from airflow_provider.core.input.values import Unreadable, UnreadableValueError


def read_json_with_psycopg(cursor: Any) -> None:
    """Make the cursor return such values as unreadable ones.

    :param cursor: a cursor of psycopg 3.
    """
    from psycopg.types.json import set_json_loads

    set_json_loads(_loads, cursor)


def read_json_with_psycopg2(cursor: Any) -> None:
    """Make the cursor return such values as unreadable ones.

    :param cursor: a cursor of psycopg 2.
    """
    from psycopg2.extras import register_default_json, register_default_jsonb

    register_default_json(cursor, loads=_loads)
    register_default_jsonb(cursor, loads=_loads)


def _loads(text: str | bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except UnreadableValueError:
        return Unreadable("has a key twice in one object")
    except (ValueError, RecursionError):
        return Unreadable("has a number of thousands of digits, or is nested too deeply")
