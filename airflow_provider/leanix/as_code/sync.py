"""Sync of processor configurations: compared, planned, and written one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.redaction import all_encodings, mask, redact_token
from airflow_provider.core.sync.page import page_path
from airflow_provider.errors import PlanRejectedError, shorten
from airflow_provider.leanix.api import read_claims, workspace_id_of
from airflow_provider.leanix.as_code.page import page
from airflow_provider.leanix.as_code.plan import Entry, Plan, count, is_stored
from airflow_provider.leanix.configurations import key_of
from airflow_provider.leanix.secret_mask import SecretMask, raise_if_masked

if TYPE_CHECKING:
    from airflow_provider.leanix.hooks import LeanIXHook

_MIN_LENGTH = 8
"""Minimum characters of a secret that is masked in logs: shorter ones would garble them."""

Stored = dict[tuple[str, ...], dict[str, Any]]


class ConfigurationSync:
    """A sync of a workspace's processor configurations with those of a task.

    :param hook: the workspace.
    :param given: the task's configurations; None when a plan has them.
    :param plan_output: path of the plan; None for none.
    """

    def __init__(
        self, hook: LeanIXHook, given: Sequence[dict[str, Any]] | None, plan_output: str | None
    ) -> None:
        self._hook = hook
        self._given = given
        self._plan_output = plan_output
        self._wanted: list[dict[str, Any]] = []
        self._stored: Stored = {}
        self._is_loaded = False
        _hide_secrets(hook, given)
        raise_if_masked(given or ())

    def make_plan(self) -> Plan:
        """Compare the configurations with the stored ones, and write the plan."""
        plan = Plan(self._host, self._workspace)
        self._wanted = list(self._given or ())
        self._read_stored([key_of(one) for one in self._wanted])
        for wanted in self._wanted:
            plan.add(wanted, self._stored.get(key_of(wanted)))
        plan.sign()
        self._write(plan)
        return plan

    def load_plan(self, path: str) -> Plan:
        """Read a plan made earlier.

        :param path: its location.
        :raises PlanRejectedError: when it was altered, or is that of another server, or of other
            configurations than the task's.
        """
        with open_source(path, "plan") as file:
            plan = Plan.from_json(file.read(), path)
        if plan.host != self._host:
            raise PlanRejectedError(f"the plan {path} is for {plan.host}, not for {self._host}")
        if plan.workspace and self._workspace not in ("", plan.workspace):
            raise PlanRejectedError(
                f"the plan {path} is for workspace {plan.workspace}, not for {self._workspace}"
            )
        self._wanted = plan.configurations(self._given)
        raise_if_masked(self._wanted)
        self._is_loaded = True
        self._write(plan)
        return plan

    def apply(self, plan: Plan) -> list[Entry]:
        """Write the configurations that differ; return the plan's entries, with what was done.

        A write that is repeated has no further effect, so a retry of a killed task writes what is left. What
        an earlier attempt has written is unchanged.

        :param plan: the plan that was made or loaded.
        :raises PlanRejectedError: before any write, for stored configurations that have changed since.
        """
        if self._is_loaded:
            self._read_stored([tuple(entry.key) for entry in plan.entries])
            self._raise_if_changed(plan)
        done = []
        for entry, wanted in zip(plan.entries, self._wanted, strict=True):
            if self._is_loaded and is_stored(wanted, self._found(entry)):
                done.append(replace(entry, operation="unchanged", changes=[]))
                continue
            done.append(entry)
            if entry.operation != "unchanged":
                self._hook.put_configuration(wanted)
                self._hook.log.info("Stored configuration %s", entry.name)
        counts = count(done)
        self._hook.log.info("%d configurations were stored", counts["create"] + counts["update"])
        return done

    @property
    def _host(self) -> str:
        return self._hook.settings.host.rstrip("/").lower()

    @property
    def _workspace(self) -> str:
        """The workspace's id: servers have many workspaces, and the token decides which one is meant."""
        claims = read_claims(self._hook.access_token())
        return (workspace_id_of(claims) or self._hook.settings.extras["workspace_id"] or "").lower()

    def _read_stored(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Read the stored configurations with these keys, in one request."""
        connectors = {key[:2] for key in keys}
        filters = dict(zip(("connector_type", "connector_id"), keys[0], strict=False))
        found = self._hook.list_configurations(**(filters if len(connectors) == 1 else {}))
        _hide_secrets(self._hook, found)
        self._stored = {key_of(one): one for one in found}

    def _found(self, entry: Entry) -> dict[str, Any] | None:
        return self._stored.get(tuple(entry.key))

    def _raise_if_changed(self, plan: Plan) -> None:
        """Raise when stored configurations are neither as they were planned against, nor as planned."""
        changed = []
        for entry, wanted in zip(plan.entries, self._wanted, strict=True):
            found = self._found(entry)
            before = "" if found is None else plan.hash_of(found)
            if before != entry.before and not is_stored(wanted, found, as_far_as_shown=True):
                changed.append(f"{entry.name} {'is gone' if found is None else 'was changed'}")
        if changed:
            raise PlanRejectedError(
                f"configurations have changed since the plan was made: {'; '.join(shorten(changed, 10))}."
                " Nothing was written; make and review a new plan"
            )

    def _write(self, plan: Plan) -> None:
        if not self._plan_output:
            return
        with AtomicFile(self._plan_output) as out:
            out.write(plan.to_json())
        path = page_path(self._plan_output)
        with AtomicFile(path) as out:
            for part in page(plan):
                out.write(part)
        self._hook.log.info("The plan is in %s, its page in %s", self._plan_output, path)


def _hide_secrets(hook: LeanIXHook, configurations: object) -> None:
    """Mask the secrets of configurations in logs, and in errors that quote a reply."""
    secrets = [secret for secret in SecretMask(configurations).secrets if len(secret) >= _MIN_LENGTH]
    for secret in secrets:
        redact_token(secret)
        hook.transport.endpoint.redactor.add(secret)
    mask(all_encodings(secrets))
