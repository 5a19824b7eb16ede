"""A small part of AQL: enough for lists, filters on one field, ranges, and the ``then`` operations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError
from airflow_provider.sandbox.iotstudio.pagination import matches
from airflow_provider.sandbox.iotstudio.routes.properties import store

MOST = 1000
DEFAULT_TTL = 30

LOOP = re.compile(
    r"\s*FOR\s+(?P<name>\w+)\s+IN\s+(?:RANGE\((?P<low>\S+?)\s*,\s*(?P<high>\S+?)\)|(?P<source>\w+))"
    r"(?:\s+FILTER\s+(?P<filter>.+?))?(?:\s+LIMIT\s+(?P<limit>\S+))?\s+RETURN\s+(?P<result>[\w.]+)\s*",
    re.IGNORECASE | re.DOTALL,
)
HAS = re.compile(r"HAS\((?P<path>[\w.]+)\s*,\s*(?P<value>[^)]+)\)", re.IGNORECASE)
COMPARE = re.compile(r"(?P<path>[\w.]+)\s*(?P<operator>==|!=|>=|<=|>|<)\s*(?P<value>\S+)")
OPERATORS = {"==": "eq", "!=": "neq", ">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


@dataclass
class Cursor:
    """The rest of a query's results."""

    rows: list[Any]
    size: int
    count: int | None
    ttl: float
    expires_at: float


def _syntax(what: str) -> RefusedError:
    details = {"code": 400, "error": True, "errorNum": 1501, "errorMessage": f"syntax error near '{what}'"}
    return RefusedError(400, "Query error", details)


def open_cursor(ask: Ask) -> Answer:
    """POST query/cursor."""
    body = ask.fields()
    rows = _run(ask, str(body.get("query") or ""), body.get("bindVars") or {})
    ttl = float(body.get("ttl") or DEFAULT_TTL)
    size = min(int(body.get("batchSize") or MOST), MOST)
    cursor = Cursor(rows, size, len(rows) if body.get("count") else None, ttl, 0)
    return 201, _batch(ask, cursor, str(3_298_550_000_000 + len(ask.service.cursors)), body.get("then"), 201)


def next_batch(ask: Ask) -> Answer:
    """POST query/cursor/{id}: a cursor that was not used for its ttl is gone."""
    cursor = ask.service.cursors.pop(ask.args["cursor"], None)
    if cursor is None or cursor.expires_at < ask.service.around.clock.now():
        raise RefusedError(404, "cursor not found", {"code": 404, "error": True, "errorNum": 1600})
    then = ask.fields().get("then") if ask.body.strip() else None
    return 200, _batch(ask, cursor, ask.args["cursor"], then, 200)


def _batch(ask: Ask, cursor: Cursor, uid: str, then: Any, code: int) -> dict[str, Any]:
    rows, cursor.rows = cursor.rows[: cursor.size], cursor.rows[cursor.size :]
    ask.service.around.counters.rows_served[ask.service.name] += len(rows)
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
        cursor.expires_at = ask.service.around.clock.now() + cursor.ttl
        ask.service.cursors[uid] = cursor
        reply["id"] = uid
    if isinstance(then, dict):
        reply["then"] = _then(ask, rows, then)
    return reply


def _then(ask: Ask, rows: list[Any], then: dict[str, Any]) -> dict[str, int]:
    done = 0
    for uid in rows:
        thing = ask.space.things.get(uid) if isinstance(uid, str) else None
        if thing is None:
            continue
        if then.get("op") == "delete":
            del ask.space.things[uid]
        elif then.get("resource") == "properties":
            store(ask, thing, then.get("data") or {}, keep=True)
        else:
            thing.fields = thing.fields | (then.get("data") or {})
        done += 1
    return {"success_count": done, "error_count": len(rows) - done}


def _run(ask: Ask, query: str, bind: dict[str, Any]) -> list[Any]:
    loop = LOOP.fullmatch(query)
    if loop is None:
        raise _syntax(query[:20])
    if loop["source"]:
        documents = _documents(ask, loop["source"])
    else:
        documents = list(range(int(_value(loop["low"], bind)), int(_value(loop["high"], bind)) + 1))
    if loop["filter"]:
        documents = [one for one in documents if _passes(one, loop["filter"].strip(), bind)]
    if loop["limit"]:
        documents = documents[: int(_value(loop["limit"], bind))]
    return [_field(one, loop["result"]) for one in documents]


def _documents(ask: Ask, name: str) -> list[Any]:
    if name.lower() == "things":
        prefix = f"{ask.service.base_url}/spaces/{ask.space.name}"
        shown = (thing.shown(prefix, categories=True) for thing in ask.space.things.values())
        return [{"_key": one["uid"], **one} for one in shown]
    if name.lower() == "categories":
        return [{"_key": one.name, **one.shown()} for one in ask.space.categories.values()]
    details = {"code": 404, "error": True, "errorNum": 1203, "errorMessage": f"view not found: {name}"}
    raise RefusedError(404, "collection or view not found", details)


def _value(text: str, bind: dict[str, Any]) -> Any:
    if text.startswith("@"):
        if text[1:] not in bind:
            raise RefusedError(400, f"no value for bind parameter {text}")
        return bind[text[1:]]
    try:
        return msgspec.json.decode(text.replace("'", '"'))
    except msgspec.DecodeError as error:
        raise _syntax(text) from error


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
    raise _syntax(condition[:20])
