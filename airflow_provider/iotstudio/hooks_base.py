"""Base of the hook: credentials, API version, errors and pagination of one space."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider.assets import iotstudio_asset
from airflow_provider.core.connection import ConnectionSpec, Extra, Settings
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.auth import Credential, HeaderToken, MintedToken
from airflow_provider.core.http.call import Call, Params
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.http.twins import (
    aside,
    blocking,
    blocking_iterator,
    run,
    twin,
    twin_iterator,
    wait,
)
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.errors import (
    ApiError,
    AuthenticationError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    ServerError,
    clauses,
)
from airflow_provider.iotstudio import DEFAULT_CONN_ID, api
from airflow_provider.iotstudio.conditions import name_problems, selects_nothing

if TYPE_CHECKING:
    from airflow_provider.core.http.circles import Circle
    from airflow_provider.core.http.rate_limit import Budget

T = TypeVar("T")

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path

_REFUSALS = frozenset({400, 401})
"""Statuses that a space may have which the service does not know, beside 403 and 404."""

MISSING_RECHECK_SECONDS = 1.0
"""Seconds before an item that existed a moment ago, and got a 404, is requested again."""

PREVIEW = "2023.1"
"""The first release with this API, for servers that serve an older one by default."""

_NO_ROUTE = "does not match any rules"
"""Part of the message of the service's gateway about a path that it does not know."""


class SpaceHook(ApiHook):
    """Requests to one space; the base of :class:`~airflow_provider.iotstudio.hooks.IoTStudioHook`.

    :param iotstudio_conn_id: id of the Airflow connection.
    :param space: id of the space; the connection's extra ``space`` when it is left out.
    """

    conn_name_attr = "iotstudio_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "iotstudio"
    hook_name = "Altair IoT Studio"
    spec = ConnectionSpec(
        "iotstudio",
        default_host="https://api.swx.altairone.com",
        login="optional",
        password="optional",  # noqa: S106 - a need, not a password
        extras={
            "space": Extra(),
            "scopes": Extra("list", ()),
            "access_token": Extra(secret=True),
            "api_preview": Extra(),
            "revoke_on_close": Extra("boolean", False),
            "mqtt_url": Extra("broker"),
            "mqtt_username": Extra(),
            "mqtt_password": Extra(secret=True),
            "mqtt_topics": Extra("list", ()),
        },
    )

    asset = staticmethod(iotstudio_asset)

    def __init__(self, iotstudio_conn_id: str = default_conn_name, *, space: str | None = None) -> None:
        super().__init__(iotstudio_conn_id)
        self.iotstudio_conn_id = iotstudio_conn_id
        self._space = space

    # -- credentials, errors and the space ---------------------------------------------------------

    def credential(self, settings: Settings) -> Credential:
        """Return the static token when the connection has one, else client credentials.

        :raises InputError: when the connection has neither.
        """
        if settings.extras["access_token"]:
            return HeaderToken(settings.extras["access_token"])
        missing = [name for name in ("login", "password") if not getattr(settings, name)]
        if missing:
            raise InputError(
                f"{' and '.join(missing)} missing (client id and client secret); or set the extra"
                " 'access_token' instead of both",
                f"connection '{settings.conn_id}'",
            )
        return MintedToken(api.token(settings.login, settings.password, settings.extras["scopes"]))

    def budget(self, settings: Settings) -> Budget:
        """Return the budget of the client, which has no known limit: a 429 pauses all tasks that use it."""
        client = settings.extras["access_token"] or settings.login
        return self.shared_budget(settings, None, settings.host, client)

    def token_budget(self, settings: Settings) -> Budget | None:
        """Return the budget of the client's token requests."""
        if settings.extras["access_token"]:
            return None
        return self.shared_token_budget(settings, settings.host, settings.login)

    def shares_tokens(self, settings: Settings) -> bool:
        """Return whether the token is shared; one that is revoked at the end stays in the process."""
        return super().shares_tokens(settings) and not settings.extras["revoke_on_close"]

    def read_error(self, reply: Reply) -> tuple[str, str]:
        """Read code and message of an error reply; the message includes the details of each field."""
        return api.read_error(reply)

    @property
    def space(self) -> str:
        """The id of the space that requests go to.

        :raises InputError: when neither the hook nor the connection names a space, or the hook's is empty.
        """
        raise_problems(name_problems(self._space, "space"))
        space = self._space or self.settings.extras["space"]
        if not space:
            raise InputError(
                "no space: set the connection's extra 'space', or the argument 'space'",
                f"connection '{self.conn_id}'",
            )
        return str(space)

    def prepared(self, call: Call[T]) -> Call[T]:
        """Return a call as it is sent: with the version that the connection asks for."""
        preview = self.settings.extras["api_preview"]
        return replace(call, headers={**call.headers, "Prefer": f"preview={preview}"}) if preview else call

    @contextmanager
    def explained(self, call: Call[Any]) -> Iterator[None]:
        """Within the block, raise a call's errors with a hint.

        :raises PermissionDeniedError: naming the scope that the request needs.
        """
        try:
            yield
        except PermissionDeniedError as error:
            raise self._permission_error(error, call) from None
        except NotFoundError as error:
            raise self._not_found(error) from None

    def _not_found(self, error: NotFoundError) -> NotFoundError:
        """Return a 404, with a hint when the service does not know the route either."""
        error.message = clauses(error.message, self._preview_hint(error))
        return error

    def _preview_hint(self, error: NotFoundError) -> str:
        """Return what to try when a server does not know the route; empty when a preview was asked for."""
        if self.settings.extras["api_preview"] or _NO_ROUTE not in error.message:
            return ""
        return f"an older server needs the extra 'api_preview', such as {PREVIEW}, to know this API"

    def _permission_error(self, error: PermissionDeniedError, call: Call[Any]) -> PermissionDeniedError:
        if error.is_page:  # Of a proxy or a gateway: it knows no scopes.
            return error
        scope, held = api.scope_for(call.method, call.path), " ".join(self.settings.extras["scopes"])
        error.message = clauses(
            error.message or "refused",
            f"needs the scope {scope} (the connection asks for {held or 'none'}), and an access policy that"
            " lets the client do this",
        )
        return error

    # -- any other request ------------------------------------------------------------------------

    @blocking
    async def request(
        self, method: str, path: str, *, params: Params | None = None, json: Any = None
    ) -> Reply:
        """Send any other request; return the raw response.

        :param method: HTTP method, such as ``GET``.
        :param path: ``/spaces/...`` from the host's root, or without the leading slash below the space
            (``things/<id>/events``). Names in it must be quoted.
        :param params: query parameters; a list repeats its parameter. A selecting parameter that is empty or
            null is refused.
        :param json: body, sent as JSON; None sends none.
        :raises InputError: before the request, for a path with an empty name and for an empty condition.
        :raises ApiError: when the status is not a 2xx.
        """
        if selects_nothing(params):
            raise InputError("a list in params is empty and would select everything", "the query")
        if "" in path.removeprefix("/").partition("?")[0].split("/") and "://" not in path:
            raise InputError(f"the path {path!r:.200} has an empty name or id", "the request")
        full = path if path.startswith("/") or "://" in path else f"{api.space_path(self.space)}/{path}"
        return await self.asend(api.raw_request(method.upper(), full, params, json))

    @blocking
    async def revoke_token(self) -> None:
        """Revoke the access token that this process holds; the next request gets a new one.

        :raises InputError: for a connection with a static token: only the client that the token was issued to
            can revoke it.
        """
        if self.settings.extras["access_token"]:
            raise InputError(
                "has a static access token, which only the client it was issued to can revoke",
                f"connection '{self.conn_id}'",
            )
        if value := await self.acached_access_token():
            await self.asend(api.revoke(self.settings.login, self.settings.password, value))
            await self.aforget_access_token(value)

    @blocking
    async def close(self) -> None:
        """Close the connection pool; with the extra ``revoke_on_close``, revoke the token first."""
        try:
            if (self._transport or self._async_transport) and self.settings.extras["revoke_on_close"]:
                await self.arevoke_token()
        except ProviderError as error:
            # The work is done. A token that stays valid is no reason to fail the task.
            self.log.warning("the access token could not be revoked: %s", error)
        finally:
            await super().aclose()

    @blocking
    async def probe(self) -> str:
        """Request a token and list one Thing; return a sentence for a connection that works.

        With the extra ``mqtt_url``, the broker must accept its credentials and a subscription, too.
        """
        space = self.space
        await self.asend(api.things(space, params={"limit": 1}))
        if not self.settings.extras["mqtt_url"]:
            return f"Connected; the space '{space}' can be read."
        from airflow_provider.core.push.broker import check_broker
        from airflow_provider.iotstudio.push.settings import broker_of, checked_topics

        try:
            broker = broker_of(self.settings)
            refused = await aside(check_broker, broker, checked_topics(broker))
        except ProviderError as error:
            raise ProviderError(
                f"The space '{space}' can be read, but no values are pushed: {error}"
            ) from None
        but = f", but refuses the topics {', '.join(refused):.300}" if refused else ""
        return (
            f"Connected; the space '{space}' can be read, and the MQTT broker accepts the credentials{but}."
        )

    def diagnose(self, error: ProviderError) -> str:
        """Return in one sentence what is wrong with the connection."""
        if not isinstance(error, ApiError) or self.diagnose_address(error):
            return super().diagnose(error)
        reason = error.message or error.code or str(error.status)
        if error.code == "invalid_scope":
            return f"The client may not use one of the connection's scopes: {reason}"
        if TOKEN_PATH in error.request and not isinstance(error, AuthenticationError):
            said = clauses(f"{error.status} {reason}", "check the host.")
            return f"The host answers, but not as IoT Studio's token service: {said}"
        if isinstance(error, NotFoundError):
            found = f"The credentials are valid, but the space '{self.space}' was not found"
            return f"{clauses(found, self._preview_hint(error))}."
        is_static = bool(self.settings.extras["access_token"])
        if isinstance(error, PermissionDeniedError):
            start = "The access token is refused, or" if is_static else "The credentials are valid, but"
            return f"{start} may not read the space '{self.space}': {reason}"
        if error.status in _REFUSALS and TOKEN_PATH not in error.request and not is_static:
            said = clauses(reason, "check the extra 'space'.")
            return f"The credentials are valid, but requests to the space '{self.space}' are refused: {said}"
        return super().diagnose(error)

    @blocking_iterator
    def pages(self, call: Callable[[str], Call[api.Page]]) -> AsyncGenerator[dict[str, Any], None]:
        """Return an iterator over the items of a list, page by page; an empty page is not the end.

        :param call: builds the request for the page at a cursor; the first page has an empty cursor, and its
            request is built at once, so that invalid arguments are refused here.
        :raises ServerError: when the list repeats a cursor.
        """
        return self._items(call)

    def _items(self, call: Callable[[str], Call[api.Page]]) -> AsyncGenerator[dict[str, Any], None]:
        return self._pages(call, call(""))

    async def _pages(
        self, call: Callable[[str], Call[api.Page]], request: Call[api.Page]
    ) -> AsyncGenerator[dict[str, Any], None]:
        from airflow_provider.core.http.circles import Circle

        cursor, circle = "", Circle("")
        while True:
            page = await self.asend(request)
            for item in page.items:
                yield item
            cursor = next_cursor(cursor, page, circle)
            if not cursor:
                return
            request = call(cursor)

    # -- for event loops --------------------------------------------------------------------------

    arequest = twin(request)
    arevoke_token = twin(revoke_token)
    apages = twin_iterator(pages)


def next_cursor(cursor: str, page: api.Page, circle: Circle | None = None) -> str:
    """Return the next page's cursor; empty at the end.

    :param cursor: the cursor of the page.
    :param page: the page.
    :param circle: the cursors of the list so far, when it is read to its end.
    :raises ServerError: when the cursor was there before: the list would never end.
    """
    if page.cursor and (page.cursor == cursor or (circle and circle.closes_at(page.cursor))):
        raise ServerError(200, "", "the list gave the same cursor twice; it would never end")
    return page.cursor


def read_twice(read: Callable[[], T]) -> T:
    """Read an item that existed a moment ago; a single 404 is not believed.

    The service has been seen to return a 404 for such items now and then.

    :param read: sends the request.
    :raises NotFoundError: when the second attempt gets a 404, too.
    """

    async def aread() -> T:
        return read()

    return run(aread_twice(aread))


async def aread_twice(read: Callable[[], Awaitable[T]]) -> T:
    """Read the same from an event loop; see :func:`read_twice`.

    :param read: sends the request.
    """
    try:
        return await read()
    except NotFoundError:
        await wait(MISSING_RECHECK_SECONDS)
        return await read()
