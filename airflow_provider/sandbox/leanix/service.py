"""The emulated workspace: its state, its switches, its routes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider.sandbox.leanix.processing import bring_in, bring_out
from airflow_provider.sandbox.leanix.routes import api_routes
from airflow_provider.sandbox.leanix.runs import LIVE, Machine, Run
from airflow_provider.sandbox.leanix.seed import (
    WORKSPACE_ID,
    WORKSPACE_NAME,
    FactSheet,
    configurations,
    fact_sheets,
    key_of,
)
from airflow_provider.sandbox.leanix.storage import Storage
from airflow_provider.sandbox.leanix.validation import RefusalError, make_jwt
from airflow_provider.sandbox.service import Service

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class LeanIXService(Service):
    """LeanIX Integration API and token endpoint of one workspace.

    Switches, all put back by ``reset``; those about runs count for runs created afterwards:

    ``queue_seconds``, ``run_seconds``, ``seconds_per_item``: how long a run stays PENDING, and IN_PROGRESS.
    ``ending``: the status a run ends with. ``stuck_in``: the status it never leaves.
    ``shown_status``: a status that the API shows instead of IN_PROGRESS.
    ``bad_items``, ``doubtful_items``: how many items get an ERROR, a WARNING, in runs that still FINISH.
    ``processes_nothing``: runs FINISH and count nothing.
    ``create_returns_list``: create answers with a list of one, as the OpenAPI file says.
    ``has_sync_log``: else the warnings answer 400. ``has_results_url``: else its url stays null.
    ``hidden_runs``: ids that the run list leaves out.
    ``allowed``: else every API route answers 403. ``token_seconds``: a token's life.
    ``more_applications``: made-up rows on top of an export. ``link_seconds``: life of result links.
    """

    name: ClassVar[str] = "leanix"
    api_token: ClassVar[str] = "Lx+4/pi=To%ken&42?"
    workspace_id: ClassVar[str] = WORKSPACE_ID
    workspace_name: ClassVar[str] = WORKSPACE_NAME

    def reset(self) -> None:
        """Put the seeded landscape, configurations and default switches back."""
        self.queue_seconds = 1.5
        self.run_seconds = 1.0
        self.seconds_per_item = 0.01
        self.ending = "FINISHED"
        self.stuck_in: str | None = None
        self.shown_status: str | None = None
        self.bad_items = 0
        self.doubtful_items = 0
        self.processes_nothing = False
        self.create_returns_list = False
        self.has_sync_log = True
        self.has_results_url = True
        self.hidden_runs: set[str] = set()
        self.allowed = True
        self.token_seconds = 3600.0
        self.more_applications = 0
        self.link_seconds = 3600.0
        self.fact_sheets: dict[str, FactSheet] = fact_sheets()
        self.configurations: dict[tuple[str, ...], dict[str, Any]] = configurations()
        self.machine = Machine(self._work)
        self.storage = Storage(self)
        self._tokens: dict[str, float] = {}

    def routes(self) -> Sequence[BaseRoute]:
        """Routes of the token endpoint and of the Integration API."""
        return api_routes(self)

    def storage_routes(self) -> Sequence[BaseRoute]:
        """Routes of the blob storage: results and uploads."""
        return Storage.routes(self)

    def connection(self) -> Mapping[str, Any]:
        """The connection, with the workspace pinned and the storage's host allowed for downloads."""
        return {
            "conn_type": "leanix",
            "host": self.base_url,
            "password": self.api_token,
            "extra": {
                "workspace_id": WORKSPACE_ID,
                "allowed_hosts": [self.around.storage_origin.partition("://")[2]],
            },
        }

    # Ground truth for tests

    @property
    def runs(self) -> list[Run]:
        """All runs ever created, oldest first, at their status of now."""
        self.machine.settle(self.now())
        return list(self.machine.runs.values())

    @property
    def live_runs(self) -> list[Run]:
        """Runs that were started and are not over."""
        return [run for run in self.runs if run.status in LIVE]

    @property
    def peak_live(self) -> int:
        """The most runs that were live at once."""
        return self.machine.peak_live

    @property
    def starts(self) -> int:
        """How many runs were started."""
        return self.machine.starts

    def expire_tokens(self) -> None:
        """Make every token that was issued worthless."""
        self._tokens.clear()

    # What the routes use

    def now(self) -> float:
        """The sandbox's time."""
        return self.around.clock.now()

    def issue_token(self) -> dict[str, Any]:
        """Give the reply of the token endpoint."""
        now = self.now()
        claims = {
            "exp": int(now + self.token_seconds),
            "iss": self.base_url,
            "jti": str(uuid.uuid4()),
            "sub": "airflow@campus.example",
            "instanceUrl": self.base_url,
            "principal": {
                "id": "0f5b4a52-3a5e-4b0e-b1b2-5a3a4be33d4f",
                "permission": {"workspaceId": WORKSPACE_ID, "workspaceName": WORKSPACE_NAME},
            },
        }
        token = make_jwt(claims, os.urandom(32))
        self._tokens[token] = now + self.token_seconds
        self.around.counters.tokens_issued[self.name] += 1
        return {
            "scope": "",
            "expired": False,
            "access_token": token,
            "token_type": "bearer",
            "expires_in": max(0, int(self.token_seconds) - 1),
        }

    def token_is_good(self, header: str | None) -> bool:
        """Whether an ``Authorization`` header holds a token that has not expired."""
        scheme, _, token = (header or "").partition(" ")
        return scheme.lower() == "bearer" and self._tokens.get(token, 0.0) > self.now()

    def run(self, run_id: str) -> Run:
        """Give a run at its status of now; refuses with 404."""
        self.machine.settle(self.now())
        run = self.machine.runs.get(run_id)
        if run is None:
            raise RefusalError(404, f"No synchronization run with the id {run_id} exists")
        return run

    def configuration_for(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Give the stored configuration that a header selects; refuses with 404."""
        found = self.configurations.get(key_of(header))
        if found is None:
            raise RefusalError(404, f"No processor configuration found for {' / '.join(key_of(header))}")
        return found

    def create(self, ldif: Mapping[str, Any], configuration: Mapping[str, Any], broken: str = "") -> Run:
        """Make a run, not started, with the switches of now."""
        content = list(ldif.get("content") or [])
        run = Run(
            header={name: value for name, value in ldif.items() if name != "content"},
            configuration=dict(configuration),
            content=content,
            changes=[("CREATED", self.now())],
            queue_seconds=self.queue_seconds,
            work_seconds=self.run_seconds + self.seconds_per_item * len(content),
            ending=self.ending,
            stuck_in=self.stuck_in,
            broken=broken,
        )
        self.machine.add(run)
        return run

    def shown(self, run: Run) -> dict[str, Any]:
        """Give a run's id, status and description as the API shows them."""
        status = self.shown_status if self.shown_status and run.status == "IN_PROGRESS" else run.status
        body: dict[str, Any] = {"id": run.id, "status": status}
        if run.description is not None:
            body["description"] = run.description
        return body

    def _work(self, run: Run) -> None:
        if not run.inbound:
            bring_out(run, self.fact_sheets, self.more_applications)
        elif not self.processes_nothing:
            bring_in(run, self.fact_sheets, self.bad_items, self.doubtful_items)
