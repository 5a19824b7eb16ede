"""Queries in a small part of AQL: lists, filters on a field, ranges, and the ``then`` operations."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.filters import matches
from airflow_provider.sandbox.iotstudio.records import QueryCursor, Thing
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply
from airflow_provider.sandbox.iotstudio.routes.properties import check_values, store_values
from airflow_provider.sandbox.iotstudio.validation import is_of

MAX_BATCH = 1000
"""Maximum rows of a batch."""
DEFAULT_TTL = 30
"""Seconds that a cursor lives without use."""

LOOP = re.compile(
    r"\s*FOR\s+(?P<name>\w+)\s+IN\s+(?:RANGE\((?P<low>\S+?)\s*,\s*(?P<high>\S+?)\)|(?P<source>\w+))"
    r"(?:\s+FILTER\s+(?P<filter>.+?))?(?:\s+LIMIT\s+(?P<limit>\S+))?\s+RETURN\s+(?P<result>[\w.]+)\s*",
    re.IGNORECASE | re.DOTALL,
)
HAS = re.compile(r"HAS\((?P<path>[\w.]+)\s*,\s*(?P<value>[^)]+)\)", re.IGNORECASE)
COMPARE = re.compile(r"(?P<path>[\w.]+)\s*(?P<operator>==|!=|>=|<=|>|<)\s*(?P<value>\S+)")
OPERATORS = {"==": "eq", "!=": "neq", ">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


def _syntax_error(text: str) -> ApiError:
    details = {"code": 400, "error": True, "errorNum": 1501, "errorMessage": f"syntax error near '{text}'"}
    return ApiError(400, "Query error", details)


def open_cursor(request: ApiRequest) -> Reply:
    """POST query/cursor."""
    if not request.service.has_query:
        raise ApiError(404, "Not Found")
    body = request.json_object()
    _check_types(body)
    rows = _run(request, str(body.get("query") or ""), body.get("bindVars") or {})
    ttl = float(body.get("ttl") or DEFAULT_TTL)
    size = min(int(body.get("batchSize") or MAX_BATCH), MAX_BATCH)
    cursor = QueryCursor(rows, size, len(rows) if body.get("count") else None, ttl, 0)
    return 201, _batch(
        request, cursor, str(3_298_550_000_000 + len(request.service.cursors)), body.get("then"), 201
    )


def _check_types(body: dict[str, Any]) -> None:
    """Raise ``ApiError`` (400) for fields of other types."""
    for name, kind in (
        ("query", "string"),
        ("bindVars", "object"),
        ("batchSize", "integer"),
        ("ttl", "number"),
    ):
        if body.get(name) is not None and not is_of(kind, body[name]):
            raise ApiError(400, "malformed body", {name: f"must be of type {kind}"})


def next_batch(request: ApiRequest) -> Reply:
    """POST query/cursor/{id}: 404 when the cursor was not used for its ttl."""
    cursor = request.service.cursors.pop(request.args["cursor"], None)
    if cursor is None or cursor.expires_at < request.service.around.clock.now():
        raise ApiError(404, "cursor not found", {"code": 404, "error": True, "errorNum": 1600})
    then = request.json_object().get("then") if request.body.strip() else None
    return 200, _batch(request, cursor, request.args["cursor"], then, 200)


def _batch(request: ApiRequest, cursor: QueryCursor, uid: str, then: Any, code: int) -> dict[str, Any]:
    rows, cursor.rows = cursor.rows[: cursor.size], cursor.rows[cursor.size :]
    request.service.count_rows(len(rows))
    more = bool(cursor.rows)
    reply: dict[str, Any] = {
        "result": rows,
        "hasMore": more,
        "extra": {"stats": {}},
        "error": False,
        "code": code,
    }
    if cursor.count is not None:
        reply["count"] = cursor.count
    if more:
        cursor.expires_at = request.service.around.clock.now() + cursor.ttl
        request.service.cursors[uid] = cursor
        reply["id"] = uid
    if isinstance(then, dict):
        reply["then"] = _then(request, rows, then)
    return reply


def _then(request: ApiRequest, rows: list[Any], then: dict[str, Any]) -> dict[str, int]:
    done = 0
    for uid in rows:
        thing = request.space.things.get(uid) if isinstance(uid, str) else None
        if thing is None:
            continue
        try:
            _apply(request, thing, then)
        except ApiError:
            continue
        done += 1
    return {"success_count": done, "error_count": len(rows) - done}


def _apply(request: ApiRequest, thing: Thing, then: dict[str, Any]) -> None:
    data = then.get("data") or {}
    if not isinstance(data, dict):
        raise ApiError(400, "malformed body")
    if then.get("op") == "delete":
        del request.space.things[thing.uid]
    elif then.get("resource") == "properties":
        if request.service.checks("values"):
            check_values(request, thing, data)
        store_values(request, thing, data, record=True)
    else:
        thing.fields = thing.fields | data


def _run(request: ApiRequest, query: str, bind: dict[str, Any]) -> list[Any]:
    loop = LOOP.fullmatch(query)
    if loop is None:
        raise _syntax_error(query[:20])
    if loop["source"]:
        documents = _documents(request, loop["source"])
    else:
        documents = list(range(int(_value(loop["low"], bind)), int(_value(loop["high"], bind)) + 1))
    if loop["filter"]:
        documents = [document for document in documents if _passes(document, loop["filter"].strip(), bind)]
    if loop["limit"]:
        documents = documents[: int(_value(loop["limit"], bind))]
    return [_field(document, loop["result"]) for document in documents]


def _documents(request: ApiRequest, name: str) -> list[Any]:
    if name.lower() == "things":
        things = request.space.things.values()
        return [{"_key": thing.uid, **thing.describe(request.prefix, categories=True)} for thing in things]
    if name.lower() == "categories":
        return [
            {"_key": category.name, **category.describe()} for category in request.space.categories.values()
        ]
    details = {"code": 404, "error": True, "errorNum": 1203, "errorMessage": f"view not found: {name}"}
    raise ApiError(404, "collection or view not found", details)


def _value(text: str, bind: dict[str, Any]) -> Any:
    if text.startswith("@"):
        if text[1:] not in bind:
            raise ApiError(400, f"no value for bind parameter {text}")
        return bind[text[1:]]
    try:
        return msgspec.json.decode(text.replace("'", '"'))
    except msgspec.DecodeError as error:
        raise _syntax_error(text) from error


def _field(document: Any, path: str) -> Any:
    for name in path.split(".")[1:]:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _passes(document: Any, condition: str, bind: dict[str, Any]) -> bool:
    if has := HAS.fullmatch(condition):
        found = _field(document, has["path"])
        return isinstance(found, dict) and _value(has["value"].strip(), bind) in found
    if compare := COMPARE.fullmatch(condition):
        wanted = _value(compare["value"], bind)
        text = wanted if isinstance(wanted, str) else msgspec.json.encode(wanted).decode()
        found = _field(document, compare["path"])
        return found is not None and matches(OPERATORS[compare["operator"]], found, text)
    raise _syntax_error(condition[:20])
