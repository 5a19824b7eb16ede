"""SQL statements: queries by GET or POST, writes by POST."""

from __future__ import annotations

from typing import Any

from airflow_provider.sandbox.amigocloud.forms import shown_rows
from airflow_provider.sandbox.amigocloud.pagination import page_links
from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.responses import bad_request, not_found
from airflow_provider.sandbox.amigocloud.sql.dialect import WRITES, statement_kind
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState


async def get_sql(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Run a query; refuse statements that write, which need a POST."""
    sql = _statement(request.params.get("query"))
    if statement_kind(sql) != "select":
        raise bad_request("Statements that write must be sent by POST.", "read_only")
    return _read(service, request, sql)


async def post_sql(service: AmigoCloudState, request: ApiRequest) -> Any:
    """Run a statement that writes, or a query that is too long for a URL."""
    sql = _statement(request.body.get("query") or request.params.get("query"))
    kind = statement_kind(sql)
    if kind == "select":
        if not service.post_select:
            raise bad_request("Queries must be sent by GET.", "read_only")
        return _read(service, request, sql)
    if kind not in WRITES:
        raise bad_request(f"{kind.upper() or 'An empty statement'} is not supported.", "unsupported")
    request.require_level("C" if kind == "insert" else "E")
    affected, states = service.store.write(sql, seconds=service.statement_seconds)
    state = next(iter(states.values()), None)
    names = ("count", "total_rows") if service.affected_rows == "both" else (service.affected_rows,)
    return {"query": sql, **dict.fromkeys(names, affected), "new_state": state}


def _statement(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise bad_request("query: this field is required.", "required")
    return text


def _read(service: AmigoCloudState, request: ApiRequest, sql: str) -> dict[str, Any]:
    service.begin_page()
    limit = min(request.number("limit", service.page_default), service.page_clamp)
    offset = request.number("offset", 0)
    page = service.store.select(
        sql,
        limit,
        offset,
        _state(service, request),
        shuffled=service.unstable_order and "order by" not in sql.lower(),
        seconds=service.statement_seconds,
    )
    rows = [] if service.take_empty_page() else page.rows
    service.count_rows(len(rows))
    following = offset + len(rows)
    more = following < page.count and limit > 0
    return {
        "query": sql,
        "count": (len(rows) if service.count_is_page else page.count) + service.count_error,
        "limit": limit,
        "offset": offset,
        "columns": page.columns,
        "data": shown_rows(service, page.columns, rows),
        **page_links(service, request, limit, offset, following if more else None),
    }


def _state(service: AmigoCloudState, request: ApiRequest) -> tuple[int, str] | None:
    """Return dataset and state to read; None for the latest one."""
    state = request.params.get("state") or request.body.get("state")
    if not state:
        return None
    number = request.number("dataset_id", 0)
    if not number:
        raise bad_request("state needs dataset_id", "required")
    dataset = service.store.datasets.get(number)
    known = dataset.states if dataset else []
    if service.readable_states is not None:
        known = known[max(0, len(known) - service.readable_states) :]
    if state in known:
        return number, str(state)
    if service.unknown_state == "latest":
        return None
    if service.unknown_state == "missing":
        raise not_found()
    raise bad_request(f"dataset {number} has no state {state}", "sql_error")
