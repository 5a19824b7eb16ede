"""Auth manager of the tests: a guest sees one DAG only."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

GUEST = "guest"
VISIBLE = "twin_map"
"""The only DAG that the guest sees."""


class OneDagAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, which has no permissions by DAG, with those of one user."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        is_any = details is None or details.id in (None, "~")
        is_theirs = is_any or user.username != GUEST or details.id == VISIBLE
        return is_theirs and super().is_authorized_dag(user=user, details=details, **asked)
