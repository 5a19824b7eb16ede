"""Writes of descriptions: no Thing and no category is created twice, though responses are lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider.core.http.twins import wait
from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    RequestRejectedError,
    TransportError,
    shorten,
)
from airflow_provider.iotstudio import api, api_admin
from airflow_provider.iotstudio.equality import contains_values, same_value
from airflow_provider.iotstudio.things.description import SERVER_FIELDS, TEMPLATE_FIELDS, patch_of

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks_base import SpaceHook

T = TypeVar("T")

NEWEST = 20
"""Number of Things that are noted before one is created."""

NEWEST_FIRST = {"sort": "-created"}

_NO_PATCH = 405
_NO_ROUTE = "does not match any rules"
"""Part of the message of the service's gateway about a path, or a method of it, that it does not know."""


async def create_thing(
    hook: SpaceHook, description: Mapping[str, Any], *, category: str | None = None
) -> dict[str, Any]:
    """Create a Thing, and return its description.

    A Thing cannot carry a marker, and the service chooses its id. Therefore the newest Things are noted
    first. When no response arrives, a Thing with the same description that is not among them is the new one.

    :param hook: the space.
    :param description: its fields.
    :param category: the category that it is created in.
    :raises AmbiguousWriteError: when no response arrived, and several Things may be the new one, or the
        service cannot list the newest ones.
    """
    try:
        noted = await _newest(hook, category)
    except RequestRejectedError as error:
        # Without this order, a lost response stays ambiguous.
        hook.log.info("The newest Things cannot be listed: %s", error)
        return await _create(hook, description, category)

    async def find() -> dict[str, Any] | None:
        return await find_created(hook, description, noted, category)

    return await create_once(hook, lambda: _create(hook, description, category), find, "the Thing")


async def _create(hook: SpaceHook, description: Mapping[str, Any], category: str | None) -> dict[str, Any]:
    return await hook.asend(api_admin.create_thing(hook.space, description, category=category))


async def create_once(
    hook: SpaceHook,
    create: Callable[[], Awaitable[T]],
    find: Callable[[], Awaitable[T | None]],
    subject: str,
) -> T:
    """Create something whose request may not be repeated unless it is not found afterwards.

    :param create: sends the request.
    :param find: returns what was created; None when it is not there.
    :param subject: what it is, for the log.
    """
    reason, limits, waited, attempts = "", hook.retry_limits, 0.0, 0
    while attempts < limits.attempts and waited <= limits.total:
        try:
            return await create()
        except AmbiguousWriteError as error:
            reason = error.reason
        # The service may still be storing it.
        pause = min(limits.cap, limits.base * 2.0**attempts)
        attempts, waited = attempts + 1, waited + pause
        await wait(pause)
        if (found := await find()) is not None:
            hook.log.info("No response (%s), but %s is there", reason, subject)
            return found
        hook.log.warning("No response (%s), and %s is not there", reason, subject)
    raise TransportError(f"{subject} was not created in {attempts} attempts; last reason: {reason}")


class Noted:
    """The newest Things from before one is created.

    :param ids: their ids.
    :param since: time of the oldest of them; empty when these are all.
    """

    def __init__(self, ids: Collection[str], since: str) -> None:
        self.ids = frozenset(ids)
        self.since = since


async def _newest(hook: SpaceHook, category: str | None) -> Noted:
    params = {**NEWEST_FIRST, "limit": NEWEST}
    page = await hook.asend(api.things(hook.space, category=category, params=params))
    times = [str(thing.get("created") or "") for thing in page.items]
    return Noted([thing["uid"] for thing in page.items], min(times, default="") if page.cursor else "")


async def _things_since(
    hook: SpaceHook, noted: Noted, category: str | None
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the Things that are not noted, newest first."""
    params = {**NEWEST_FIRST, "limit": 100}
    async for thing in hook.apages(
        lambda cursor: api.things(hook.space, category=category, params=params, cursor=cursor)
    ):
        if noted.since and str(thing.get("created") or "") < noted.since:
            return
        if thing["uid"] not in noted.ids:
            yield thing


async def find_created(
    hook: SpaceHook, description: Mapping[str, Any], noted: Noted, category: str | None
) -> dict[str, Any] | None:
    """Return the Thing that a request without a response has created; None when there is none.

    :param hook: the space.
    :param description: the description that was sent.
    :param noted: the Things from before it was sent.
    :param category: the category that it was created in.
    :raises AmbiguousWriteError: when a model's template may have replaced fields, and several Things may be
        the new one.
    """
    new = [thing async for thing in _things_since(hook, noted, category)]
    for thing in new:
        if describes(thing, description):
            return thing
    # A model, the Thing's own or that of a category, replaces fields by those of its template.
    similar = [thing for thing in new if describes(thing, description, but=TEMPLATE_FIELDS)]
    if not similar or not (description.get("model") or description.get("categories") or category):
        return None
    if len(similar) > 1:
        ids = ", ".join(shorten([thing["uid"] for thing in similar], 5))
        raise AmbiguousWriteError(
            f"the Thing may be one of {ids}: no response arrived, and a model may have replaced its title."
            " Nothing was sent again"
        )
    return similar[0]


def describes(thing: Mapping[str, Any], fields: Mapping[str, Any], but: Collection[str] = ()) -> bool:
    """Return whether a Thing has the given fields.

    :param thing: its description.
    :param fields: the fields.
    :param but: fields that are not compared.
    """
    if not contains_values(thing.get("status") or {}, fields.get("status") or {}):
        return False
    return all(
        same_field(name, value, thing.get(name))
        for name, value in fields.items()
        if name != "status" and name not in but and not (name == "categories" and name not in thing)
    )


def same_field(name: str, wanted: Any, found: Any) -> bool:
    """Return whether a field of a description has a value.

    The order of categories has no meaning, one type and a list of it are equal, and so are a field that is
    not there and one that is empty. A model without a version is any version of it.

    :param name: the field.
    :param wanted: the value that is sent.
    :param found: the value that was read.
    """
    if name == "categories":
        return sorted(wanted) == sorted(found or [])
    if name == "@type":
        return _as_list(wanted) == _as_list(found)
    if name == "model" and wanted and found and wanted.get("version") is None:
        return bool(wanted["name"] == found.get("name"))
    return (not wanted and not found) or same_value(wanted, found)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


async def update_thing(hook: SpaceHook, thing_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Set fields of a Thing's description, and return the new description; other fields stay.

    An older server that knows no PATCH gets the whole description, with the fields in it.

    :param hook: the space.
    :param thing_id: the Thing's id.
    :param fields: new values by field.
    """
    try:
        return await hook.asend(api_admin.patch_thing(hook.space, thing_id, patch_of(fields)))
    except (NotFoundError, RequestRejectedError) as error:
        if not is_without_patch(error):
            raise
    return await replace_fields(hook, thing_id, fields)


async def replace_fields(hook: SpaceHook, thing_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Set fields of a Thing's description by replacing it whole; return the new description.

    :param hook: the space.
    :param thing_id: the Thing's id.
    :param fields: new values by field.
    """
    found = await hook.asend(api.thing(hook.space, thing_id))
    # Whether a description without "status" keeps the values is not documented: they are sent as they are.
    body = {name: value for name, value in found.items() if name not in SERVER_FIELDS}
    return await hook.asend(api_admin.replace_thing(hook.space, thing_id, {**body, **fields}))


def is_without_patch(error: NotFoundError | RequestRejectedError) -> bool:
    """Return whether a server refused the method PATCH, not the Thing.

    :param error: its reply.
    """
    return error.status == _NO_PATCH or (isinstance(error, NotFoundError) and _NO_ROUTE in error.message)


async def create_category(hook: SpaceHook, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Create a category, and return it.

    :param hook: the space.
    :param fields: its name, description and model.
    :raises RequestRejectedError: with status 409 when a category of this name existed before.
    """
    sent = False

    async def create() -> dict[str, Any]:
        nonlocal sent
        try:
            return await hook.asend(api_admin.create_category(hook.space, fields))
        except RequestRejectedError as error:
            # After a request without a response, the category may be our own.
            if error.status == 409 and sent and (found := await find()) is not None:
                return found
            raise
        finally:
            sent = True

    async def find() -> dict[str, Any] | None:
        try:
            found = await hook.asend(api_admin.category(hook.space, fields["name"]))
        except NotFoundError:
            return None
        return (
            found if all(same_field(name, value, found.get(name)) for name, value in fields.items()) else None
        )

    return await create_once(hook, create, find, f"category '{fields['name']}'")
