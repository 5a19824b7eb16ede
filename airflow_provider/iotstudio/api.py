"""Requests of the IoT Studio API, as data.

Routes and bodies are those of the vendor's OpenAPI file. Any 2xx is a success, because releases differ in
the status they send (200 instead of 201 for property writes since 2024.1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from airflow_provider.core.http.auth import Token, read_token
from airflow_provider.core.http.call import UNSET, Call, Params, pairs, segment
from airflow_provider.core.http.reply import Reply, read_nothing, read_reply, truncate
from airflow_provider.core.http.reply import read_error as read_usual_error

PAGE_SIZE = 1000
"""Maximum items per page; the service's default of 50 costs 20 times as many requests."""

IDS_PER_REQUEST = 150
"""Maximum Things named in one request: the URL stays below the 8 KB that servers commonly allow."""

EARLIEST_TIME, LATEST_TIME = "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
"""Bounds of a time range that has no start or no end: the API describes no open range."""

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    :param items: the items; an empty page is not the end.
    :param cursor: the next page's cursor; empty at the end.
    """

    items: list[dict[str, Any]]
    cursor: str


def token(client_id: str, client_secret: str, scopes: Sequence[str]) -> Call[Token]:
    """Request an access token with client credentials.

    The credentials go in the body, as the vendor's client sends them; an empty list of scopes is left out.
    """
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    if scopes:
        form["scope"] = " ".join(scopes)
    return Call(
        "POST", "/oauth2/token", form=form, read=read_token, authenticated=False, name="get an access token"
    )


def revoke(client_id: str, client_secret: str, value: str) -> Call[None]:
    """Revoke an access token; only the client that it was issued to may."""
    form = {"token": value, "client_id": client_id, "client_secret": client_secret}
    return Call(
        "POST",
        "/oauth2/revoke",
        form=form,
        read=read_nothing,
        authenticated=False,
        name="revoke the access token",
    )


def space_path(space: str, *parts: str, category: str | None = None) -> str:
    """Return a path below a space, or below one of its categories; every part is one quoted segment."""
    scope = ["categories", category] if category else []
    return "/" + "/".join(segment(part) for part in ("spaces", space, *scope, *parts))


def categories(space: str, cursor: str = "") -> Call[Page]:
    """List a page of categories."""
    return list_page(space_path(space, "categories"), None, cursor, "list the categories")


def things(
    space: str, *, category: str | None = None, params: Params | None = None, cursor: str = ""
) -> Call[Page]:
    """List a page of Things, each with its current values in ``status``.

    :param params: filters as the API writes them (``{"property:temperature": "gt:20"}``), ``sort``, and
        ``limit``, the size of a page.
    :param cursor: the page's cursor; empty for the first page.
    """
    path = space_path(space, "things", category=category)
    return list_page(path, params, cursor, f"list the Things of {category or space}")


def thing(space: str, thing_id: str) -> Call[dict[str, Any]]:
    """Read a Thing's description and current values."""
    return Call("GET", space_path(space, "things", thing_id), read=read_object, name=f"read Thing {thing_id}")


def properties(space: str, thing_id: str) -> Call[Values]:
    """Read all current values of a Thing."""
    path = space_path(space, "things", thing_id, "properties")
    return Call("GET", path, read=read_object, name=f"read the properties of Thing {thing_id}")


def property_value(space: str, thing_id: str, name: str) -> Call[Any]:
    """Read one current value."""
    path = space_path(space, "things", thing_id, "properties", name)
    return Call(
        "GET", path, read=lambda reply: read_object(reply)[name], name=f"read '{name}' of Thing {thing_id}"
    )


def write_properties(
    space: str, thing_id: str, values: Mapping[str, Any], *, update_history: bool = True
) -> Call[Values]:
    """Set values of a Thing in one request.

    A repeated request sets the same values, but records them twice.

    :param values: value by property name; JSON types are sent as they are.
    :param update_history: False keeps the values out of the history; only then the call is repeatable.
    """
    return Call(
        "PUT",
        space_path(space, "things", thing_id, "properties"),
        params=None if update_history else {"update_history": False},
        json=dict(values),
        repeatable=not update_history,
        read=_object_or_nothing,
        name=f"write {_shortened(values)} of Thing {thing_id}",
    )


def _shortened(names: Collection[str]) -> str:
    """Return the first names and the number of the others, for a message."""
    first = ", ".join(islice(names, 3))
    return f"{first} and {len(names) - 3} more" if len(names) > 3 else first


def history(
    space: str,
    thing_id: str,
    *,
    name: str | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    cursor: str = "",
) -> Call[Page]:
    """List a page of recorded values, newest first.

    :param name: only this property; None for all.
    :param start: no value before this time; None for no limit.
    :param end: no value after this time; None for no limit.
    """
    path = space_path(space, "things", thing_id, "properties-history", *([name] if name else []))
    return list_page(path, {"at": time_range(start, end)}, cursor, f"read the history of Thing {thing_id}")


def request_action(space: str, thing_id: str, action: str, input_value: Any = None) -> Call[dict[str, Any]]:
    """Request an action of a Thing. The call is not repeatable: the Thing could act twice.

    :param input_value: the action's input; None sends none.
    """
    return Call(
        "POST",
        space_path(space, "things", thing_id, "actions", action),
        json={action: {} if input_value is None else {"input": input_value}},
        repeatable=False,
        read=lambda reply: unwrap_entry(read_object(reply), action),
        name=f"request action '{action}' of Thing {thing_id}",
    )


def action(space: str, thing_id: str, name: str, action_id: str) -> Call[dict[str, Any]]:
    """Read one requested action."""
    return Call(
        "GET",
        space_path(space, "things", thing_id, "actions", name, action_id),
        read=lambda reply: unwrap_entry(read_object(reply), name),
        name=f"read action '{name}' {action_id} of Thing {thing_id}",
    )


def actions(space: str, thing_id: str, name: str, cursor: str = "") -> Call[Page]:
    """List a page of a Thing's requested actions of one name; the service keeps the last hundred."""
    path = space_path(space, "things", thing_id, "actions", name)
    call = list_page(path, {"limit": 100}, cursor, f"list the actions '{name}' of Thing {thing_id}")

    def read(reply: Reply) -> Page:
        page = _page(reply)
        return Page([unwrap_entry(item, name) for item in page.items], page.cursor)

    return call.with_reader(read)


def raw_request(method: str, path: str, params: Params | None, json: Any) -> Call[Reply]:
    """Build any other request; its result is the raw reply.

    :param path: from the host's root, quoted.
    :param json: the body; None sends none.
    """
    patch = {"Content-Type": "application/json-patch+json"} if method == "PATCH" else {}
    return Call(
        method,
        path,
        params=params,
        json=UNSET if json is None else json,
        headers=patch,
        repeatable=method in {"GET", "HEAD", "PUT", "DELETE"},
        read=read_reply,
    )


def unwrap_entry(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an action or event without its wrapper, and with its ``id``: the last segment of ``href``."""
    found = dict(body[name])
    return {"id": str(found["href"]).rstrip("/").rpartition("/")[2], **found}


def filters(properties: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return conditions on property values as query parameters. All must hold; the service evaluates them.

    :param properties: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``. The
        operators are ``eq`` (the default), ``neq``, ``gt``, ``gte``, ``lt``, ``lte``, ``contains``. A list
        holds several conditions for one property.
    """
    return {
        name if name.startswith("property:") else f"property:{name}": condition
        for name, condition in (properties or {}).items()
    }


def parse_time(text: str) -> datetime:
    """Parse a time of the API, as UTC without an offset.

    Times of actions have a blank instead of ``T``, and an offset without a colon.
    """
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def time_range(start: str | datetime | None, end: str | datetime | None) -> str | None:
    """Return a time range as ``start|end``; None when both ends are open."""
    if start is None and end is None:
        return None
    return f"{format_time(start) or EARLIEST_TIME}|{format_time(end) or LATEST_TIME}"


def format_time(moment: str | datetime | None) -> str:
    """Return a time as text for the API: a datetime in UTC, a text unchanged, and an empty text for None."""
    if not isinstance(moment, datetime):
        return moment or ""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def scope_for(method: str, path: str) -> str:
    """Return the scope that a request needs, as the vendor's docs list them."""
    if "/query/" in path:
        return "query"
    acts = {"GET": "read", "HEAD": "read", "POST": "create", "PUT": "update", "PATCH": "update"}
    kind = "thing"
    if "/things" not in path:
        kind = "category" if "/categories" in path else "model" if "/models" in path else "thing"
    return f"{kind}.{acts.get(method, 'delete')}"


def read_error(reply: Reply) -> tuple[str, str]:
    """Read code and message of an error; the message includes the details of each field."""
    code, message = read_usual_error(reply)
    if code == "invalid_scope":
        return code, f"{message} See the connection's extra 'scopes'."
    try:
        details = reply.json()["error"]["details"]
        fields = "; ".join(f"{name}: {text}" for name, text in details.items())
    except (ValueError, LookupError, TypeError, AttributeError):
        return code, message
    return code, truncate(f"{message} ({fields})") if fields else message


def list_page(path: str, params: Params | None, cursor: str, name: str) -> Call[Page]:
    """Build the request for one page of a list, of the largest size unless ``params`` has a ``limit``."""
    query: dict[str, Any] = {"limit": PAGE_SIZE, **_joined(params)}
    if cursor:
        query["next_cursor"] = cursor
    return Call("GET", path, params=query, read=_page, name=name)


def _joined(params: Params | None) -> dict[str, Any]:
    """Return parameters with repeated values as lists; ``sort`` becomes one text, separated by commas."""
    query: dict[str, Any] = {}
    for name, value in pairs(params):
        query.setdefault(name, []).append(value)
    if "sort" in query:
        query["sort"] = ",".join(query["sort"])
    return query


def _page(reply: Reply) -> Page:
    body = read_object(reply)
    items = body.get("data") or []
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("data is not a list of objects")
    return Page(items, (body.get("paging") or {}).get("next_cursor") or "")


def read_object(reply: Reply) -> dict[str, Any]:
    """Read a reply that must be a JSON object."""
    body = reply.json()
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    return body


def _object_or_nothing(reply: Reply) -> dict[str, Any]:
    return read_object(reply) if reply.body.strip() else {}
