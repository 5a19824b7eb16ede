"""Addresses: the extra ``rate_limit_store`` of a connection, validated, and the store that it names."""

from __future__ import annotations

import json
import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode, urlsplit

from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_provider.core.limits.redis_store import RedisStore
    from airflow_provider.core.limits.semaphore import Semaphore
    from airflow_provider.core.limits.store import Store

PROCESS = "process"

_SCHEMES = ("redis", "rediss", "unix")

_TLS_OPTIONS = (
    *("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"),
)

_NO = frozenset({"", "false", "0", "no", "off", "none", "null"})
"""Values of a connection's extra ``ssl`` that mean no TLS."""

_FORMS = (
    "'process', the absolute path of a folder, a URL (redis://, rediss:// or unix://), or the id of an"
    " Airflow connection of type redis"
)

_stores: dict[tuple[str, str], Store] = {}


def read_address(value: object) -> str:
    """Return the value of the extra in its one form.

    :raises ValueError: completing "extra 'rate_limit_store' must be ...", without the value.
    """
    if not isinstance(value, str):
        raise ValueError(_FORMS)
    text = value.strip()
    if "://" in text:
        return _read_url(text)
    if text.startswith("/"):
        return os.path.normpath(text)
    if text and not re.fullmatch(r"[\w.\-]+", text, re.ASCII):
        raise ValueError(_FORMS)
    return text


def _read_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        where = parts.path if parts.scheme == "unix" else parts.hostname
        _ = parts.port
    except ValueError:
        where = None
        parts = urlsplit("")
    # The client ignores a database that is no number, and takes 0.
    is_database = parts.scheme == "unix" or re.fullmatch(r"/?[0-9]*/?", parts.path)
    if parts.scheme not in _SCHEMES or not where or not is_database:
        raise ValueError(_FORMS)
    return text


def is_connection_id(address: str) -> bool:
    """Return whether an address is the id of an Airflow connection."""
    return bool(address) and address != PROCESS and "/" not in address


def secrets_of(address: str) -> list[str]:
    """Return the credentials that an address holds: a whole URL, and its password."""
    if "://" not in address:
        return []
    password = urlsplit(address).password or ""
    return [address, *({password, unquote(password)} - {""})]


def address_of(connection: Connection) -> str:
    """Return the URL that an Airflow connection of type redis stands for.

    :raises InputError: when it is of another type, or names no host.
    """
    subject = f"extra 'rate_limit_store': connection '{connection.conn_id}'"
    if connection.conn_type != "redis":
        raise InputError(f"its type is '{connection.conn_type}', not 'redis'", subject)
    if not connection.host:
        raise InputError("host is missing", subject)
    extra = _extra_of(connection)
    user = quote(connection.login or "", safe="")
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    # As in Airflow's own hook, any other value means TLS: a text such as "yes" must not switch it off.
    scheme = "redis" if str(extra.get("ssl") or "").strip().lower() in _NO else "rediss"
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    options = {name: str(extra[name]) for name in _TLS_OPTIONS if extra.get(name) not in (None, "")}
    query = f"?{urlencode(options)}" if options and scheme == "rediss" else ""
    access = f"{user}{password}@" if user or password else ""
    url = f"{scheme}://{access}{host}:{connection.port or 6379}/{extra.get('db') or 0}{query}"
    try:
        return read_address(url)
    except ValueError:
        raise InputError("host, port or db is invalid", subject) from None


def _extra_of(connection: Connection) -> dict[str, object]:
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        extra = None
    return extra if isinstance(extra, dict) else {}


def open_store(address: str) -> Store:
    """Return the store at an address, with the stores that take its place while it cannot be used.

    :raises InputError: when the package ``redis`` is needed and missing.
    """
    key = place_of(address)
    found = _stores.get(key)
    return found if found is not None else _stores.setdefault(key, _new_store(address))


def place_of(address: str) -> tuple[str, str]:
    """Return a key of the store at an address: the environment may name another folder for the machine."""
    from airflow_provider.core.limits.machine import FOLDER_VARIABLE

    return address, "" if address.startswith("/") else os.environ.get(FOLDER_VARIABLE, "")


def _new_store(address: str) -> Store:
    from airflow_provider.core.limits.fallback import FallbackStore
    from airflow_provider.core.limits.machine import MachineStore

    if address == PROCESS:
        return _process_store()
    if "://" not in address:
        return FallbackStore(MachineStore(address), _process_store())
    machine = FallbackStore(MachineStore(), _process_store())
    return FallbackStore(_redis_store(address), machine)


def open_semaphore(address: str, key: str, limit: int) -> Semaphore:
    """Return the semaphore of a connection in the store at an address, with those that take its place.

    :param address: address of the store, see :func:`open_store`.
    :param key: digest of the connection.
    :param limit: maximum requests at once.
    :raises InputError: when the package ``redis`` is needed and missing.
    """
    from airflow_provider.core.limits.fallback import FallbackSemaphore
    from airflow_provider.core.limits.machine import MachineStore
    from airflow_provider.core.limits.machine_semaphore import MachineSemaphore
    from airflow_provider.core.limits.semaphore import ProcessSemaphore

    process = ProcessSemaphore(limit)
    if address == PROCESS:
        return process
    is_redis = "://" in address
    machine = FallbackSemaphore(
        MachineSemaphore(MachineStore("" if is_redis else address), key, limit), process
    )
    if not is_redis:
        return machine
    store = _redis_store(address)
    from airflow_provider.core.limits.redis_semaphore import RedisSemaphore

    return FallbackSemaphore(RedisSemaphore(store, key, limit), machine)


def _redis_store(address: str) -> RedisStore:
    if find_spec("redis") is None:
        raise InputError(
            "extra 'rate_limit_store' needs the package redis: install airflow-provider-digital-twin[redis]"
        )
    from airflow_provider.core.limits.redis_store import RedisStore

    return RedisStore(address)


def _process_store() -> Store:
    from airflow_provider.core.limits.process import ProcessStore

    return _stores.setdefault((PROCESS, ""), ProcessStore())
