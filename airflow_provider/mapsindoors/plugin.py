"""Plugin: serve the pages of plans from Airflow's API server, for the link of a task."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider.mapsindoors.links import PAGE_XCOM, PREFIX

if TYPE_CHECKING:
    from fastapi import FastAPI, Response

MOST_BYTES = 64_000_000
"""Maximum bytes of a page that is served."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Respond to a request; the first request creates the application, and most processes get none."""
    await application()(scope, receive, send)


class MapsIndoorsPlugin(AirflowPlugin):
    """Airflow plugin that adds the pages to the API server."""

    name = "mapsindoors"
    fastapi_apps = [{"app": serve, "url_prefix": PREFIX, "name": "MapsIndoors plans"}]  # noqa: RUF012


@cache
def application() -> FastAPI:
    """Return the application: one route, for users who may read the XComs of the DAG."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI

    app = FastAPI(title="MapsIndoors plans", docs_url=None, redoc_url=None, openapi_url=None)
    allowed = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))
    app.add_api_route("/plan", _show, dependencies=[allowed], response_model=None)
    return app


def _show(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Response:
    from fastapi.responses import HTMLResponse

    path, _, fingerprint = _recorded_page(dag_id, run_id, task_id, map_index).rpartition("#")
    found = read_page(path, fingerprint) if path else None
    if found is not None:
        return HTMLResponse(found, headers=_HEADERS)
    where = (
        f"It was written to {escape(path)}, which the API server cannot read."
        if path
        else "The task has recorded no page."
    )
    return HTMLResponse(f"<!doctype html><p>There is no page of a plan. {where}", 404, _HEADERS)


def _recorded_page(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return the recorded page of a task, see :func:`airflow_provider.mapsindoors.links.record_page`."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    wanted = select(XComModel.value).filter_by(
        dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, key=PAGE_XCOM
    )
    with create_session() as session:
        value = session.scalar(wanted)
    if isinstance(value, str) and value.startswith('"'):
        value = json.loads(value)
    return value if isinstance(value, str) else ""


def read_page(path: str, fingerprint: str) -> bytes | None:
    """Read the page of a plan.

    Every user who may write XComs of any DAG can record a path. Therefore only a page that begins with the
    fingerprint of the recorded plan is served, and no web server is requested.

    :param path: path or URL of the page.
    :param fingerprint: fingerprint of the plan.
    :return: the page; None when there is none, or when it is the page of another plan.
    """
    from airflow.sdk import ObjectStoragePath

    from airflow_provider.core.sync.page import page_prefix

    if path.lower().startswith(("http:", "https:")) or not path.endswith(".html") or not fingerprint:
        return None
    head = page_prefix(fingerprint).encode()
    try:
        with ObjectStoragePath(path).open("rb") as file:  # type: ignore[no-untyped-call]
            if file.read(len(head)) != head:
                return None
            return head + bytes(file.read(MOST_BYTES))
    except (OSError, ValueError, ImportError):
        return None
