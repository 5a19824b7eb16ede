"""Opening: from the id of an Airflow connection to the wire, with no credential where none is needed."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider.conformance.catalogue import SERVICES
from airflow_provider.conformance.check import Facts, Level, ServiceChecks
from airflow_provider.conformance.guard import Guard
from airflow_provider.conformance.meter import Meter
from airflow_provider.conformance.wire import Wire
from airflow_provider.connection_hooks import find_connection, hook_class
from airflow_provider.core.connection import ConnectionSpec, Settings, read_settings
from airflow_provider.core.http.auth import Credential
from airflow_provider.core.http.endpoint import Endpoint
from airflow_provider.core.urls import origin
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Connection

_log: Any = logging.getLogger(__name__)


FILLER = "x" * 6000
"""Text of a long URL, which no report repeats."""

_MIN_LOGIN = 8
"""Minimum characters of a login that no report may hold; a shorter one may be a word of the report."""


@dataclass
class OpenService:
    """A service as one connection leads to it.

    :param service: its checks.
    :param settings: the connection; without credentials at the level ``public``.
    :param wire: sends requests.
    :param guard: decides which requests may leave.
    :param facts: values of placeholders.
    """

    service: ServiceChecks
    settings: Settings
    wire: Wire
    guard: Guard
    facts: Facts = field(default_factory=dict)

    @property
    def secrets(self) -> set[str]:
        """Credentials of the connection, and tokens of this run."""
        settings = self.settings
        known = {*settings.secrets, *self.wire.secrets}
        # A client's id or a user's name is no secret, but it says whose report this is.
        return known | ({settings.login} if len(settings.login) >= _MIN_LOGIN else set())


def open_service(conn_id: str, level: Level, meter: Meter) -> OpenService:
    """Return the service that a connection leads to; sends nothing.

    :raises UnknownConnectionError: when the connection does not exist, or has another type.
    :raises InputError: with all problems of the connection.
    """
    connection = find_connection(conn_id)
    service = SERVICES[str(connection.conn_type)]
    hook = hook_class(service.name)(conn_id)
    if level == "public":
        settings = read_settings(_without_credentials(connection, hook.spec), _lenient(hook.spec))
        endpoint = Endpoint(settings, hook.bases(settings), Credential())
    else:
        endpoint = hook.transport.endpoint
        settings = endpoint.settings
    return _with_wire(service, settings, endpoint, Guard(service.name, level), meter)


def _with_wire(
    service: ServiceChecks, settings: Settings, endpoint: Endpoint, guard: Guard, meter: Meter
) -> OpenService:
    base, path = service.token_path
    if path:
        guard.token_url = f"{endpoint.bases[base]}/{path}"
    endpoint.bases = {**endpoint.bases, "origin": origin(settings.host)}
    wire = Wire(endpoint, _log, meter, guard, _headers(settings))
    unknown = secrets.token_hex(12)
    uuid = f"{unknown[:8]}-{unknown[8:12]}-4000-8000-{unknown[12:]}"
    facts: Facts = {"unknown": unknown, "unknown_uuid": uuid, "host": settings.host, "filler": FILLER}
    facts |= {"key": settings.extras.get("api_key"), "space": settings.extras.get("space")}
    facts["project"] = settings.extras.get("project_url")
    given = {name: value for name, value in facts.items() if value}
    return OpenService(service, settings, wire, guard, given)


def _headers(settings: Settings) -> Mapping[str, str]:
    preview = settings.extras.get("api_preview")
    return {"Prefer": f"preview={preview}"} if preview else {}


def _without_credentials(connection: Connection, spec: ConnectionSpec) -> Connection:
    """Return a copy of a connection without login, password and secret extras."""
    from airflow.sdk import Connection

    secret = {name for name, extra in spec.all_extras.items() if extra.secret}
    try:
        given = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InputError("extra is not a JSON object", f"connection '{connection.conn_id}'")
    extra: dict[str, Any] = {name: value for name, value in given.items() if name not in secret}
    return Connection(
        conn_id=connection.conn_id,
        conn_type=connection.conn_type,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        extra=json.dumps(extra),
    )


def _lenient(spec: ConnectionSpec) -> ConnectionSpec:
    extras = {name: extra._replace(required=False) for name, extra in spec.extras.items()}
    return spec._replace(login="optional", password="optional", extras=MappingProxyType(extras))  # noqa: S106
