"""Run request: the facts about a run's input that are needed when the run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.leanix.api import KEY_FIELDS

if TYPE_CHECKING:
    from airflow_provider.leanix.ldif.document import Ldif


class RunRequest(NamedTuple):
    """Facts about a run's input, small enough to outlive a deferral.

    :param fingerprint: identifies the request.
    :param sent: number of items that are data.
    :param connector: type, id and version of the connector, joined by slashes.
    :param is_full: whether the run deletes what its content does not contain.
    :param is_export: whether the run exists for the LDIF that it produces.
    """

    fingerprint: str
    sent: int
    connector: str
    is_full: bool
    is_export: bool

    @classmethod
    def of(cls, ldif: Ldif, fingerprint: str) -> RunRequest:
        """Return the request of a validated LDIF."""
        connector = "/".join(str(ldif.header[name]) for name in KEY_FIELDS[:3])
        return cls(fingerprint, ldif.sent, connector, ldif.is_full, ldif.is_export)

    def to_kwargs(self) -> dict[str, Any]:
        """Return the arguments with which a deferred task resumes."""
        facts = self._asdict()
        return {"request": facts.pop("fingerprint"), "sent": facts.pop("sent"), "facts": facts}

    @classmethod
    def from_kwargs(cls, request: str, sent: int, facts: Mapping[str, Any]) -> RunRequest:
        """Return the request from the arguments of a resumed task."""
        return cls(request, sent, **facts)

    @classmethod
    def of_task(cls, request: str, sent: int, task: Any) -> RunRequest:
        """Return the request of a task that release 0.1.0 has deferred: its arguments were complete."""
        connector = f"{task.connector_type}/{task.connector_id}/{task.connector_version}"
        is_full = str(task.processing_mode).lower() == "full"
        is_outbound = str(task.processing_direction).lower() == "outbound"
        return cls(request, sent, connector, is_full, is_outbound)
