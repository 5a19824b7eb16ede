"""Handlers for SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.sandbox.amigocloud.request import Asked, bad_request
from airflow_provider.sandbox.amigocloud.sql.dialect import WRITES, kind_of
from airflow_provider.sandbox.amigocloud.sql.store import SqlError

if TYPE_CHECKING:
    from airflow_provider.sandbox.amigocloud.service import AmigoCloudService


async def get_sql(service: AmigoCloudService, asked: Asked) -> Any:
    """Answer a query; writing needs a POST."""
    sql = _statement(asked.params.get("query"))
    if kind_of(sql) != "select":
        raise bad_request("Statements that write must be sent by POST.", "read_only")
    return _read(service, asked, sql)


async def post_sql(service: AmigoCloudService, asked: Asked) -> Any:
    """Run a statement that writes, or a query that is too long for a URL."""
    sql = _statement(asked.body.get("query") or asked.params.get("query"))
    kind = kind_of(sql)
    if kind == "select":
        return _read(service, asked, sql)
    if kind not in WRITES:
        raise bad_request(f"{kind.upper() or 'An empty statement'} is not supported.", "unsupported")
    asked.need("C" if kind == "insert" else "E")
    try:
        affected, states = service.store.write(sql)
    except SqlError as error:
        raise bad_request(str(error), "sql_error") from error
    state = next(iter(states.values()), None)
    return {"query": sql, "count": affected, "total_rows": affected, "new_state": state}


def _statement(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise bad_request("query: this field is required.", "required")
    return text


def _read(service: AmigoCloudService, asked: Asked, sql: str) -> dict[str, Any]:
    service.begin_page()
    limit = min(asked.number("limit", service.page_default), service.page_clamp)
    offset = asked.number("offset", 0)
    text = (
        f"SELECT * FROM ({sql.strip().rstrip(';')}\n) ORDER BY random()" if _shuffled(service, sql) else sql
    )
    try:
        page = service.store.select(text, limit, offset, _state(asked))
    except SqlError as error:
        raise bad_request(str(error), "sql_error") from error
    rows = page.rows
    if service.take_empty_page():
        rows, following = [], offset
    else:
        following = offset + len(rows)
    service.count_rows(len(rows))
    more = following < page.count and limit > 0
    links = {"limit": limit, "offset": following}
    return {
        "query": sql,
        "count": page.count + service.count_error,
        "limit": limit,
        "offset": offset,
        "columns": page.columns,
        "data": rows,
        "next": asked.link(service.next_origin, **links) if more else None,
        "previous": asked.link(service.next_origin, limit=limit, offset=max(0, offset - limit))
        if offset
        else None,
    }


def _shuffled(service: AmigoCloudService, sql: str) -> bool:
    return service.unstable_order and "order by" not in sql.lower()


def _state(asked: Asked) -> tuple[int, str] | None:
    state = asked.params.get("state") or asked.body.get("state")
    if not state:
        return None
    number = asked.number("dataset_id", 0)
    if not number:
        raise bad_request("state needs dataset_id", "required")
    return number, str(state)
