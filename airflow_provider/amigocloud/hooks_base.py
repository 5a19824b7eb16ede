"""AmigoCloud connection: token, base URLs, project, and the diagnosis of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud import DEFAULT_CONN_ID, api
from airflow_provider.assets import amigocloud_asset
from airflow_provider.core.connection import ConnectionSpec, Extra, Settings
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.auth import Credential, QueryToken
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.http.twins import blocking
from airflow_provider.core.urls import origin
from airflow_provider.errors import (
    AuthenticationError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    clauses,
)

if TYPE_CHECKING:
    from airflow_provider.core.http.call import Call
    from airflow_provider.core.http.rate_limit import Budget


_NUMBERED = re.compile(r"(?:^|/)(datasets|queries)/(\d+)")
"""Kind and number of a dataset or saved query in the path of a request."""

_NAMES = {"datasets": "dataset", "queries": "saved query"}

_CONCURRENCY = 4
"""Concurrent requests of a task whose connection sets no limit."""


class ProjectHook(ApiHook):
    """Base of :class:`~airflow_provider.amigocloud.hooks.AmigoCloudHook`: the connection and its requests.

    :param amigocloud_conn_id: id of the Airflow connection.
    """

    conn_type = "amigocloud"
    hook_name = "AmigoCloud"
    conn_name_attr = "amigocloud_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    spec = ConnectionSpec(
        "amigocloud",
        default_host="https://app.amigocloud.com/api/v1",
        login="unused",
        extras={
            "project_url": Extra(),
            "websocket_url": Extra("socket"),
        },
    )

    service_retry_limits = RetryLimits(
        attempts=20, base=2.0, least=2.0, cap=30.0, total=600.0, longest_delay=60.0
    )
    """A deploy of the service takes up to ten minutes."""

    asset = staticmethod(amigocloud_asset)

    def __init__(self, amigocloud_conn_id: str = default_conn_name) -> None:
        super().__init__(amigocloud_conn_id)
        self.amigocloud_conn_id = amigocloud_conn_id

    def credential(self, settings: Settings) -> Credential:
        """Return the credential: the token as a query parameter."""
        return QueryToken(settings.password)

    def budget(self, settings: Settings) -> Budget:
        """Return the budget of the token, which has no known limit: a 429 pauses all tasks that use it."""
        return self.shared_budget(settings, None, settings.host, settings.password)

    def bases(self, settings: Settings) -> Mapping[str, str]:
        """Return the base URLs ``api`` and ``project``; equal if the connection names no project."""
        project = settings.extras["project_url"]
        base = api.project_base(settings.host, project) if project else settings.host
        return {"api": settings.host, "project": base}

    @property
    def has_project(self) -> bool:
        """True if the connection names a project."""
        return bool(self.settings.extras["project_url"])

    @property
    def websocket_url(self) -> str:
        """URL of the socket, as ``ws://`` or ``wss://``, with a slash at the end."""
        url = self.settings.extras["websocket_url"] or f"{origin(self.settings.host)}/v2_socket.io"
        return f"ws{url.removeprefix('http')}/"

    @property
    def max_concurrency(self) -> int:
        """Maximum concurrent requests of a task: the connection's ``max_concurrency``, else 4."""
        return self.settings.max_concurrency or _CONCURRENCY

    @contextmanager
    def explained(self, call: Call[Any]) -> Iterator[None]:
        """Within the block, raise the 404 of a dataset or saved query with what to check.

        :raises NotFoundError: naming it and the project.
        """
        try:
            yield
        except NotFoundError as error:
            if not error.is_page and (found := _NUMBERED.search(call.path)):
                project = self.settings.extras["project_url"]
                place = f"is in the project '{project}' of" if project else "is visible with the token of"
                what = f"{_NAMES[found[1]]} {found[2]}"
                advice = f"check that {what} {place} the connection '{self.conn_id}'"
                error.message = clauses(error.message, advice)
            raise

    def need_project(self) -> None:
        """Validate that the connection names a project.

        :raises InputError: when it names none.
        """
        if not self.has_project:
            raise InputError(api.NO_PROJECT, f"connection '{self.conn_id}'")

    @blocking
    async def probe(self) -> str:
        """Read the project, or without one the user, and return a sentence about it."""
        if self.has_project:
            project = await self.asend(api.project())
            return f"Connected to project '{project.get('name')}' ({project['id']})."
        user = await self.asend(api.me())
        return f"Connected as {user.get('email') or user['id']}."

    @blocking
    async def diagnose(self, error: ProviderError) -> str:
        """Return one sentence about the cause of a connection's error."""
        if isinstance(error, InputError) or not isinstance(error, (NotFoundError, PermissionDeniedError)):
            return await super().adiagnose(error)
        if isinstance(error, PermissionDeniedError) and (found := self.diagnose_address(error)):
            return found
        project, message = self.settings.extras["project_url"], error.message or error.code
        if isinstance(error, PermissionDeniedError):
            if project:
                return f"The token is refused, or has no permission for project '{project}': {message}"
            return (
                "The token is refused, or has no permission for user data (a project token needs"
                f" 'project_url'): {message}"
            )
        if project and await self._is_api():
            return f"The host and the token are valid, but there is no project '{project}' for this token."
        return "The host answers, but not like AmigoCloud's API: check the path of the host (/api/v1)."

    async def _is_api(self) -> bool:
        """Return whether the API root is right, after a project was not found."""
        try:
            await self.asend(api.me())
        except (AuthenticationError, PermissionDeniedError):
            return True
        except ProviderError:
            return False
        return True
