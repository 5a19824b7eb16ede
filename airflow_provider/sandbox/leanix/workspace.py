"""State and switches of the emulated workspace, shared by its routes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider.sandbox.leanix.auth import make_jwt
from airflow_provider.sandbox.leanix.configuration_checks import configuration_errors
from airflow_provider.sandbox.leanix.processing import process_inbound, process_outbound, sync_log_of
from airflow_provider.sandbox.leanix.runs import LIVE, Run, RunStateMachine
from airflow_provider.sandbox.leanix.seed import (
    WORKSPACE_ID,
    WORKSPACE_NAME,
    FactSheet,
    configuration_key,
    configurations,
    fact_sheets,
    kind_of,
)
from airflow_provider.sandbox.leanix.storage import BlobStorage
from airflow_provider.sandbox.leanix.switches import Switches
from airflow_provider.sandbox.leanix.validation import RefusalError
from airflow_provider.sandbox.leanix.writers import write_to_ldif
from airflow_provider.sandbox.service import Service
from airflow_provider.sandbox.tokens import AccessToken, AccessTokens

SECRET_FIELDS = frozenset({"apiToken", "connectionString"})
"""Fields of configurations that hold a secret."""

USER = "airflow@campus.example"
"""The technical user to whom the API token belongs."""


class Workspace(Service, Switches):
    """State of one workspace: fact sheets, processor configurations, runs, files and tokens.

    The switches are those of :class:`Switches`; ``reset`` restores them all.
    """

    name: ClassVar[str] = "leanix"
    api_token: ClassVar[str] = "Lx+4/pi=To%ken&42?"
    workspace_id: ClassVar[str] = WORKSPACE_ID
    workspace_name: ClassVar[str] = WORKSPACE_NAME

    def reset(self) -> None:
        """Restore the seeded fact sheets and configurations, and the default switches."""
        Switches.__init__(self)
        self.fact_sheets: dict[str, FactSheet] = fact_sheets()
        self.configurations: dict[tuple[str, ...], dict[str, Any]] = configurations()
        # Keys of configurations by group. Which field of a configuration has its groups is not documented.
        self.execution_groups: dict[str, list[tuple[str, ...]]] = {}
        self.machine = RunStateMachine(self._process)
        self.sync_items: list[dict[str, Any]] = []
        self.synchronizations: list[dict[str, Any]] = []
        self.storage = BlobStorage(self.around)
        self.access = AccessTokens(self.name, self.around, self)
        self._tokens = self.access.by_value
        self.limit = self.around.rate_limit(self.name)

    # Ground truth for tests

    @property
    def runs(self) -> list[Run]:
        """All runs ever created, oldest first, with their current statuses."""
        self.machine.advance(self.now())
        return list(self.machine.runs.values())

    @property
    def live_runs(self) -> list[Run]:
        """Runs that were started and have not ended."""
        return [run for run in self.runs if run.status in LIVE]

    @property
    def peak_live(self) -> int:
        """Maximum number of runs that were live at the same time."""
        return self.machine.peak_live

    @property
    def starts(self) -> int:
        """Number of runs that were started."""
        return self.machine.starts

    def expire_tokens(self) -> None:
        """Invalidate every issued token."""
        for token in self._tokens.values():
            token.expires_at = 0.0

    # Operations of the routes

    def now(self) -> float:
        """Return the sandbox's time in seconds since the epoch."""
        return self.around.clock.now()

    def issue_token(self) -> dict[str, Any]:
        """Issue an access token; return the reply of the token endpoint.

        :raises RefusedTokenError: when the user may have no further token.
        """
        self.access.check_number(USER)
        now = self.now()
        principal: dict[str, Any] = {"id": "0f5b4a52-3a5e-4b0e-b1b2-5a3a4be33d4f"}
        if self.token_claims:
            principal["permission"] = {"workspaceId": WORKSPACE_ID, "workspaceName": WORKSPACE_NAME}
        claims = {
            "exp": int(now + self.token_seconds),
            "iss": self.base_url,
            "jti": str(uuid.uuid4()),
            "sub": USER,
            "instanceUrl": self.base_url,
            "principal": principal,
        }
        token = make_jwt(claims, os.urandom(32))
        self.access.add(AccessToken(token, USER, now + self.token_seconds))
        return {
            "scope": "",
            "expired": False,
            "access_token": token,
            "token_type": "bearer",
            "expires_in": max(0, int(self.token_seconds) - 1),
        }

    def token_of(self, header: str | None) -> AccessToken | None:
        """Return the valid token of an ``Authorization`` header; None without one."""
        scheme, _, value = (header or "").partition(" ")
        return self.access.find(value) if scheme.lower() == "bearer" else None

    def refusal_status(self, header: str | None) -> int:
        """Return the status of the reply to an ``Authorization`` header without a valid token."""
        was_valid = (header or "").partition(" ")[2] in self._tokens
        return (self.expired_token_status if was_valid else None) or self.refused_token_status

    def run(self, run_id: str) -> Run:
        """Return a run with its current status.

        :raises RefusalError: 404 for an unknown id.
        """
        self.machine.advance(self.now())
        run = self.machine.runs.get(run_id)
        if run is None:
            text = f"No synchronization run with the id {run_id} exists"
            raise RefusalError(self.unknown_run_status, text)
        return run

    def has_results(self, run: Run) -> bool:
        """Return whether a run has produced an LDIF that can be downloaded by now."""
        ready = run.status == "FINISHED" and run.result is not None
        return ready and run.since + self.results_lag_seconds <= self.now()

    def configuration_for(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored configuration that a header selects.

        :raises RefusalError: 404 when there is none.
        """
        key = configuration_key(header)
        found = self.configurations.get(key)
        if found is None:
            text = f"No processor configuration found for {' / '.join(key)}"
            raise RefusalError(self.unknown_configuration_status, text)
        return found

    def group(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the configurations of an execution group as one, with the processors of all.

        A configuration may also name its groups in ``executionGroups``, a field of the sandbox only.

        :param query: parameters of the request, with ``groupName``.
        :raises RefusalError: 404 without any, 400 when they differ in direction or mode.
        """
        name = query.get("groupName")
        keys = self.execution_groups.get(name or "", [])
        found = [
            one
            for key, one in self.configurations.items()
            if key in keys or name in (one.get("executionGroups") or ())
        ]
        if not found:
            raise RefusalError(404, "There is no configuration matching with the execution group value")
        if len({kind_of(one) for one in found}) > 1:
            raise RefusalError(400, "Execution group contains processor configurations that are incompatible")
        return {**found[0], "processors": [row for one in found for row in one.get("processors") or []]}

    def shown(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a stored configuration as the list of configurations has it."""
        return _masked(configuration) if self.masks_secrets else dict(configuration)

    def check_configuration(self, configuration: Mapping[str, Any]) -> None:
        """Raise ``RefusalError`` (400) when a configuration to store or to run has errors."""
        errors = configuration_errors(configuration) if self.strict else []
        if errors:
            raise RefusalError(400, *errors)

    def create(self, ldif: Mapping[str, Any], configuration: Mapping[str, Any], input_error: str = "") -> Run:
        """Create a run with the current switches, without starting it.

        :param input_error: reason why the input could not be fetched.
        """
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
            input_error=input_error,
        )
        self.machine.add(run)
        return run

    def run_row(self, run: Run) -> dict[str, Any]:
        """Return a run's id, status and description in the API's form."""
        status = self.shown_status if self.shown_status and run.status == "IN_PROGRESS" else run.status
        body: dict[str, Any] = {"id": run.id, "status": status}
        if run.description is not None:
            body["description"] = run.description
        return body

    def count_rows(self, rows: int) -> None:
        """Count rows or objects in a reply."""
        self.around.counters.rows_served[self.name] += rows

    def _process(self, run: Run) -> None:
        if not run.inbound:
            process_outbound(run, self.fact_sheets, self.more_applications)
        elif not self.processes_nothing:
            process_inbound(run, self.fact_sheets, self.bad_items, self.doubtful_items)
            write_to_ldif(run, self.fact_sheets)
        self._log(run)

    def _log(self, run: Run) -> None:
        """Add a finished run to the sync log, with an id of its own."""
        synchronization, items = sync_log_of(run)
        self.synchronizations.append(synchronization)
        self.sync_items += items


def _masked(value: Any) -> Any:
    """Return a value of JSON with the secrets in it masked."""
    if isinstance(value, Mapping):
        return {key: "***" if key in SECRET_FIELDS else _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
