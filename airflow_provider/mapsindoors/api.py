"""Endpoints of the MapsIndoors Integration API: each function returns a Call.

``api_key`` is the solution's API key or id, which is part of the path. Paths, bodies and the order of ids in
replies are from the vendor's docs; where the docs leave them open, from clients that call the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.http.auth import Token, read_token
from airflow_provider.core.http.call import Call, segment
from airflow_provider.core.http.reply import Reply, read_nothing
from airflow_provider.core.redaction import loggable

if TYPE_CHECKING:
    from airflow_provider.core.json_types import Json

Items = Sequence[Mapping[str, Any]]

AUTH = "auth"
"""Name of the token service's base URL."""

BASE_TYPES = ("venue", "building", "floor", "room", "area", "poi")
"""Base types from the root of the tree to its leaves."""


def _path(api_key: str, rest: str) -> str:
    return f"{segment(api_key)}/api/{rest}"


# Login


def log_in(grant_type: str, login: str, password: str, scope: str | None = None) -> Call[Token]:
    """Request an access token, which is valid for a day.

    :param grant_type: ``password`` (a CMS user; the client id is then the word ``client``), or
        ``client_credentials``.
    :param login: user name, or client id.
    :param password: password, or client secret. It is sent URL-encoded in the body, as the vendor's docs
        require.
    :param scope: requested scope; None for the service's default, ``integration``.
    """
    form = {"grant_type": grant_type}
    if grant_type == "password":
        form |= {"client_id": "client", "username": login, "password": password}
    else:
        form |= {"client_id": login, "client_secret": password}
    if scope:
        form["scope"] = scope
    return Call(
        "POST", "connect/token", form=form, base=AUTH, authenticated=False, read=read_token, name="log in"
    )


def list_secrets(customer_id: str) -> Call[list[Json]]:
    """List the secrets of a customer's client, without their values."""
    return _secrets("GET", {"customerId": customer_id}, "list client secrets").with_reader(_read_dicts)


def create_secret(customer_id: str, description: str | None = None) -> Call[Json]:
    """Create a client secret; only this reply contains its value."""
    params = {"customerId": customer_id, "description": description}
    return _secrets("POST", params, "create a client secret", repeatable=False).with_reader(_read_dict)


def delete_secret(customer_id: str, secret_id: str) -> Call[None]:
    """Delete a client secret."""
    params = {"customerId": customer_id, "id": secret_id}
    return _secrets("DELETE", params, "delete a client secret").with_reader(read_nothing)


def _secrets(method: str, params: Mapping[str, str | None], name: str, repeatable: bool = True) -> Call[Any]:
    # The vendor's docs do not say whether the variables belong into the query or into a form.
    return Call(method, "api/clientcredentials", params=params, base=AUTH, repeatable=repeatable, name=name)


# Solutions


def list_datasets() -> Call[list[Json]]:
    """List the solutions that the login has access to."""
    return Call("GET", "api/dataset", read=_read_objects, name="list solutions")


def get_dataset(api_key: str) -> Call[Json]:
    """Read a solution: id, name, languages, roots."""
    path = _path(api_key, "dataset")
    return Call("GET", path, read=_read_dataset, name="read the solution")


def _read_dataset(reply: Reply) -> Json:
    found = _object(reply.json())
    languages = found.get("availableLanguages") or []
    if not isinstance(languages, list) or not all(isinstance(one, str) for one in languages):
        raise ValueError("a list of languages was expected")
    for language in languages:
        loggable(language)  # Errors of rows list the languages.
    return found


# Geodata


def list_geodata(
    api_key: str, base_type: str | None = None, root_element: str | None = None
) -> Call[list[Json]]:
    """Read the tree of places as a flat list; the service has no pagination.

    :param api_key: the solution's API key or id.
    :param base_type: the base type to read; None for all. The vendor's docs do not say how to request
        several.
    :param root_element: id of the object to read with its descendants; None for the whole solution.
    """
    params = {"baseTypes": base_type, "rootElements": root_element}
    return Call("GET", _path(api_key, "geodata"), params=params, read=_read_objects, name="read geodata")


def create_geodata(api_key: str, items: Items) -> Call[list[str]]:
    """Create objects and return their ids, in the order of the objects.

    The request is not idempotent: the service accepts the same external id twice.
    """
    return Call(
        "POST",
        _path(api_key, "geodata"),
        json=items,
        repeatable=False,
        read=_ids_of(len(items)),
        name=f"create {counted(len(items))}",
    )


def update_geodata(api_key: str, items: Items) -> Call[None]:
    """Update objects: each has its ``id`` and the fields that change; other fields stay."""
    return _update(_path(api_key, "geodata"), items)


def _update(path: str, items: Items) -> Call[None]:
    return Call("PUT", path, json=items, read=read_nothing, name=f"update {counted(len(items))}")


def delete_geodata(api_key: str, ids: Sequence[str]) -> Call[None]:
    """Delete objects; the vendor's docs do not say what happens to their children."""
    return Call(
        "DELETE",
        _path(api_key, "geodata"),
        json=ids,
        read=read_nothing,
        name=f"delete {counted(len(ids))}",
    )


def geocode(api_key: str, lat: float, lng: float, floor: int) -> Call[list[Json]]:
    """Read the venue, building, floor and room around a point.

    :param api_key: the solution's API key or id.
    :param lat: degrees north.
    :param lng: degrees east.
    :param floor: the floor's index (its ``administrativeid``), not its name.
    """
    params = {"lat": lat, "lng": lng, "floor": floor}
    return Call("GET", _path(api_key, "geocode"), params=params, read=_read_dicts, name="geocode a point")


def _read_dicts(reply: Reply) -> list[Json]:
    """Read a list of objects of any members."""
    found = reply.json()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("a list of objects was expected")
    return found


def _read_dict(reply: Reply) -> Json:
    found = reply.json()
    if not isinstance(found, dict):
        raise ValueError("an object was expected")
    return found


def _read_objects(reply: Reply) -> list[Json]:
    objects = reply.json()
    if not isinstance(objects, list):
        raise ValueError("a list of objects was expected")
    return list(map(_object, objects))


def undecoded(call: Call[list[Json]]) -> Call[list[Any]]:
    """Return a call that reads each object as ``msgspec.Raw``, which takes less memory."""
    import msgspec

    def read(reply: Reply) -> list[Any]:
        try:
            found = msgspec.json.decode(reply.body, type=list[msgspec.Raw])
            for raw in found:
                _object(msgspec.json.decode(raw))  # An invalid reply is an error of the request.
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        return found

    return call.with_reader(read)


def _object(item: Any) -> Json:
    members = ("properties", "baseTypeProperties")
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("id"), str)
        or not isinstance(item.get("parentId") or "", str)
        or not all(isinstance(item.get(field) or {}, dict) for field in members)
    ):
        raise ValueError("objects with an id, and with members that are objects, were expected")
    return item


def _ids_of(count: int) -> Any:
    def read(reply: Reply) -> list[str]:
        ids = reply.json()
        if not isinstance(ids, list) or len(ids) != count or not all(isinstance(key, str) for key in ids):
            raise ValueError(f"{count} ids were expected")
        return [loggable(key) for key in ids]

    return read


def counted(number: int, noun: str = "object") -> str:
    """Return a number of objects as text: ``1 object``, ``3 objects``, ``2 categories``.

    :param number: the number.
    :param noun: the word for one of them.
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


# Display types, categories, roles and routes


def list_display_types(api_key: str) -> Call[list[Json]]:
    """Read the display types (in the CMS: location types)."""
    path = _path(api_key, "displaytypes")
    return Call("GET", path, read=_read_entries("displayRules", list), name="read display types")


def create_display_types(api_key: str, items: Items) -> Call[list[str]]:
    """Create display types and return their ids, in the order of the display types."""
    return _create_entries(_path(api_key, "displaytypes"), items, "display type")


def update_display_types(api_key: str, items: Items) -> Call[None]:
    """Update display types, each complete and with its ``id``."""
    return _update_entries(_path(api_key, "displaytypes"), items, "display type")


def list_categories(api_key: str) -> Call[list[Json]]:
    """Read the categories."""
    path = _path(api_key, "categories")
    return Call("GET", path, read=_read_entries("name", dict), name="read categories")


def create_categories(api_key: str, items: Items) -> Call[list[str]]:
    """Create categories and return their ids, in the order of the categories."""
    return _create_entries(_path(api_key, "categories"), items, "category")


def update_categories(api_key: str, items: Items) -> Call[None]:
    """Update categories, each complete and with its ``id``."""
    return _update_entries(_path(api_key, "categories"), items, "category")


def _read_entries(field: str, kind: type) -> Callable[[Reply], list[Json]]:
    """Return a reader of entries that checks the type of a field."""

    def read(reply: Reply) -> list[Json]:
        entries = _read_objects(reply)
        for entry in entries:
            value = entry.get(field)
            if not isinstance(value, (kind, type(None))):
                raise ValueError(f"a {field} of another type was expected")
            if isinstance(value, list) and not all(isinstance(one, dict) for one in value):
                raise ValueError(f"objects in {field} were expected")
        return entries

    return read


def _create_entries(path: str, items: Items, noun: str) -> Call[list[str]]:
    # The vendor's docs do not say whether a name or key may exist twice.
    return Call(
        "POST",
        path,
        json=items,
        repeatable=False,
        read=_ids_of(len(items)),
        name=f"create {counted(len(items), noun)}",
    )


def _update_entries(path: str, items: Items, noun: str) -> Call[None]:
    return Call("PUT", path, json=items, read=read_nothing, name=f"update {counted(len(items), noun)}")


def list_app_user_roles(api_key: str) -> Call[list[Json]]:
    """Read the roles of app users, to which route elements can be restricted."""
    return Call("GET", _path(api_key, "appUserRoles"), read=_read_dicts, name="read app user roles")


def list_route_elements(api_key: str) -> Call[list[Json]]:
    """Read the doors, stairs and lifts of the route network."""
    path = _path(api_key, "routing/routeelements")
    return Call("GET", path, read=_read_dicts, name="read route elements")


def update_route_elements(api_key: str, items: Items) -> Call[None]:
    """Update waiting time, direction or restrictions of route elements, each with its ``id``."""
    return _update(_path(api_key, "routing/routeelements"), items)
