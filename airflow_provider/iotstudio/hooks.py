"""Hook of Altair IoT Studio: Things, properties, history and actions of one space."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from airflow_provider.core.http.call import Params
from airflow_provider.core.http.twins import blocking, blocking_iterator, no_items, twin, twin_iterator, wait
from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.errors import (
    AmbiguousWriteError,
    ApiError,
    InputError,
    NotFoundError,
    RequestRejectedError,
    TransportError,
)
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.conditions import selects_nothing
from airflow_provider.iotstudio.hooks_admin import SpaceAdminHook
from airflow_provider.iotstudio.hooks_base import aread_twice, next_cursor, read_twice

MAY_BE_STORED = (
    "the service may have stored the other values of the refused write, which its docs leave open: read the"
    " Thing; a repeat with only_changed=True writes what is missing"
)
"""Note of the error of a write with several values."""

_REFUSED_VALUES = frozenset({400, 422})

_MAYBE_GONE = frozenset({400, 403})
"""Statuses, beside 404, of replies about a Thing that does not exist; the docs leave them open."""


class IoTStudioHook(SpaceAdminHook):
    """Hook for the Things of one space.

    The access token is requested on first use, shared with other processes and renewed before it expires.
    When the service refuses it, it is replaced. Closing the hook leaves it valid, because other tasks
    use it, too; the extra ``revoke_on_close`` and :meth:`revoke_token` revoke it.

    :param iotstudio_conn_id: id of the Airflow connection: client id as login, client secret as password, or
        the extra ``access_token`` instead of both; extras ``space``, ``scopes``, ``api_preview``.
    :param space: id of the space; the connection's extra ``space`` when it is left out.
    """

    # -- Things -----------------------------------------------------------------------------------

    @blocking_iterator
    def list_things(
        self, *, category: str | None = None, params: Params | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield all Things, page by page; each has its current values in ``status``.

        :param category: only Things of this category.
        :param params: the API's own query: filters (``{"property:temperature": "gt:20"}``), ``sort``, and
            ``limit`` as the size of a page (1000 unless given). An empty list of ids selects nothing.
        :raises InputError: before any request, for a condition that is empty or null.
        """
        if selects_nothing(params):
            return no_items()
        return self._items(
            lambda cursor: api.things(self.space, category=category, params=params, cursor=cursor)
        )

    async def amatching(
        self, wanted: int, *, category: str | None = None, params: Params | None = None
    ) -> list[str]:
        """Return the ids of Things that match; see :meth:`list_things`.

        :param wanted: maximum number of ids.
        :param category: only Things of this category.
        :param params: see :meth:`list_things`.
        """
        found: list[str] = []
        async for thing in self.alist_things(category=category, params=params):
            found.append(thing["uid"])
            if len(found) >= wanted:
                break
        return found

    @blocking
    async def get_thing(self, thing_id: str) -> dict[str, Any]:
        """Return a Thing's description and current values.

        :param thing_id: the Thing's id.
        """
        return await self.asend(api.thing(self.space, thing_id))

    @blocking
    async def list_categories(self) -> list[dict[str, Any]]:
        """Return all categories of the space."""
        return [one async for one in self._items(lambda cursor: api.categories(self.space, cursor))]

    # -- properties -------------------------------------------------------------------------------

    @blocking
    async def get_properties(self, thing_id: str) -> dict[str, Any]:
        """Return all current values of a Thing, by name.

        :param thing_id: the Thing's id.
        """
        return await self.asend(api.properties(self.space, thing_id))

    @blocking
    async def get_property(self, thing_id: str, name: str) -> Any:
        """Return one current value.

        :param thing_id: the Thing's id.
        :param name: the property's name.
        """
        return await self.asend(api.property_value(self.space, thing_id, name))

    @blocking
    async def set_properties(
        self, thing_id: str, values: Mapping[str, Any], *, update_history: bool = True
    ) -> dict[str, Any]:
        """Set values of a Thing in one request; return the values that the service has accepted.

        When no response arrives, the values are read before they are sent again, because each request adds an
        entry to the history. Values that are already stored are not sent again.

        :param thing_id: the Thing's id.
        :param values: by property name; JSON types are sent as they are, other values as their JSON form. A
            NaN leaves its property alone; when all are NaN, nothing is sent.
        :param update_history: False keeps the values out of the history.
        :raises InputError: before any request, for values without a JSON form, naming each property.
        :raises TransportError: when no response arrived to any attempt, and not all values are stored.
        :raises RequestRejectedError: when the service refuses a value; it may have stored the others.
        """
        from airflow_provider.iotstudio.equality import contains_values

        if not (values := _checked_values(thing_id, values)):
            self.log.info("Thing %s: all values are NaN, nothing is written", thing_id)
            return {}
        call = api.write_properties(self.space, thing_id, values, update_history=update_history)
        missing = "the value is not" if len(values) == 1 else "not all of the values are"
        reason, limits, waited, attempts = "", self.retry_limits, 0.0, 0
        while attempts < limits.attempts and waited <= limits.total:
            try:
                return await self.asend(call)
            except AmbiguousWriteError as error:
                reason = error.reason
            except RequestRejectedError as error:
                if may_be_stored(error, values):
                    error.add_note(MAY_BE_STORED)
                raise
            # The service may still be storing them.
            pause = min(limits.cap, limits.base * 2.0**attempts)
            attempts, waited = attempts + 1, waited + pause
            await wait(pause)
            if contains_values(await aread_twice(lambda: self.aget_properties(thing_id)), values):
                self.log.info("%s: no response (%s), but the values are stored", call.name, reason)
                return dict(values)
            self.log.warning("%s: no response (%s), and %s stored", call.name, reason, missing)
        raise TransportError(
            f"{call.name}: {missing} stored after {attempts} attempts; last reason: {reason}"
        )

    @blocking_iterator
    def iter_history(
        self,
        thing_id: str,
        *,
        start: api.Time | None = None,
        end: api.Time | None = None,
        name: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a Thing's recorded values: ``{"at": time, "properties": {name: value}}``.

        They come in the service's order, in its samples the newest first.

        :param thing_id: the Thing's id.
        :param start: no value before this time: ISO 8601, the API's short forms, a datetime or date, seconds
            or milliseconds since the epoch; UTC without a time zone.
        :param end: no value after this time.
        :param name: only this property.
        :raises InputError: before any request, for a bound that is empty or not a time.
        """
        return self._items(
            lambda cursor: api.history(self.space, thing_id, name=name, start=start, end=end, cursor=cursor)
        )

    @blocking
    async def history_page(
        self,
        thing_id: str,
        *,
        start: api.Time | None = None,
        end: api.Time | None = None,
        name: str | None = None,
        cursor: str = "",
    ) -> api.Page:
        """Return one page of a Thing's recorded values; see :meth:`iter_history`.

        :param thing_id: the Thing's id.
        :param start: no value before this time.
        :param end: no value after this time.
        :param name: only this property.
        :param cursor: the ``cursor`` of the page before; empty for the first page.
        """
        page = await self.asend(
            api.history(self.space, thing_id, name=name, start=start, end=end, cursor=cursor)
        )
        next_cursor(cursor, page)
        return page

    # -- actions ----------------------------------------------------------------------------------

    @blocking
    async def invoke_action(self, thing_id: str, action: str, input: Any = None) -> dict[str, Any]:  # noqa: A002
        """Request an action of a Thing; return the request with its ``id`` and ``status``.

        It is never sent twice: the API has no idempotency key.

        :param thing_id: the Thing's id.
        :param action: the action's name.
        :param input: the action's input, any value with a JSON form; None sends none.
        :raises InputError: before any request, for an input without a JSON form.
        :raises AmbiguousWriteError: when no response arrived; check the action list before a retry.
        """
        from airflow_provider.iotstudio.values import read_payload

        payload = read_payload(input, "input")
        return await self.asend(api.request_action(self.space, thing_id, action, payload))

    @blocking
    async def get_action(self, thing_id: str, action: str, action_id: str) -> dict[str, Any]:
        """Return one requested action: ``id``, ``status``, and the service's other fields.

        :param thing_id: the Thing's id.
        :param action: the action's name.
        :param action_id: the id of its request.
        :raises NotFoundError: also when it rolled off: the service keeps the last hundred of a name.
        """
        return await self.asend(api.action(self.space, thing_id, action, action_id))

    @blocking_iterator
    def list_actions(self, thing_id: str, action: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a Thing's requests for one action; the service keeps the last hundred.

        :param thing_id: the Thing's id.
        :param action: the action's name.
        """
        return self._items(lambda cursor: api.actions(self.space, thing_id, action, cursor))

    # -- for event loops --------------------------------------------------------------------------

    alist_things = twin_iterator(list_things)
    aget_thing = twin(get_thing)
    alist_categories = twin(list_categories)
    aget_properties = twin(get_properties)
    aget_property = twin(get_property)
    aset_properties = twin(set_properties)
    aiter_history = twin_iterator(iter_history)
    ahistory_page = twin(history_page)
    ainvoke_action = twin(invoke_action)
    aget_action = twin(get_action)
    alist_actions = twin_iterator(list_actions)


def may_be_stored(error: Exception | None, values: Mapping[str, Any]) -> bool:
    """Return whether the service may have stored some values of a write that it has refused.

    :param error: the error of the write.
    :param values: the values of the write.
    """
    refused = isinstance(error, RequestRejectedError) and error.status in _REFUSED_VALUES
    return refused and len(values) > 1


def gone_error(hook: IoTStudioHook, thing_id: str, error: ApiError) -> NotFoundError | None:
    """Return the error of a Thing that is gone, from a reply about it other than a 404; else None.

    The list of Things tells. Advice about scopes would mislead then.

    :param hook: the space.
    :param thing_id: the Thing's id.
    :param error: the reply about the Thing.
    """

    def is_listed() -> bool:
        return any(thing["uid"] == thing_id for thing in hook.list_things(params={"thingID[]": [thing_id]}))

    if error.status not in _MAYBE_GONE or read_twice(is_listed):
        return None
    said = f"Thing {thing_id} is not in the list of Things"
    return NotFoundError(error.status, error.code, said, request=error.request, body=error.body)


def _checked_values(thing_id: str, values: object) -> dict[str, Any]:
    """Return property values as JSON, without those that are NaN."""
    from airflow_provider.iotstudio.values import read_properties

    if not isinstance(values, Mapping) or not values:
        raise InputError("'values' must be an object of values by property name", f"Thing {thing_id}")
    found, problems = read_properties(values)
    raise_problems(problems, f"Thing {thing_id}")
    return found
