"""Requests of LeanIX's Integration API and of its token endpoint, as data.

Paths, parameters and replies are those of the vendor's OpenAPI file, unless a comment states otherwise.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider.core.http.auth import Token, read_token
from airflow_provider.core.http.call import SUCCESS, Call, segment
from airflow_provider.core.http.reply import Reply, read_nothing
from airflow_provider.core.input.conditions import raise_problems, text_condition
from airflow_provider.core.input.values import is_missing
from airflow_provider.core.redaction import loggable
from airflow_provider.errors import InputError, RequestRejectedError, ServerError

HEADER_ARGUMENTS: Mapping[str, str] = {
    "connectorType": "connector_type",
    "connectorId": "connector_id",
    "connectorVersion": "connector_version",
    "processingDirection": "processing_direction",
    "processingMode": "processing_mode",
    "lxVersion": "lx_version",
    "lxWorkspace": "lx_workspace",
    "description": "description",
    "customFields": "custom_fields",
}
"""Header fields of an LDIF, and the arguments that set them."""

KEY_FIELDS = tuple(HEADER_ARGUMENTS)[:5]
"""Header fields that together select a processor configuration."""

REQUIRED_FIELDS = KEY_FIELDS[:4]
"""Key fields without a default."""

DIRECTIONS = ("inbound", "outbound")
"""Values of the header field ``processingDirection``."""

MODES = ("partial", "full")
"""Values of the header field ``processingMode``."""

MAX_TEXT_LENGTH = 500
"""Maximum characters of a header field."""

API = "services/integration-api/v1"
RUNS = f"{API}/synchronizationRuns"

SYNC_LOG = "services/synclog/v1"

PAGE = 100
"""Warnings per page, the maximum of the API."""

CREATED = "CREATED"
LIVE = frozenset({"SEQUENTIALIZED", "PENDING", "IN_PROGRESS"})
FINISHED = "FINISHED"
STOPPED = "STOPPED"
UNSUCCESSFUL = frozenset({"FAILED", STOPPED})
ENDED = UNSUCCESSFUL | {FINISHED}
KNOWN_STATUSES = LIVE | ENDED | {CREATED}
"""Statuses of a run in the vendor's documentation."""

_UI_HOSTS = ".leanix.net"
"""End of the names of hosts that are LeanIX's."""

_SUCCESS_OR_400 = SUCCESS | {400}

_SUCCESS_OR_CONFLICT = SUCCESS | {400, 409}
"""Statuses of a start and a stop; the vendor documents 400 for a run in another status."""


TOKEN_PATH = "services/mtm/v1/oauth2/token"  # noqa: S105 - a path


def fetch_token(api_token: str) -> Call[Token]:
    """Request an access token, which is valid for an hour."""
    pair = base64.b64encode(f"apitoken:{api_token}".encode()).decode()
    return Call(
        "POST",
        TOKEN_PATH,
        base="auth",
        form={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {pair}"},
        authenticated=False,
        read=read_token,
        name="fetch a token",
    )


def create_run(
    content: bytes | Callable[[], Iterator[bytes]], execution_group: str | None = None
) -> Call[str]:
    """Create a run without starting it; return its id.

    The reply for a group has the configurations too, with their secrets; nothing but the id is read.

    :param content: the LDIF, or a function that opens it as a stream of chunks.
    :param execution_group: the group whose configurations are run; None for the one that the header selects.
    """
    return Call(
        "POST",
        RUNS if execution_group is None else f"{RUNS}/withExecutionGroup",
        params={"groupName": execution_group},
        content=content,
        headers={"Content-Type": "application/json"},
        repeatable=False,
        read=_read_run_id,
        name="create a run",
    )


def create_run_from_url(url: str, kind: str | None = None, execution_group: str | None = None) -> Call[str]:
    """Create a run whose LDIF the service fetches from a URL; return its id.

    :param url: location of the LDIF; may contain a signature.
    :param kind: ``azureStorage`` for a URL of :func:`create_upload_url`, else None.
    :param execution_group: see :func:`create_run`.
    """
    return Call(
        "POST",
        f"{RUNS}/{'withUrlInput' if execution_group is None else 'withExecutionGroupAndUrlInput'}",
        params={"groupName": execution_group},
        json={"url": url, "type": kind},
        repeatable=False,
        read=_read_run_id,
        name="create a run from a URL",
    )


def start_run(run_id: str, *, test: bool = False) -> Call[bool]:
    """Start a run; return False when it was started before, which the service answers with 400 (or 409).

    :param test: a dry run that changes nothing.
    """
    return Call(
        "POST",
        _run_path(run_id, "start"),
        params={"test": True if test else None},
        success_statuses=_SUCCESS_OR_CONFLICT,
        read=_read_accepted,
        name="start the run",
    )


def stop_run(run_id: str) -> Call[bool]:
    """Stop a run; return False when it was not queued or running, answered by 400 or 409."""
    return Call(
        "POST",
        _run_path(run_id, "stop"),
        success_statuses=_SUCCESS_OR_CONFLICT,
        read=_read_accepted,
        name="stop the run",
    )


def list_runs() -> Call[list[dict[str, Any]]]:
    """List all runs of the workspace with id, status and description; the list has no filters or pages."""
    return Call("GET", RUNS, read=_read_list, name="list runs")


def list_statuses() -> Call[dict[str, str]]:
    """List the status of each run of the workspace by its id; decoded faster than :func:`list_runs`."""
    return Call("GET", RUNS, read=_read_statuses, name="list runs")


def list_ended_runs() -> Call[list[EndedRun]]:
    """List the ended runs of the workspace with any of the ended statuses; decoded as fast."""
    return Call("GET", RUNS, read=_read_ended_runs, name="list runs")


def get_status(run_id: str) -> Call[str]:
    """Return a run's status."""
    return Call("GET", _run_path(run_id, "status"), read=_read_status, name="read the run's status")


def get_progress(run_id: str) -> Call[dict[str, Any]]:
    """Return a run's progress; the counters of an inbound run are those of its current run level."""
    return Call("GET", _run_path(run_id, "progress"), read=_read_object, name="read the run's progress")


def get_stats(run_id: str) -> Call[dict[str, Any]]:
    """Return a run's statistics."""
    return Call("GET", _run_path(run_id, "stats"), read=_read_object, name="read the run's statistics")


def get_warnings(run_id: str, page: int) -> Call[list[dict[str, Any]] | None]:
    """Return a page of a run's warnings; None when it has no sync log, which the service answers with 400.

    :param page: number of the page, from 0.
    """
    return Call(
        "GET",
        _run_path(run_id, "warnings"),
        params={"offset": page * PAGE, "limit": PAGE},
        success_statuses=_SUCCESS_OR_400,
        read=lambda reply: None if reply.status == 400 else _read_list(reply),
        name="read the run's warnings",
    )


def get_results(run_id: str) -> Call[Reply]:
    """Return the LDIF that a run produced; 204 when there is none, or none yet."""
    return Call("GET", _run_path(run_id, "results"), read=lambda reply: reply, name="read the run's results")


def has_results(run_id: str) -> Call[bool]:
    """Return whether a run's LDIF can be read from the API itself, without reading it."""
    return Call(
        "GET",
        _run_path(run_id, "results"),
        status_only=True,
        read=lambda reply: reply.status != 204,
        name="check the run's results",
    )


def get_results_url(run_id: str) -> Call[str | None]:
    """Return a link to the LDIF that a run produced; None when there is none, or none yet."""
    return Call(
        "GET",
        _run_path(run_id, "resultsUrl"),
        read=_read_link,
        name="read the link to the run's results",
    )


def list_configurations(filters: Mapping[str, str | None]) -> Call[list[dict[str, Any]]]:
    """List stored processor configurations.

    :param filters: values of any of the five key fields; None does not filter.
    """
    return Call(
        "GET",
        f"{API}/configurations",
        params=dict(filters),
        read=_read_configurations,
        name="list processor configurations",
    )


def put_configuration(configuration: Mapping[str, Any]) -> Call[None]:
    """Create or replace the processor configuration with the same key."""
    return Call(
        "PUT",
        f"{API}/configurations",
        json=dict(configuration),
        read=read_nothing,
        name="put a processor configuration",
    )


def list_sync_items(workspace_id: str, page: int, size: int, status: str | None = None) -> Call[list[Any]]:
    """List a page of the sync log's items, newest first.

    :param page: number of the page, from 1.
    :param size: maximum items of the page.
    :param status: status of the items; None for all.
    """
    # Not in the OpenAPI file: as a script in the vendor's public repository asks.
    params = {
        "workspaceId": workspace_id,
        "status": status,
        "size": size,
        "page": page,
        "sort": "createdAt-desc",
    }
    return Call("GET", f"{SYNC_LOG}/syncItems", params=params, read=_read_data, name="list sync items")


def list_synchronizations() -> Call[list[Any]]:
    """List synchronizations of the sync log: those that the service returns without parameters."""
    return Call("GET", f"{SYNC_LOG}/synchronizations", read=_read_data, name="list synchronizations")


def create_upload_url() -> Call[str]:
    """Create a file in the service's storage for a large LDIF; return the URL to upload it to."""
    return Call(
        "GET",
        f"{API}/storages/azure",
        read=lambda reply: _text_of(_read_object(reply), "SAS"),
        name="create an upload URL",
    )


def read_claims(token: str) -> dict[str, Any]:
    """Read the claims of an access token without verifying it; empty when the token is no JWT.

    Known clients use ``instanceUrl`` and ``principal.permission`` with ``workspaceId`` and ``workspaceName``.
    """
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def workspace_id_of(claims: Mapping[str, Any]) -> str:
    """Return the id of a token's workspace; empty when the claims do not have it."""
    return _permission(claims, "workspaceId")


def workspace_name_of(claims: Mapping[str, Any]) -> str:
    """Return the workspace's name as in the URLs of the UI; empty when the claims do not have it."""
    return _permission(claims, "workspaceName")


def sync_log_page(claims: Mapping[str, Any], hosts: Collection[str]) -> str:
    """Return the URL of a workspace's sync log in the UI; empty when the claims have none.

    Airflow's UI shows it as a link of LeanIX, so it must lead to a host of the connection, or of LeanIX.

    :param claims: claims of an access token.
    :param hosts: names of the connection's hosts.
    """
    from airflow_provider.core.urls import is_loopback, split_plain

    instance = claims.get("instanceUrl")
    if not isinstance(instance, str) or "?" in instance or "#" in instance:
        return ""
    try:
        parts = split_plain(instance)
        url = loggable(f"{instance.rstrip('/')}/{segment(workspace_name_of(claims))}/admin/synclog")
    except ValueError:
        return ""
    host = (parts.hostname or "").lower()
    is_known = host in hosts or host.endswith(_UI_HOSTS)
    return url if is_known and (parts.scheme == "https" or is_loopback(host)) else ""


def _permission(claims: Mapping[str, Any], name: str) -> str:
    principal = claims.get("principal")
    permission = principal.get("permission") if isinstance(principal, Mapping) else None
    return str(permission.get(name) or "") if isinstance(permission, Mapping) else ""


def check_run_id(run_id: Any) -> str:
    """Return the id of a run as a text.

    :raises InputError: for an empty or missing id, which would select something else, or nothing.
    """
    raise_problems(run_id_problems(run_id))
    return str(run_id)


def run_id_problems(run_id: Any) -> list[str]:
    """Return what is wrong with the id of a run.

    :param run_id: the id.
    """
    if run_id is None or is_missing(run_id):
        return [f"run_id is {'missing' if run_id is None else 'empty'}"]
    if problems := text_condition(run_id, "run_id"):
        return problems
    try:
        segment(run_id)
    except InputError as error:
        return [f"run_id: {problem}" for problem in error.problems]
    return []


def id_of_run(row: Mapping[str, Any]) -> str:
    """Return the id of a run in the list of runs.

    :param row: the run.
    :raises ServerError: when it has no id, or one that no log may have.
    """
    run_id = row.get("id")
    problem = "" if isinstance(run_id, (str, int)) and run_id != "" else "it has none"
    try:
        loggable(str(run_id))
    except ValueError as error:
        problem = str(error)
    if problem:
        raise ServerError(200, "", f"the list of runs has one whose id cannot be used: {problem}")
    return str(run_id)


def _run_path(run_id: str, resource: str) -> str:
    run_id = check_run_id(run_id)
    return f"{RUNS}/{segment(run_id)}/{resource}"


def _read_run_id(reply: Reply) -> str:
    # The OpenAPI file has a list; every known client and the documentation have an object.
    body = reply.json()
    return loggable(_text_of(body[0] if isinstance(body, list) else body, "id"))


def _read_accepted(reply: Reply) -> bool:
    return reply.status in SUCCESS


def _read_status(reply: Reply) -> str:
    return loggable(_text_of(_read_object(reply), "status"))


def _read_link(reply: Reply) -> str | None:
    body = _read_object(reply)
    return None if body.get("url") is None else _text_of(body, "url")


def _text_of(body: Any, name: str) -> str:
    """Return a member of an object that must be a text, and not empty."""
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"the reply has no text '{name}'")
    return value


class _RunRow(msgspec.Struct, gc=False):
    """Id and status of a run in the list."""

    id: str = ""
    status: str | None = None


class EndedRun(_RunRow, gc=False):
    """A run of the list that has ended."""

    description: str | None = None


def _read_statuses(reply: Reply) -> dict[str, str]:
    return {row.id: row.status or "" for row in msgspec.json.decode(reply.body, type=list[_RunRow])}


def _read_ended_runs(reply: Reply) -> list[EndedRun]:
    return [row for row in msgspec.json.decode(reply.body, type=list[EndedRun]) if row.status in ENDED]


def _read_object(reply: Reply) -> dict[str, Any]:
    body = reply.json()
    if not isinstance(body, dict):
        raise ValueError("the reply is no JSON object")
    return body


def _read_list(reply: Reply) -> list[dict[str, Any]]:
    body = reply.json()
    if isinstance(body, dict) and "errors" in body:
        raise RequestRejectedError(reply.status)
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise ValueError("the reply is no list of JSON objects")
    return body


def _read_configurations(reply: Reply) -> list[dict[str, Any]]:
    body = reply.json()
    # The OpenAPI file has an object within a list, and leaves open which of them is meant.
    return [body] if isinstance(body, dict) and KEY_FIELDS[0] in body else _read_list(reply)


def _read_data(reply: Reply) -> list[dict[str, Any]]:
    """Return the objects of a reply of the sync log: a list, or an object with it as ``data``."""
    body = reply.json()
    rows = body.get("data") if isinstance(body, dict) else body
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("the reply is no list of JSON objects, nor an object with one as 'data'")
    return rows


def lower(value: Any) -> Any:
    """Return a text in lower case, and any other value unchanged."""
    return value.lower() if isinstance(value, str) else value
