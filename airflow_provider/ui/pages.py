"""Application of the API server: the static files of the page "Digital twin", and recorded pages of tasks."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider.core.files.storage import object_path
from airflow_provider.core.pages.links import page_key
from airflow_provider.core.pages.page import KINDS, page_prefix

if TYPE_CHECKING:
    from fastapi import FastAPI, Response

_log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
"""Folder of the page "Digital twin"; all its files are public, because they hold no data."""

FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "sections.js": "text/javascript; charset=utf-8",
    "tasks.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
}
"""Served files of that folder, with their types."""

MOST_BYTES = 64_000_000
"""Maximum bytes of a recorded page that is served."""

_STATIC_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


@cache
def application() -> FastAPI:
    """Return the application; recorded pages are for users who may read the XComs of the DAG."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI

    app = FastAPI(title="Digital twin", docs_url=None, redoc_url=None, openapi_url=None)
    for name in FILES:
        path = "/" if name == "index.html" else f"/{name}"
        app.add_api_route(path, partial(_read_static, name), response_model=None)
    allowed = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))
    for kind in KINDS:
        app.add_api_route(f"/{kind}", _page_route(kind), dependencies=[allowed], response_model=None)
    return app


def _read_static(name: str) -> Response:
    from fastapi.responses import Response

    return Response((STATIC / name).read_bytes(), media_type=FILES[name], headers=_STATIC_HEADERS)


def _page_route(kind: str) -> Callable[..., Response]:
    def show(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Response:
        return _show(kind, _recorded_page(kind, dag_id, run_id, task_id, map_index))

    return show


def _show(kind: str, location: str) -> Response:
    from fastapi.responses import HTMLResponse

    path, _, fingerprint = location.rpartition("#")
    found = read_page(kind, path, fingerprint) if path else None
    if found is not None:
        return HTMLResponse(found, headers=_PAGE_HEADERS)
    where = (
        f"It was written to {escape(path)}, which the API server cannot read."
        if path
        else "The task has recorded no page."
    )
    return HTMLResponse(f"<!doctype html><p>There is no page of a {kind}. {where}", 404, _PAGE_HEADERS)


def _recorded_page(kind: str, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return the recorded page of a task, see :func:`airflow_provider.core.pages.links.record_page`."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    wanted = select(XComModel.value).filter_by(
        dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, key=page_key(kind)
    )
    with create_session() as session:
        value = session.scalar(wanted)
    if isinstance(value, str) and value.startswith('"'):
        value = json.loads(value)
    return value if isinstance(value, str) else ""


def read_page(kind: str, path: str, fingerprint: str) -> bytes | None:
    """Read a recorded page.

    Every user who may write XComs of any DAG can record a path. Therefore only a page that begins with the
    recorded fingerprint is served, and no web server is requested.

    :param kind: kind of the page.
    :param path: path or URL of the page.
    :param fingerprint: fingerprint of the plan or report.
    :return: the page; None when there is none, or when it is another one.
    """
    if path.lower().startswith(("http:", "https:")) or not path.endswith(".html") or not fingerprint:
        return None
    head = page_prefix(fingerprint, kind).encode()
    try:
        with object_path(path).open("rb") as file:  # type: ignore[no-untyped-call]
            if file.read(len(head)) != head:
                return None
            return head + bytes(file.read(MOST_BYTES))
    except Exception as error:  # Storage libraries raise errors of any class.
        _log.warning("The page of a %s cannot be read: %s", kind, type(error).__name__)
        return None
