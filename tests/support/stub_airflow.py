"""Airflow's public API as far as the page "Digital twin" reads it, over TCP, with chosen replies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from airflow_provider.ui.pages import application
from dev.processes import free_ports
from tests.support.wait import until

LONG_AGO = "2026-01-01T00:00:00Z"
LISTS = {
    "hitlDetails": "hitl_details",
    "taskInstances": "task_instances",
    "xcomEntries": "xcom_entries",
    "assets": "assets",
    "events": "asset_events",
    "tasks": "tasks",
    "dags": "dags",
}
"""Name of the list in the reply, by the last part of the path."""


class StubAirflow:
    """An API server whose lists a test fills.

    :param url: its base URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.reset()

    def reset(self) -> None:
        """Empty all lists and forget all requests."""
        self.asked.clear()
        self.lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
        self.xcoms: dict[str, Any] = {}
        self.links: dict[str, Any] = {}
        self.failures: dict[str, Response] = {}

    async def respond(self, request: Request) -> Response:
        """Reply with a list, one page of it, or with the failure that the test wants."""
        path = unquote(request.url.path.partition("/api/v2/")[2])
        self.asked.append(f"{path}?{request.url.query}")
        last = path.rpartition("/")[2]
        operators = request.query_params.getlist("operator")
        for part, failure in self.failures.items():
            if part in self.asked[-1]:
                return failure
        if last == "links":
            return JSONResponse({"extra_links": self.links})
        if last not in LISTS:
            return JSONResponse({"value": self.xcoms.get(last)}, 200 if last in self.xcoms else 404)
        items = [one for one in self.lists[last] if self._is_wanted(one, request, operators)]
        if last == "hitlDetails" and request.query_params.get("order_by") == "created_at":
            items.sort(key=lambda one: str(one["created_at"]))
        raw = request.scope["raw_path"].decode().partition("/api/v2/")[2]  # an id may have a slash
        if last == "xcomEntries" and (dag_id := unquote(raw.split("/")[1])) != "~":
            items = [one for one in items if one["dag_id"] == dag_id]
        offset, limit = (int(request.query_params.get(name, 0)) for name in ("offset", "limit"))
        page = items[offset : offset + min(limit or 100, 100)]
        return JSONResponse({LISTS[last]: page, "total_entries": len(items)})

    @staticmethod
    def _is_wanted(one: dict[str, Any], request: Request, operators: list[str]) -> bool:
        states = request.query_params.getlist("state")
        by_operator = not operators or one.get("operator") in operators
        by_state = not states or one.get("task_instance", one).get("state") in states
        key, pattern = (request.query_params.get(name) for name in ("xcom_key", "uri_pattern"))
        by_key = key is None or one.get("key") == key
        return by_operator and by_state and by_key and (pattern or "") in one.get("uri", pattern or "")

    def add_task(self, task_id: str, operator: str, state: str, **more: Any) -> dict[str, Any]:
        """Add a task instance, as the API describes it, and return it."""
        task = {
            "dag_id": "campus",
            "dag_run_id": "manual__1",
            "task_id": task_id,
            "map_index": -1,
            "operator": operator,
            "state": state,
            "dag_display_name": "Campus",
            "task_display_name": task_id,
            "rendered_map_index": None,
            "run_after": LONG_AGO,
            "start_date": LONG_AGO,
            "end_date": LONG_AGO,
            **more,
        }
        self.lists["taskInstances"].append(task)
        return task

    def add_approval(self, subject: str = "Change the map?", **more: Any) -> None:
        """Add a question about the plan of the task ``plan``."""
        task = self.add_task("approve", "ApprovalOperator", "deferred", **more)
        entry = {
            "key": "plan_page",
            "dag_id": task["dag_id"],
            "run_id": task["dag_run_id"],
            "task_id": "plan",
        }
        self.lists["xcomEntries"].append({**entry, "map_index": -1, "timestamp": LONG_AGO})
        self.lists["tasks"] = [
            {"task_id": "plan", "downstream_task_ids": ["between"]},
            {"task_id": "between", "downstream_task_ids": ["approve"]},
            {"task_id": "approve", "downstream_task_ids": []},
        ]
        detail = {"subject": subject, "task_instance": task, "assigned_users": [], "created_at": LONG_AGO}
        self.lists["hitlDetails"].append({**detail, "response_received": False})

    def add_asset(self, number: int, uri: str, dag_id: str = "campus", extra: Any = None) -> None:
        """Add an asset with one event."""
        self.lists["assets"].append(
            {
                "id": number,
                "uri": uri,
                "producing_tasks": [{"dag_id": dag_id, "task_id": "export"}],
                "scheduled_dags": [],
                "consuming_tasks": [],
                "last_asset_event": {"id": number, "timestamp": LONG_AGO},
            }
        )
        source = {"source_dag_id": dag_id, "source_run_id": "manual__1", "source_task_id": "export"}
        self.lists["events"] = [{**source, "source_map_index": -1, "extra": extra or {"rows": 1234}}]


@contextmanager
def stub_airflow() -> Iterator[StubAirflow]:
    """Start the API server below the path ``/air``, as behind a proxy; stop it at the end."""
    (port,) = free_ports(1)
    stub = StubAirflow(f"http://127.0.0.1:{port}/air")
    app = Starlette(
        routes=[
            Mount("/air/digital-twin", application()),
            Route("/air/api/v2/{path:path}", stub.respond),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, seconds=30)
        yield stub
    finally:
        server.should_exit = True
        thread.join()
