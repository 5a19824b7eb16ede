"""Plan: what a task would store of processor configurations, as a JSON document without secrets."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import msgspec

from airflow_provider.core.sync.document import SignedPlan
from airflow_provider.errors import InputError, PlanRejectedError
from airflow_provider.leanix.configurations import FieldChange, changes, key_of
from airflow_provider.leanix.secret_mask import SecretMask, is_masked

Operation = Literal["create", "update", "unchanged"]

OPERATIONS: tuple[Operation, ...] = ("create", "update", "unchanged")

_ROUNDS = 10_000
"""Rounds of the hash of a configuration: a secret in it cannot be found by trying many."""


@dataclass(slots=True)
class Entry:
    """One configuration of a plan.

    :param key: its five key fields.
    :param operation: ``create``, ``update`` or ``unchanged``.
    :param before: hash of the stored configuration; empty without one.
    :param after: hash of the wanted configuration.
    :param configuration: the wanted configuration, its secrets masked.
    :param has_secrets: whether secrets are masked in it, so that applying it needs the configuration itself.
    :param changes: the differences, secrets masked.
    """

    key: list[str]
    operation: Operation
    before: str
    after: str
    configuration: dict[str, Any]
    has_secrets: bool
    changes: list[FieldChange] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The key as one text."""
        return "/".join(self.key)


def count(entries: Iterable[Entry]) -> dict[str, int]:
    """Return the number of configurations by operation."""
    found = Counter(entry.operation for entry in entries)
    return {operation: found[operation] for operation in OPERATIONS}


@dataclass
class Plan(SignedPlan):
    """The configurations of a task, compared with the stored ones.

    :param host: the server.
    :param workspace: id of the workspace; empty when neither token nor connection names it.
    :param salt: random text that goes into all hashes of configurations.
    :param fingerprint: hash of all the rest.
    :param entries: the configurations.
    """

    version: ClassVar[int] = 1

    host: str
    workspace: str = ""
    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    fingerprint: str = ""
    entries: list[Entry] = field(default_factory=list)

    def add(self, wanted: dict[str, Any], found: Mapping[str, Any] | None) -> None:
        """Add a configuration.

        :param wanted: the configuration.
        :param found: the stored configuration with its key; None without one.
        """
        mask = SecretMask(wanted, found)
        shown = mask.value(wanted)
        differences = [
            FieldChange(one.sign, mask.text(one.path), mask.at(one.path, one.old), mask.at(one.path, one.new))
            for one in changes(wanted, found or {})
        ]
        operation: Operation = "create" if found is None else "update" if differences else "unchanged"
        self.entries.append(
            Entry(
                key=list(key_of(wanted)),
                operation=operation,
                before="" if found is None else self.hash_of(found),
                after=self.hash_of(wanted),
                configuration=shown,
                has_secrets=shown != wanted,
                changes=differences,
            )
        )

    def hash_of(self, configuration: Mapping[str, Any]) -> str:
        """Return a hash of a configuration, of which nothing can be read."""
        data = msgspec.json.encode(configuration, order="deterministic")
        return hashlib.pbkdf2_hmac("sha256", data, self.salt.encode(), _ROUNDS).hex()

    def counts(self) -> dict[str, int]:
        """Return the number of configurations by operation."""
        return count(self.entries)

    def configurations(self, given: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
        """Return the planned configurations, with their secrets.

        :param given: the task's configurations; None without any.
        :raises InputError: when secrets are not given.
        :raises PlanRejectedError: when other configurations are given than those of the plan.
        """
        if given is None:
            if hidden := [entry.name for entry in self.entries if entry.has_secrets]:
                raise InputError(
                    f"the plan has no secrets; give 'configuration', too, for those of {', '.join(hidden)}"
                )
            return [entry.configuration for entry in self.entries]
        by_key = {key_of(one): one for one in given}
        wrong = [
            f"{entry.name} is {'not given' if one is None else 'another one than planned'}"
            for entry in self.entries
            if (one := by_key.pop(tuple(entry.key), None)) is None or self.hash_of(one) != entry.after
        ]
        wrong += [f"{'/'.join(key)} is not in the plan" for key in by_key]
        if wrong:
            raise PlanRejectedError(f"the plan is not that of 'configuration': {'; '.join(wrong)}")
        found = {key_of(one): one for one in given}
        return [found[tuple(entry.key)] for entry in self.entries]


def is_stored(
    wanted: Mapping[str, Any], found: Mapping[str, Any] | None, *, as_far_as_shown: bool = False
) -> bool:
    """Return whether a configuration is stored.

    :param wanted: the configuration.
    :param found: the stored configuration with its key; None without one.
    :param as_far_as_shown: whether a secret that the service has masked may be any.
    """
    if found is None:
        return False
    differences = list(changes(wanted, found))
    if not differences or not as_far_as_shown:
        return not differences
    mask = SecretMask(wanted)
    return all(mask.hides(one.path) and is_masked(one.old) for one in differences)
