"""Pagination: pages by limit and offset, with absolute ``next`` and ``previous`` links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider.sandbox.amigocloud.request import ApiRequest
from airflow_provider.sandbox.amigocloud.state import AmigoCloudState


def list_page(
    service: AmigoCloudState, request: ApiRequest, items: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return the requested page of a list, and count its rows."""
    limit = min(request.number("limit", service.list_default), service.list_clamp) or service.list_default
    offset = request.number("offset", 0)
    results = items[offset : offset + limit]
    following = offset + limit
    if service.take_empty_page():
        results, following = [], offset
    service.count_rows(len(results))
    return {
        "count": len(items),
        **page_links(service, request, limit, offset, following if following < len(items) else None),
        "results": list(results),
    }


def page_links(
    service: AmigoCloudState, request: ApiRequest, limit: int, offset: int, following: int | None
) -> dict[str, str | None]:
    """Return ``next`` and ``previous`` of a page.

    :param following: offset of the next page; None when there is none.
    """

    def link(to: int) -> str:
        return request.url_with(service.next_origin, limit=limit, offset=to)

    return {
        "next": None if following is None else link(following),
        "previous": link(max(0, offset - limit)) if offset else None,
    }
