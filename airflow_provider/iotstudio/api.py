"""Requests of the IoT Studio API, as data.

Routes and bodies are those of the vendor's OpenAPI file. Any 2xx is a success, because releases differ in
the status they send (200 instead of 201 for property writes since 2024.1).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from typing import Any, NamedTuple

from airflow_provider.core.http.auth import Token, read_token
from airflow_provider.core.http.call import UNSET, Call, Params, pairs, segment
from airflow_provider.core.http.reply import Reply, flat, read_nothing, read_reply, truncate
from airflow_provider.core.http.reply import read_error as read_usual_error
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.values import utc_text
from airflow_provider.errors import (
    ApiError,
    InputError,
    clauses,
    without_stop,
)
from airflow_provider.iotstudio.conditions import query_filters, read_bound, read_bounds, require_name

PAGE_SIZE = 1000
"""Maximum items per page; the service's default of 50 costs 20 times as many requests."""

IDS_PER_REQUEST = 150
"""Maximum Things named in one request: the URL stays below the 8 KB that servers commonly allow."""

EARLIEST_TIME, LATEST_TIME = "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
"""Bounds of a time range that has no start or no end: the API describes no open range."""

_IN_UTC = r"[0-9]{4}(-[0-9]{2}){0,2}|.*Z"
"""Texts of times that the API understands as they are: its short forms, and times in UTC."""

Values = dict[str, Any]


class Page(NamedTuple):
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
    """Return a path below a space, or below one of its categories; every part is one quoted segment.

    :raises InputError: for an id or name that is missing, empty or not a text: the path would lead elsewhere.
    """
    scope = ["categories", category] if category is not None else []
    names = ["spaces", space, *scope, *parts]
    for before, name in pairwise(names):
        if problems := require_name(name, _NAMED_AFTER.get(before, "id")):
            raise InputError(f"{problems[0]} and cannot be a name or an id in a request")
    return "/" + "/".join(map(segment, names))


_NAMED_AFTER = {
    "spaces": "space",
    "categories": "category",
    "things": "thing_id",
    "models": "model",
    "properties": "property",
    "properties-history": "property",
    "actions": "action",
    "events": "event",
    "cursor": "cursor",
}
"""Names of the ids and names in a path, by the segment before them."""


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
    return list_page(
        path,
        params,
        cursor,
        f"list the Things of {f'category {category!r}' if category else space}",
        _check_thing,
    )


def thing(space: str, thing_id: str) -> Call[dict[str, Any]]:
    """Read a Thing's description and current values."""

    def read(reply: Reply) -> dict[str, Any]:
        found = read_object(reply)
        _check_thing(found)
        return found

    return Call("GET", space_path(space, "things", thing_id), read=read, name=f"read Thing {thing_id}")


def _check_thing(thing: Mapping[str, Any]) -> None:
    if not isinstance(thing.get("uid"), str) or not thing["uid"]:
        raise ValueError("a Thing has no uid that is a text")
    for name in ("properties", "status", "actions", "events"):
        if not isinstance(thing.get(name) or {}, dict):
            raise ValueError(f"the {name} of a Thing are no object")


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
    start: Time | None = None,
    end: Time | None = None,
    cursor: str = "",
) -> Call[Page]:
    """List a page of recorded values, newest first.

    :param name: only this property; None for all.
    :param start: no value before this time; None for no limit.
    :param end: no value after this time; None for no limit.
    """
    path = space_path(space, "things", thing_id, "properties-history", *([] if name is None else [name]))
    at = {"at": time_range(start, end)}
    return list_page(path, at, cursor, f"read the history of Thing {thing_id}", check_values)


def check_values(item: Mapping[str, Any]) -> None:
    """Raise for an item of a history that is no time with values.

    :raises ValueError: saying what was expected.
    """
    if not isinstance(item.get("properties"), dict):
        raise ValueError("the values of a time are no object")
    if parse_time(item["at"]).year > _LAST_YEAR:
        raise ValueError("a value is of a time that no calendar reaches")


_LAST_YEAR = 9000
"""Last year of values, so that there is a time after each of them."""


def request_action(space: str, thing_id: str, action: str, input_value: Any = None) -> Call[dict[str, Any]]:
    """Request an action of a Thing. The call is not repeatable: the Thing could act twice.

    :param input_value: the action's input; None sends none.
    """
    path = space_path(space, "things", thing_id, "actions", action)
    entry = {} if input_value is None else {"input": input_value}
    return add_entry(path, action, entry, f"request action '{action}' of Thing {thing_id}")


def action(space: str, thing_id: str, name: str, action_id: str) -> Call[dict[str, Any]]:
    """Read one requested action."""
    return read_entry("action", space, thing_id, name, action_id)


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


def add_entry(path: str, name: str, entry: Mapping[str, Any], call_name: str) -> Call[dict[str, Any]]:
    """Add an action or event to a Thing's list. Not repeatable: a repeated request would add a second one.

    :param path: path of the list.
    :param name: name of the action or event, which wraps the entry in the body and in the reply.
    :param entry: its ``input`` or ``data``; empty without.
    :param call_name: name of the call.
    """
    return Call(
        "POST",
        path,
        json={name: entry},
        repeatable=False,
        read=lambda reply: unwrap_entry(read_object(reply), name),
        name=call_name,
    )


def read_entry(kind: str, space: str, thing_id: str, name: str, entry_id: str) -> Call[dict[str, Any]]:
    """Read one entry of the kind ``action`` or ``event`` of a Thing."""
    return Call(
        "GET",
        space_path(space, "things", thing_id, f"{kind}s", name, entry_id),
        read=lambda reply: unwrap_entry(read_object(reply), name),
        name=f"read {kind} '{name}' {entry_id} of Thing {thing_id}",
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
    :raises InputError: for a condition that is empty, or that the service does not understand.
    """
    return query_filters(properties)


def parse_time(text: str) -> datetime:
    """Parse a time of the API, as UTC without an offset.

    Times of actions have a blank instead of ``T``, and an offset without a colon.
    """
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


Time = str | datetime | date | float
"""A time as users write it, see :func:`~airflow_provider.iotstudio.conditions.read_bound`."""


def time_range(start: Time | None, end: Time | None) -> str | None:
    """Return a time range as ``start|end``; None when both ends are open.

    :raises InputError: when a bound is empty or not a time.
    """
    if start is None and end is None:
        return None
    raise_problems(read_bounds(start, end)[1], "the time span")
    first = EARLIEST_TIME if start is None else format_time(start, "start")
    return f"{first}|{LATEST_TIME if end is None else format_time(end, 'end')}"


def format_time(moment: Time, name: str) -> str:
    """Return a time as text for the API, in UTC; a text in UTC, and a short form, unchanged.

    :param moment: the time.
    :param name: name of the argument, for the error.
    :raises InputError: when it is missing, empty or not a time.
    """
    bound = read_bound(moment, name)
    if bound is None:
        raise InputError(f"'{name}' is missing", name)
    if isinstance(moment, str) and re.fullmatch(_IN_UTC, moment.strip()):
        return moment.strip()
    return utc_text(bound)


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
        return code, f"{without_stop(message)}. See the connection's extra 'scopes'."
    try:
        details = reply.json()["error"]["details"]
        fields = clauses(*(f"{name}: {flat(text)}" for name, text in details.items()))
    except (ValueError, LookupError, TypeError, AttributeError):
        return code, message
    return code, truncate(f"{without_stop(message)} ({without_stop(fields)})") if fields else message


def list_page(
    path: str,
    params: Params | None,
    cursor: str,
    name: str,
    check: Callable[[Mapping[str, Any]], None] | None = None,
) -> Call[Page]:
    """Build the request for one page of a list, of the largest size unless ``params`` has a ``limit``.

    :param check: raises for an item of another form.
    """
    query: dict[str, Any] = {"limit": PAGE_SIZE, **_joined(params)}
    if cursor:
        query["next_cursor"] = cursor

    def read(reply: Reply) -> Page:
        page = _page(reply)
        if check is not None:
            for item in page.items:
                check(item)
        return page

    return Call("GET", path, params=query, read=read, name=name)


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
    if "data" not in body:  # An object of another kind is no empty list.
        raise ValueError("the reply has no list 'data'")
    items = [] if body["data"] is None else body["data"]
    cursor = (body.get("paging") or {}).get("next_cursor") or ""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("data is not a list of objects")
    if not isinstance(cursor, str):
        raise ValueError("next_cursor is not a text")
    return Page(items, cursor)


def read_object(reply: Reply) -> dict[str, Any]:
    """Read a reply that must be a JSON object."""
    try:
        body = reply.json()
    except ValueError:
        _raise_for_nan(reply)
        raise
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")
    return body


def _raise_for_nan(reply: Reply) -> None:
    """Raise at once for a reply with NaN or an infinity, which another attempt would not change.

    :raises ApiError: naming the place of the value.
    """
    try:
        where = next(_not_finite(json.loads(reply.body), ""), "")
    except (ValueError, RecursionError):
        return
    if where:
        message = f"the reply has a value that is no JSON number{where}; overwrite it with a number or null"
        raise ApiError(reply.status, "", truncate(message))


def _not_finite(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f": {value} as{where}"
    elif isinstance(value, dict):
        owner = f" of Thing {value['uid']}" if "uid" in value else ""
        for name, item in value.items():
            yield from _not_finite(item, f" '{name}'{owner}{where}")
    elif isinstance(value, list):
        for item in value:
            yield from _not_finite(item, where)


def _object_or_nothing(reply: Reply) -> dict[str, Any]:
    return read_object(reply) if reply.body.strip() else {}
