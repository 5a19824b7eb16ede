"""Client of Airflow's REST API, for the demo and the system tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed


def _is_transient(error: BaseException) -> bool:
    """Return whether an error is transient: no response, or a 5xx (SQLite is locked now and then)."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


_with_retries = retry(
    retry=retry_if_exception(_is_transient), stop=stop_after_attempt(8), wait=wait_fixed(1), reraise=True
)


class AirflowApi:
    """Airflow's REST API, signed in as an admin.

    Threads may share it. It sends one request at a time: with SQLite, concurrent writes of the API server
    block each other for seconds.

    :param url: base URL of the API server.
    """

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=20, trust_env=False)
        self._lock = threading.Lock()

    def log_in(self) -> None:
        """Get a token; needs a setup in which every user is an admin."""
        token = self.http.get("/auth/token").raise_for_status().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def health(self) -> dict[str, dict[str, Any]]:
        """Read the state of each component, without retries."""
        state: dict[str, dict[str, Any]] = self.http.get("/api/v2/monitor/health").raise_for_status().json()
        return state

    @_with_retries
    def get(self, path: str, **params: Any) -> Any:
        """Read a resource; return None when it does not exist."""
        with self._lock:
            reply = self.http.get(f"/api/v2{path}", params=params)
        return None if reply.status_code == 404 else reply.raise_for_status().json()

    def import_errors(self) -> list[str]:
        """Return the DAG files that cannot be parsed, with their tracebacks."""
        errors = self.get("/importErrors")["import_errors"]
        return [f"{error['filename']}:\n{error['stack_trace']}" for error in errors]

    @_with_retries
    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        with self._lock:
            self.http.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    @_with_retries
    def parse_now(self, dag_id: str) -> None:
        """Have a DAG's file parsed now; a second request at the same time is none.

        Airflow starts the watchers of a DAG when it parses the file and the DAG is not paused.
        """
        token = self.get(f"/dags/{dag_id}")["file_token"]
        with self._lock:
            reply = self.http.put(f"/api/v2/parseDagFile/{token}")
        if reply.status_code != 409:
            reply.raise_for_status()

    @_with_retries
    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a run with a given id; a repeated request starts no second run."""
        body = {"dag_run_id": run_id, "logical_date": datetime.now(UTC).isoformat()}
        with self._lock:
            reply = self.http.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if reply.status_code != 409:
            reply.raise_for_status()

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Read a run."""
        found: dict[str, Any] = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")
        return found

    @_with_retries
    def run_states(self, dag_ids: Iterable[str]) -> dict[tuple[str, str], str]:
        """Return the states of the last 100 runs of DAGs, by DAG and run, with one request."""
        body = {"dag_ids": sorted(dag_ids), "order_by": "-run_after", "page_limit": 100}
        with self._lock:
            reply = self.http.post("/api/v2/dags/~/dagRuns/list", json=body)
        runs = reply.raise_for_status().json()["dag_runs"]
        return {(run["dag_id"], run["dag_run_id"]): run["state"] for run in runs}

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return a run's task instances, in the order of their start."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = self.get(path)["task_instances"]
        return sorted(found, key=lambda task: (task["start_date"] or "9", task["task_id"]))

    def returned(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Read a task's return value; None when it returned nothing."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        entry = self.get(path, stringify="false")
        value = None if entry is None else entry["value"]
        if isinstance(value, str) and value[:1] in {"{", "["}:
            return json.loads(value)
        return value

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """Read the log of a task's last attempt, one line per entry."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        found = self.get(path, map_index=task["map_index"], full_content="true") or {"content": []}
        lines = [_line(entry) for entry in found["content"] if entry]
        return [line for line in lines if "::group::" not in line and "::endgroup::" not in line]


def _line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    text = " ".join(str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key))
    for error in entry.get("error_detail") or []:
        text += f"\n    {error.get('exc_type')}: {error.get('exc_value')}"
    return text
