"""Administrative requests of the IoT Studio API, as data; routes and bodies as in its OpenAPI file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider.core.http.call import UNSET, Call
from airflow_provider.core.http.reply import Reply, read_nothing
from airflow_provider.iotstudio.api import (
    Page,
    Time,
    add_entry,
    check_values,
    filters,
    list_page,
    read_entry,
    read_object,
    space_path,
    time_range,
)


def create_thing(
    space: str, description: Mapping[str, Any], *, category: str | None = None
) -> Call[dict[str, Any]]:
    """Create a Thing. Not repeatable: the service chooses the id, so a second request makes a second Thing.

    :param description: its fields; without ``categories`` when a category is given.
    :param category: the category that it is created in.
    """
    title = str(description.get("title") or "without a title")
    return Call(
        "POST",
        space_path(space, "things", category=category),
        json=dict(description),
        repeatable=False,
        read=read_object,
        name=f"create Thing '{title:.100}'",
    )


def patch_thing(space: str, thing_id: str, patch: Sequence[Mapping[str, Any]]) -> Call[dict[str, Any]]:
    """Update fields of a Thing's description; repeatable, because the patch only sets members."""
    return Call(
        "PATCH",
        space_path(space, "things", thing_id),
        json=[dict(operation) for operation in patch],
        headers={"Content-Type": "application/json-patch+json"},
        repeatable=True,
        read=read_object,
        name=f"update Thing {thing_id}",
    )


def replace_thing(space: str, thing_id: str, description: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Replace a Thing's whole description."""
    return Call(
        "PUT",
        space_path(space, "things", thing_id),
        json=dict(description),
        read=read_object,
        name=f"replace the description of Thing {thing_id}",
    )


def category(space: str, name: str) -> Call[dict[str, Any]]:
    """Read a category."""
    path = space_path(space, "categories", name)
    return Call("GET", path, read=read_object, name=f"read category '{name}'")


def create_category(space: str, fields: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Create a category. Not repeatable: a repeated request would get a 409."""
    return Call(
        "POST",
        space_path(space, "categories"),
        json=dict(fields),
        repeatable=False,
        read=read_object,
        name=f"create category '{fields['name']}'",
    )


def models(space: str, cursor: str = "") -> Call[Page]:
    """List a page of models."""
    return list_page(space_path(space, "models"), None, cursor, "list the models")


def model(method: str, space: str, name: str, description: str | None = None) -> Call[dict[str, Any]]:
    """Read (``GET``), create (``POST``) or update (``PUT``) a model; its name cannot be changed."""
    path = space_path(space, "models", *([] if method == "POST" else [name]))
    form = {"name": name} if description is None else {"name": name, "description": description}
    return Call(
        method,
        path,
        json=UNSET if method == "GET" else form,
        repeatable=method != "POST",
        read=read_object,
        name=f"{method} model '{name}'",
    )


def delete_model(space: str, name: str) -> Call[None]:
    """Delete a model with its versions. Not repeatable: a repeated request would get a 404."""
    path = space_path(space, "models", name)
    return Call("DELETE", path, repeatable=False, read=read_nothing, name=f"delete model '{name}'")


def model_versions(space: str, name: str, cursor: str = "") -> Call[Page]:
    """List a page of a model's versions."""
    return list_page(
        space_path(space, "models", name, "versions"), None, cursor, f"list versions of model '{name}'"
    )


def model_version(space: str, name: str, version: int) -> Call[dict[str, Any]]:
    """Read one version of a model."""
    path = space_path(space, "models", name, "versions", str(version))
    return Call("GET", path, read=read_object, name=f"read version {version} of model '{name}'")


def add_model_version(space: str, name: str, version: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Add a version to a model. Not repeatable: a repeated request would add a second version."""
    return Call(
        "POST",
        space_path(space, "models", name, "versions"),
        json=dict(version),
        repeatable=False,
        read=read_object,
        name=f"add a version to model '{name}'",
    )


def events(space: str, thing_id: str, name: str | None, cursor: str = "") -> Call[Page]:
    """List a page of a Thing's events."""
    path = space_path(space, "things", thing_id, "events", *([] if name is None else [name]))
    return list_page(path, {"limit": 100}, cursor, f"list the events of Thing {thing_id}")


def add_event(space: str, thing_id: str, name: str, data: Any = None) -> Call[dict[str, Any]]:
    """Report an event. Not repeatable: a repeated request would report a second event."""
    path = space_path(space, "things", thing_id, "events", name)
    entry = {} if data is None else {"data": data}
    return add_entry(path, name, entry, f"report event '{name}' of Thing {thing_id}")


def event(space: str, thing_id: str, name: str, event_id: str) -> Call[dict[str, Any]]:
    """Read one event."""
    return read_entry("event", space, thing_id, name, event_id)


def delete_event(space: str, thing_id: str, name: str, event_id: str) -> Call[None]:
    """Delete one event. Not repeatable: a repeated request would get a 404."""
    path = space_path(space, "things", thing_id, "events", name, event_id)
    call_name = f"delete event '{name}' {event_id} of Thing {thing_id}"
    return Call("DELETE", path, repeatable=False, read=read_nothing, name=call_name)


def add_history(space: str, thing_id: str, items: Sequence[Mapping[str, Any]]) -> Call[None]:
    """Add values with times in the past. A repeated request is refused with a 409: the times are taken."""
    return Call(
        "POST",
        space_path(space, "things", thing_id, "properties-history"),
        json=[dict(item) for item in items],
        read=read_nothing,
        name=f"add {len(items)} items to the history of Thing {thing_id}",
    )


def history_at(space: str, thing_id: str, at: str, name: str | None = None) -> Call[Page]:
    """Read the last values up to a time."""
    path = space_path(space, "things", thing_id, "properties-history", *([] if name is None else [name]))
    return list_page(path, {"at": at}, "", f"read the history of Thing {thing_id}", check_values)


def delete_history(
    space: str,
    thing_id: str,
    start: Time,
    end: Time,
    names: Sequence[str] | None,
) -> Call[None]:
    """Delete a range of recorded values."""
    return Call(
        "DELETE",
        space_path(space, "things", thing_id, "properties-history"),
        params={"at": time_range(start, end), "property_name[]": None if names is None else list(names)},
        read=read_nothing,
        name=f"delete history of Thing {thing_id}",
    )


def patch_things(
    space: str, patches: Sequence[Mapping[str, Any]], *, repeatable: bool = False
) -> Call[list[dict[str, Any]]]:
    """Update many descriptions; the reply has one result for each (as the vendor's client reads it).

    :param repeatable: whether all patches only set members.
    """

    def read(reply: Reply) -> list[dict[str, Any]]:
        results = read_object(reply)["results"]
        if isinstance(results, dict):
            # The form is not documented: by the position in a list, by the position as a name, or by the id.
            results = [
                results.get(str(patch["id"]), results.get(str(at))) for at, patch in enumerate(patches)
            ]
        if not isinstance(results, list) or len(results) != len(patches):
            raise ValueError("not one result for each patch")
        if not all(isinstance(result, dict) for result in results):
            raise ValueError("a result is not an object")
        return results

    return Call(
        "PATCH",
        space_path(space, "things"),
        json=[dict(patch) for patch in patches],
        headers={"Content-Type": "application/json-patch+json"},
        repeatable=repeatable,
        read=read,
        name=f"patch {len(patches)} Things",
    )


def delete_things(
    space: str,
    thing_ids: Sequence[str] | None,
    category: str | None,
    conditions: Mapping[str, Any] | None,
    *,
    repeatable: bool = False,
) -> Call[list[str]]:
    """Delete Things.

    :param repeatable: whether no ids are needed: a repeated request would return none. Then a reply without
        ids is a success, too.
    """
    return Call(
        "DELETE",
        space_path(space, "things"),
        params={
            **filters(conditions),
            "thingID[]": None if thing_ids is None else list(thing_ids),
            "category[]": category,
        },
        repeatable=repeatable,
        read=_read_known_texts if repeatable else _read_texts,
        name="delete Things",
    )


def _read_texts(reply: Reply) -> list[str]:
    found = reply.json()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError("a list of ids was expected")
    return found


def _read_known_texts(reply: Reply) -> list[str]:
    found = reply.json()
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def open_query(space: str, aql: str, bind: Mapping[str, Any] | None, batch_size: int, ttl: int) -> Call[Page]:
    """Run a query and read its first batch."""
    return Call(
        "POST",
        space_path(space, "query", "cursor"),
        json={"query": aql, "bindVars": dict(bind or {}), "batchSize": batch_size, "ttl": ttl},
        read=_batch,
        name="run a query",
    )


def next_batch(space: str, cursor: str) -> Call[Page]:
    """Read the next batch. Not repeatable: the cursor has moved, even when the response is lost."""
    return Call(
        "POST",
        space_path(space, "query", "cursor", cursor),
        json={},
        repeatable=False,
        read=_batch,
        name="get the next results of a query",
    )


def mqtt(
    method: str, space: str, thing_id: str | None, category: str | None, form: Mapping[str, Any] | None = None
) -> Call[Any]:
    """Read, create, update or delete the MQTT credentials of a Thing, or of a category."""
    owner: list[Any] = ["things", thing_id] if thing_id is not None else ["categories", category]
    return Call(
        method,
        space_path(space, *owner, "mqtt-credentials"),
        json=UNSET if form is None else dict(form),
        repeatable=method in {"GET", "PUT"},
        read=read_nothing if method == "DELETE" else read_object,
        name=f"{method} the MQTT credentials of {thing_id or category}",
    )


def _batch(reply: Reply) -> Page:
    body = read_object(reply)
    if body.get("error"):
        raise ValueError(f"the query failed: {body.get('errorMessage')}")
    found = body.get("result")
    if not isinstance(found, list):  # An object of another kind is no empty result.
        raise ValueError("the reply has no list 'result'")
    return Page(found, str(body.get("id") or "") if body.get("hasMore") else "")
