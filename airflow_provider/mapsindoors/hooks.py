"""Hook for the MapsIndoors Integration API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.assets import mapsindoors_asset
from airflow_provider.core.connection import ConnectionSpec, Extra, Settings
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.auth import Credential, MintedToken
from airflow_provider.core.http.twins import blocking, is_blocking, mask_texts, twin
from airflow_provider.core.input.conditions import SUBJECT
from airflow_provider.core.input.values import (
    UnreadableValueError,
    ValueReader,
    read_integer,
    read_number,
    shown,
)
from airflow_provider.errors import (
    ApiError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    clauses,
    with_article,
)
from airflow_provider.mapsindoors import DEFAULT_CONN_ID, api

if TYPE_CHECKING:
    from airflow_provider.core.http.call import Call
    from airflow_provider.core.http.rate_limit import Budget
    from airflow_provider.core.json_types import Json

_READER = ValueReader()
_HAS_ID = "has an id; new objects get theirs from the service"


class MapsIndoorsHook(ApiHook):
    """Connection to one MapsIndoors solution, to read and write it.

    All tasks that use the same solution share one request budget: the service allows 10 requests a second and
    solution. The budget counts the processes of a machine, or with the connection's extra
    ``rate_limit_store`` those of several machines. Two keys of the same solution share the budget from the
    first read of the solution or its geodata on.

    :param mapsindoors_conn_id: id of the connection.
    """

    conn_type = "mapsindoors"
    hook_name = "MapsIndoors"
    conn_name_attr = "mapsindoors_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    spec = ConnectionSpec(
        conn_type,
        default_host="https://integration.mapsindoors.com",
        login="required",
        password="required",  # noqa: S106 - a rule, not a password
        extras={
            "api_key": Extra(required=True, secret=True),
            "grant_type": Extra(default="password", choices=("password", "client_credentials")),
            "auth_url": Extra("url", "https://auth.mapsindoors.com"),
            "scope": Extra(),
            "requests_per_second": Extra("number", 10.0),
        },
    )

    asset = staticmethod(mapsindoors_asset)

    def __init__(self, mapsindoors_conn_id: str = default_conn_name) -> None:
        super().__init__(mapsindoors_conn_id)

    def credential(self, settings: Settings) -> Credential:
        """Return the credential that requests a token with the connection's grant on first use."""
        extras = settings.extras
        call = api.log_in(extras["grant_type"], settings.login, settings.password, extras["scope"])
        return MintedToken(call, service=extras["auth_url"])

    def bases(self, settings: Settings) -> Mapping[str, str]:
        """Return the base URLs of the API and the token service."""
        return {"api": settings.host, api.AUTH: settings.extras["auth_url"]}

    def budget(self, settings: Settings) -> Budget:
        """Return the request budget that all tasks with the solution's key share."""
        return self._budget_of(settings.extras["api_key"], settings)

    def token_budget(self, settings: Settings) -> Budget:
        """Return the budget of the login's token requests."""
        return self.shared_token_budget(settings, settings.extras["auth_url"], settings.login)

    def _budget_of(self, solution: str, settings: Settings) -> Budget:
        return self.shared_budget(settings, settings.extras["requests_per_second"], settings.host, solution)

    async def _share_budget(self, solution: Any) -> None:
        """Join the budgets of all keys of the solution with the budget of its id."""
        if not isinstance(solution, str):
            return
        own, shared = self.budget(self.settings), self._budget_of(solution, self.settings)
        if is_blocking():
            own.join(shared)
        else:
            await own.ajoin(shared)

    @property
    def api_key(self) -> str:
        """API key or id of the solution, as paths contain it."""
        return str(self.settings.extras["api_key"])

    # -- solution ---------------------------------------------------------------------------------

    @blocking
    async def get_dataset(self) -> Json:
        """Read the solution.

        :return: ``{"id", "name", "availableLanguages", "baseLanguage", "rootObjects"}``. Use this ``id`` as
            ``datasetId`` of new objects, because the API key may differ from it.
        """
        dataset = await self.asend(api.get_dataset(self.api_key))
        await self._share_budget(dataset.get("id"))
        return dataset

    @blocking
    async def list_display_types(self) -> list[Json]:
        """Read the display types (in the CMS: location types)."""
        return await self.asend(api.list_display_types(self.api_key))

    @blocking
    async def create_display_types(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """Create display types with one request.

        :param items: display types without ``id``, each with its ``name`` and, in ``properties``, a
            ``name@<language>`` in every language of the solution.
        :return: the new ids, in the order of the display types.
        :raises InputError: when one has an ``id``; nothing was sent.
        :raises AmbiguousWriteError: when the request has no response. It is not retried, because the service
            may accept the same name twice.
        """
        _check(items, _is_new, _HAS_ID)
        return await self.asend(api.create_display_types(self.api_key, _read(items))) if items else []

    @blocking
    async def update_display_types(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Update display types with one request.

        :param items: each with its ``id``, and complete, as it was read: whether the service keeps fields and
            members that are not named is not documented.
        :raises InputError: when one has no ``id``; nothing was sent.
        """
        _check(items, lambda item: bool(_text(item.get("id"))), "has no id")
        if items:
            await self.asend(api.update_display_types(self.api_key, _read(items)))

    @blocking
    async def list_categories(self) -> list[Json]:
        """Read the categories."""
        return await self.asend(api.list_categories(self.api_key))

    @blocking
    async def create_categories(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """Create categories with one request.

        :param items: categories without ``id``, each with its ``key`` and, in ``name``, a text in every
            language of the solution.
        :return: the new ids, in the order of the categories.
        :raises InputError: when one has an ``id``; nothing was sent.
        :raises AmbiguousWriteError: when the request has no response. It is not retried, because the service
            may accept the same key twice.
        """
        _check(items, _is_new, _HAS_ID)
        return await self.asend(api.create_categories(self.api_key, _read(items))) if items else []

    @blocking
    async def update_categories(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Update categories with one request.

        :param items: each with its ``id``, and complete, as it was read: whether the service keeps fields and
            members that are not named is not documented.
        :raises InputError: when one has no ``id``; nothing was sent.
        """
        _check(items, lambda item: bool(_text(item.get("id"))), "has no id")
        if items:
            await self.asend(api.update_categories(self.api_key, _read(items)))

    @blocking
    async def list_app_user_roles(self) -> list[Json]:
        """Read the roles of app users, to which route elements can be restricted."""
        return await self.asend(api.list_app_user_roles(self.api_key))

    # -- geodata ----------------------------------------------------------------------------------

    @blocking
    async def list_geodata(
        self, *, base_types: Iterable[str] | str | None = None, root_element: str | None = None
    ) -> list[Json]:
        """Read venues, buildings, floors, rooms, areas and POIs as one flat list.

        :param base_types: the base types to read (``room``, ``poi``, ...); None for all, an empty list for
            none.
        :param root_element: id of the object to read with its descendants; None for the whole solution.
        :raises InputError: when a condition is empty.
        """
        wanted, root_element = _conditions(base_types, root_element)
        if wanted is not None and not wanted:
            return []
        found = await self.asend(api.list_geodata(self.api_key, _only(wanted), root_element))
        await self._share_budget(found[0].get("datasetId") if found else None)
        return _of_types(found, wanted)

    def iter_geodata(self) -> Iterator[Json]:
        """Read all geodata as :meth:`list_geodata` does, and decode each object on access."""
        import msgspec

        found = self.send(self._all_geodata())
        return map(msgspec.json.decode, found)

    async def aiter_geodata(self) -> AsyncIterator[Json]:
        """Read all geodata from an event loop, and decode each object on access; see :meth:`iter_geodata`."""
        import msgspec

        await self.aload()
        for found in await self.asend(self._all_geodata()):
            yield msgspec.json.decode(found)

    def _all_geodata(self) -> Call[list[Any]]:
        return api.undecoded(api.list_geodata(self.api_key))

    @blocking
    async def create_geodata(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """Create objects with one request.

        :param items: objects without ``id``; parents must exist already.
        :return: the new ids, in the order of the objects.
        :raises InputError: when an object has an ``id``; nothing was sent.
        :raises AmbiguousWriteError: when the request has no response. It is not retried, because the service
            accepts the same object twice.
        """
        _check(items, _is_new, _HAS_ID)
        return await self.asend(api.create_geodata(self.api_key, _read(items))) if items else []

    @blocking
    async def update_geodata(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Update objects with one request.

        :param items: each with its ``id`` and the fields that change; other fields stay. Whether
            members of ``properties`` and ``baseTypeProperties`` that are not named stay is not documented:
            send these whole.
        :raises InputError: when an object has no ``id``; nothing was sent.
        """
        _check(items, lambda item: bool(_text(item.get("id"))), "has no id")
        if items:
            await self.asend(api.update_geodata(self.api_key, _read(items)))

    @blocking
    async def delete_geodata(self, ids: Sequence[str]) -> None:
        """Delete objects with one request.

        :param ids: ids of the objects. The vendor's docs do not say what happens to children; delete children
            first.
        :raises InputError: when a value is not an id; nothing was sent.
        """
        if isinstance(ids, (str, bytes, Mapping)) or not isinstance(ids, Collection):
            raise InputError(f"must be a list of ids, not {shown(ids)}", "the ids")
        wrong = [
            f"row {number}: {shown(object_id)} is not an id"
            for number, object_id in enumerate(ids, 1)
            if not _text(object_id)
        ]
        if wrong:
            raise InputError(wrong, "the ids")
        if ids:
            await self.asend(api.delete_geodata(self.api_key, list(ids)))

    @blocking
    async def reverse_geocode(self, lat: float, lng: float, floor: int) -> list[Json]:
        """Read the venue, building, floor and room around a point.

        :param lat: degrees north.
        :param lng: degrees east.
        :param floor: the floor's index (its ``administrativeid``), not its name.
        """
        try:
            place = read_number(_READER.read(lat)), read_number(_READER.read(lng))
            index = read_integer(_READER.read(floor))
        except UnreadableValueError as problem:
            raise InputError(f"a coordinate or the floor {problem}", "the point") from None
        return await self.asend(api.geocode(self.api_key, *place, index))

    # -- routes and secrets -----------------------------------------------------------------------

    @blocking
    async def list_route_elements(self) -> list[Json]:
        """Read the doors, stairs and lifts of the route network."""
        return await self.asend(api.list_route_elements(self.api_key))

    @blocking
    async def update_route_elements(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Update route elements with one request.

        :param items: each with its ``id`` and the fields that change: ``waitTime`` (seconds),
            ``onewayDirection`` (degrees), ``restrictions``. With automatic graphs, reload the route network
            in the CMS afterwards.
        :raises InputError: when an element has no ``id``; nothing was sent.
        """
        _check(items, lambda item: bool(_text(item.get("id"))), "has no id")
        if items:
            await self.asend(api.update_route_elements(self.api_key, _read(items)))

    @blocking
    async def list_client_secrets(self, customer_id: str) -> list[Json]:
        """List the secrets of a customer's client, without their values.

        :param customer_id: id of the customer, from the vendor's support.
        """
        return await self.asend(api.list_secrets(_required_text(customer_id, "customer_id")))

    @blocking
    async def create_client_secret(self, customer_id: str, description: str | None = None) -> Json:
        """Create a client secret.

        :param customer_id: id of the customer, from the vendor's support.
        :param description: purpose of the secret, shown in the list of secrets.
        :return: ``{"id", "description", "createdAt", "secret"}``. The secret is in no later reply; it is
            masked in logs from now on.
        """
        from airflow_provider.core.redaction import all_encodings

        made = await self.asend(api.create_secret(_required_text(customer_id, "customer_id"), description))
        await mask_texts(all_encodings([str(made.get("secret", ""))]))
        return made

    @blocking
    async def delete_client_secret(self, customer_id: str, secret_id: str) -> None:
        """Delete a client secret by its id.

        :param customer_id: id of the customer, from the vendor's support.
        :param secret_id: the secret's id, not its value.
        """
        customer_id, secret_id = (
            _required_text(customer_id, "customer_id"),
            _required_text(secret_id, "secret_id"),
        )
        await self.asend(api.delete_secret(customer_id, secret_id))

    # -- connection test --------------------------------------------------------------------------

    @blocking
    async def probe(self) -> str:
        """Log in, read the solution, and check that the login has access to it."""
        visible = await self.asend(api.list_datasets())
        dataset = await self.aget_dataset()
        if dataset.get("id") not in [solution.get("id") for solution in visible]:
            what = f"the login has no access to the solution '{dataset.get('name')}'"
            raise PermissionDeniedError(403, message=what)
        languages = ", ".join(dataset.get("availableLanguages") or [])
        return f"Logged in; solution '{dataset.get('name')}' (languages {languages})."

    def diagnose(self, error: ProviderError) -> str:
        """Return the problem of the connection as a sentence."""
        if not isinstance(error, ApiError) or self.diagnose_address(error):
            return super().diagnose(error)
        # The login could list its solutions before.
        if error.status in _REFUSALS and "(read the solution)" in error.request:
            said = clauses(error.message or str(error.status), "check the extra 'api_key'.")
            return f"The login is valid, but the solution with this key is refused: {said}"
        if isinstance(error, NotFoundError):
            if "connect/token" in error.request:
                return (
                    "The host of the extra 'auth_url' responds, but is not a token service: check the extra."
                )
            if "(list solutions)" in error.request:
                return f"The host responds, but not like MapsIndoors' API: is it {self.spec.default_host}?"
            return "The host responds, but has no solution with this key: check the extra 'api_key'."
        return super().diagnose(error)

    # -- for event loops --------------------------------------------------------------------------

    aget_dataset = twin(get_dataset)
    alist_display_types = twin(list_display_types)
    acreate_display_types = twin(create_display_types)
    aupdate_display_types = twin(update_display_types)
    alist_categories = twin(list_categories)
    acreate_categories = twin(create_categories)
    aupdate_categories = twin(update_categories)
    alist_app_user_roles = twin(list_app_user_roles)
    alist_geodata = twin(list_geodata)
    acreate_geodata = twin(create_geodata)
    aupdate_geodata = twin(update_geodata)
    adelete_geodata = twin(delete_geodata)
    areverse_geocode = twin(reverse_geocode)
    alist_route_elements = twin(list_route_elements)
    aupdate_route_elements = twin(update_route_elements)
    alist_client_secrets = twin(list_client_secrets)
    acreate_client_secret = twin(create_client_secret)
    adelete_client_secret = twin(delete_client_secret)


_REFUSALS = frozenset({400, 401, 403})
"""Statuses that a solution may have which the service does not know, beside 404."""


def _conditions(
    base_types: Iterable[str] | str | None, root_element: str | None
) -> tuple[set[str] | None, str | None]:
    from airflow_provider.mapsindoors.arguments import Arguments

    arguments = Arguments()
    if base_types is not None and not isinstance(base_types, str):
        base_types = list(base_types)
    found = arguments.base_types(base_types), arguments.root_element(root_element)
    arguments.raise_if_any()
    return found


def _required_text(value: Any, name: str) -> str:
    """Return a text that is not empty.

    :raises InputError: when it is empty, or no text.
    """
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} must be a text that is not empty, not {shown(value)}", SUBJECT)
    return value


def _only(wanted: set[str] | None) -> str | None:
    """Return the base type to request, or None to read all.

    The vendor's docs do not say how to request several base types, so all are read and filtered.
    """
    return next(iter(wanted)) if wanted and len(wanted) == 1 else None


def _of_types(found: list[Json], wanted: set[str] | None) -> list[Json]:
    return found if wanted is None else [item for item in found if item.get("baseType") in wanted]


def _read(items: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Return objects as JSON has them; a missing value of a data library is left out.

    :raises InputError: for each value that has no JSON form.
    """
    out, wrong = [], []
    for number, item in enumerate(items, 1):
        try:
            read = _READER.read(item)
            out.append(read if isinstance(read, dict) else {})
        except UnreadableValueError as problem:
            wrong.append(f"row {number} {problem}")
    if wrong:
        raise InputError(wrong, "the objects")
    return out


def _is_new(item: Mapping[str, Any]) -> bool:
    return item.get("id") is None


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _check(items: Any, good: Any, fault: str) -> None:
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Collection):
        raise InputError(f"must be a list of objects, not {type(items).__name__}", "the objects")
    wrong = [
        f"row {number} {fault}"
        if isinstance(item, Mapping)
        else f"row {number} is {with_article(type(item).__name__)}, not an object"
        for number, item in enumerate(items, 1)
        if not isinstance(item, Mapping) or not good(item)
    ]
    if wrong:
        raise InputError(wrong, "the objects")
