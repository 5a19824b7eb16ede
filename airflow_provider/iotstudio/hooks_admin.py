"""Administration of a space: models, events, history, bulk changes, queries, MQTT credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider.core.http.call import Call
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.input.values import ABSENT, UnreadableValueError, shown
from airflow_provider.errors import InputError, PartialWriteError, RequestRejectedError
from airflow_provider.iotstudio import api, api_admin
from airflow_provider.iotstudio.conditions import filter_problems, name_problems, read_bounds, require_name
from airflow_provider.iotstudio.hooks_base import SpaceHook, next_cursor


class SpaceAdminHook(SpaceHook):
    """Less common requests to a space; for all others use :meth:`request`."""

    # -- descriptions -----------------------------------------------------------------------------

    def create_thing(self, description: Mapping[str, Any], *, category: str | None = None) -> dict[str, Any]:
        """Create a Thing, and return its description with the ``uid`` that the service chose.

        It is not created twice. When no response arrives, the newest Things are searched for it before the
        request is sent again.

        :param description: ``title``, ``description``, ``@type``, ``@context``, ``categories``, ``model``
            (``{"name", "version"}``), ``properties``, ``actions``, ``events``, ``links``, and in ``status``
            current values by property.
        :param category: the category that it is created in, instead of ``categories``.
        :raises InputError: before any request, naming each field that is wrong.
        :raises AmbiguousWriteError: when no response arrived, and several Things may be the new one.
        """
        from airflow_provider.iotstudio.things import write
        from airflow_provider.iotstudio.things.description import read_description

        fields, problems = read_description(description, status=True)
        problems += name_problems(category, "category")
        if category is not None and "categories" in fields:
            problems.append("set 'category', or 'categories' in the description, not both")
        if not fields and not problems:
            problems.append("the description is empty")
        raise_problems(problems, "create_thing")
        return write.create_thing(self, fields, category=category)

    def update_thing(self, thing_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Set fields of a Thing's description; return the new description. All other fields stay.

        :param thing_id: the Thing's id.
        :param fields: new values by field, as for :meth:`create_thing`; None empties a field. Values of
            properties are written with :meth:`set_properties`.
        :raises InputError: before any request, naming each field that is wrong.
        """
        from airflow_provider.iotstudio.things import write
        from airflow_provider.iotstudio.things.description import read_description

        read, problems = read_description(fields, none=True)
        problems += require_name(thing_id, "thing_id")
        if not read and not problems:
            problems.append("no field to update")
        raise_problems(problems, "update_thing")
        return write.update_thing(self, thing_id, read)

    def create_category(
        self, name: str, description: str = "", *, model: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Create a category, and return it; when no response arrives, it is looked up.

        :param name: at most 26 letters, digits, ``_``, ``:`` and ``-``; it cannot be changed later.
        :param description: free text.
        :param model: ``{"name", "version"}`` of the model of its Things; None for none.
        :raises InputError: before any request.
        :raises RequestRejectedError: with status 409 when a category of this name existed before.
        """
        from airflow_provider.iotstudio.things import write
        from airflow_provider.iotstudio.things.description import catalog_name_problems, model_problems

        found = None if model is None else dict(model)
        problems = [*catalog_name_problems(name, "name"), *model_problems(found)]
        given: object = description
        if not isinstance(given, str):
            problems.append(f"'description' must be a text, not {shown(given)}")
        raise_problems(problems, "create_category")
        fields: dict[str, Any] = {"name": name, "description": description}
        return write.create_category(self, fields if found is None else {**fields, "model": found})

    # -- models -----------------------------------------------------------------------------------

    def list_models(self) -> Iterator[dict[str, Any]]:
        """Yield all models."""
        return self.pages(lambda cursor: api_admin.models(self.space, cursor))

    def get_model(self, name: str) -> dict[str, Any]:
        """Return a model: ``name``, ``description``, and the times of its creation and last change.

        :param name: the model's name.
        """
        return self.send(api_admin.model("GET", self.space, name))

    def create_model(self, name: str, description: str = "") -> dict[str, Any]:
        """Create a model; the request is never sent twice.

        :param name: at most 26 letters, digits, ``_``, ``:`` and ``-``; it cannot be changed later.
        :param description: free text.
        :raises RequestRejectedError: with status 409 when a model of this name exists.
        :raises AmbiguousWriteError: when no response arrived.
        """
        raise_problems(require_name(name, "name"), "create_model")
        return self.send(api_admin.model("POST", self.space, name, description))

    def update_model(self, name: str, description: str) -> dict[str, Any]:
        """Update a model's description.

        :param name: the model's name.
        :param description: the new description.
        """
        return self.send(api_admin.model("PUT", self.space, name, description))

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions.

        :param name: the model's name.
        :raises PermissionDeniedError: also while a category or a Thing uses the model.
        """
        self.send(api_admin.delete_model(self.space, name))

    def list_model_versions(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield a model's versions.

        :param name: the model's name.
        """
        return self.pages(lambda cursor: api_admin.model_versions(self.space, name, cursor))

    def get_model_version(self, name: str, version: int) -> dict[str, Any]:
        """Return one version of a model, with its template.

        :param name: the model's name.
        :param version: its number, counted from 1.
        """
        given: object = version
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise InputError(f"'version' must be a whole number of at least 1, not {version!r}", "version")
        return self.send(api_admin.model_version(self.space, name, version))

    def create_model_version(self, name: str, version: Mapping[str, Any]) -> dict[str, Any]:
        """Add a version to a model; it cannot be changed or deleted later. The request is never sent twice.

        :param name: the model's name.
        :param version: ``title``, ``description``, and ``template`` with the ``properties``, ``actions``,
            ``events`` and ``links`` of its Things.
        :raises AmbiguousWriteError: when no response arrived.
        """
        return self.send(api_admin.add_model_version(self.space, name, version))

    # -- events -----------------------------------------------------------------------------------

    def list_events(self, thing_id: str, event: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield a Thing's events, as ``{name: {"data", "timestamp", "href"}}``.

        :param thing_id: the Thing's id.
        :param event: only events of this name; the service keeps the last hundred of each name.
        """
        return self.pages(lambda cursor: api_admin.events(self.space, thing_id, event, cursor))

    async def alist_events(self, thing_id: str, event: str | None = None) -> list[dict[str, Any]]:
        """Return a Thing's events, from an event loop; see :meth:`list_events`.

        :param thing_id: the Thing's id.
        :param event: only events of this name.
        """
        await self.aload()
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.asend(api_admin.events(self.space, thing_id, event, cursor))
            found += page.items
            cursor = next_cursor(cursor, page)
            if not cursor:
                return found

    def get_event(self, thing_id: str, event: str, event_id: str) -> dict[str, Any]:
        """Return one event: ``id``, ``data``, ``timestamp``.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param event_id: the id that the service returned for it.
        """
        return self.send(api_admin.event(self.space, thing_id, event, event_id))

    def delete_event(self, thing_id: str, event: str, event_id: str) -> None:
        """Delete one event.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param event_id: the id that the service returned for it.
        """
        self.send(api_admin.delete_event(self.space, thing_id, event, event_id))

    def add_event(self, thing_id: str, event: str, data: Any = None) -> dict[str, Any]:
        """Report an event of a Thing; return it with its ``id``. The request is never sent twice.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param data: any value with a JSON form; None sends none.
        :raises InputError: before any request, for data without a JSON form.
        :raises AmbiguousWriteError: when no response arrived.
        """
        from airflow_provider.iotstudio.values import read_payload

        return self.send(api_admin.add_event(self.space, thing_id, event, read_payload(data, "data")))

    # -- history ----------------------------------------------------------------------------------

    def add_history(self, thing_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Add recorded values with times in the past.

        Values that are already stored are accepted, so that the call can be repeated.

        :param thing_id: the Thing's id.
        :param items: ``{"at": time, "properties": {name: value}}``; no items send no request.
        :raises InputError: before any request, naming each item that has no time or no values.
        :raises RequestRejectedError: with status 409 when another value has the same time.
        """
        raise_problems(require_name(thing_id, "thing_id"), "add_history")
        if not (items := _history_items(items)):
            return
        try:
            self.send(api_admin.add_history(self.space, thing_id, items))
        except RequestRejectedError as error:
            if error.status != 409 or not all(self._is_recorded(thing_id, item) for item in items):
                raise

    def last_values(self, thing_id: str, at: api.Time, *, name: str | None = None) -> list[dict[str, Any]]:
        """Return the last recorded value of each property up to a time.

        :param thing_id: the Thing's id.
        :param at: the time, inclusive.
        :param name: only this property.
        """
        return self.send(api_admin.history_at(self.space, thing_id, api.format_time(at, "at"), name)).items

    async def alast_values(
        self, thing_id: str, at: api.Time, *, name: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the same from an event loop; see :meth:`last_values`.

        :param thing_id: the Thing's id.
        :param at: the time, inclusive.
        :param name: only this property.
        """
        await self.aload()
        call = api_admin.history_at(self.space, thing_id, api.format_time(at, "at"), name)
        return (await self.asend(call)).items

    def _is_recorded(self, thing_id: str, item: Mapping[str, Any]) -> bool:
        from airflow_provider.iotstudio.equality import contains_values

        at = api.parse_time(str(item["at"]))
        found: dict[str, Any] = {}
        for row in self.last_values(thing_id, str(item["at"])):
            if api.parse_time(row["at"]) == at:
                found |= row["properties"]
        return contains_values(found, item["properties"])

    def delete_history(
        self,
        thing_id: str,
        *,
        start: api.Time,
        end: api.Time,
        names: Sequence[str] | None = None,
    ) -> None:
        """Delete recorded values.

        :param thing_id: the Thing's id.
        :param start: begin of the range; for the forms of a time see :meth:`iter_history`.
        :param end: end of the range. Whether the service includes the bounds is not documented.
        :param names: only these properties; None for all. An empty list deletes nothing.
        :raises InputError: before any request, without both bounds, and for empty names.
        """
        problems = [*require_name(thing_id, "thing_id"), *list_problems(names, "names")]
        (first, last), wrong = read_bounds(start, end)
        raise_problems([*problems, *wrong], "delete_history")
        if first is None or last is None:
            raise InputError(
                "set 'start' and 'end': a history is not deleted without bounds", "delete_history"
            )
        if first > last:
            raise InputError(f"start {first} is after end {last}", "delete_history")
        if names is None or len(names):
            self.send(api_admin.delete_history(self.space, thing_id, start, end, names))

    # -- many Things ------------------------------------------------------------------------------

    def patch_things(self, patches: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Update the descriptions of many Things in one request; return the new descriptions.

        :param patches: ``{"id": thing id, "patch": [JSON Patch operations]}``; none send no request.
        :raises InputError: before any request, naming each patch without an id.
        :raises PartialWriteError: naming each Thing that was refused; all others are changed.
        """
        raise_problems(
            [
                f"patch {number}: {problem}"
                for number, patch in enumerate(patches, start=1)
                for problem in require_name(patch.get("id"), "id")
            ],
            "patch_things",
        )
        if not patches:
            return []
        results = self.patch_results(patches)
        failures = [
            f"Thing {patch.get('id')}: {result.get('status')} {result.get('response')}"
            for patch, result in zip(patches, results, strict=True)
            if int(result.get("status") or 500) >= 400
        ]
        if failures:
            raise PartialWriteError(failures, {"changed": len(results) - len(failures)})
        return [result.get("response") for result in results]

    def patch_results(
        self, patches: Sequence[Mapping[str, Any]], *, repeatable: bool = False
    ) -> list[dict[str, Any]]:
        """Update the descriptions of many Things in one request; return a result for each of them.

        :param patches: see :meth:`patch_things`.
        :param repeatable: whether all patches only set members, so that the request may be sent again.
        """
        return self.send(api_admin.patch_things(self.space, patches, repeatable=repeatable))

    def delete_things(
        self,
        *,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Delete the Things that match, with their history; return their ids.

        :param thing_ids: these Things; None for no such condition. An empty list deletes nothing. Many are
            deleted by several requests.
        :param category: Things of this category.
        :param filters: condition by property name, as the API writes it. All conditions must hold.
        :raises InputError: before any request, without any condition, and for a condition that is empty, null
            or not understood by the service.
        """
        from airflow_provider.iotstudio.things.blocks import in_blocks

        problems = [*list_problems(thing_ids, "thing_ids"), *name_problems(category, "category")]
        problems += filter_problems(filters)
        if thing_ids is None and category is None and filters is None:
            problems.append("name the Things to delete: thing_ids, category or filters")
        raise_problems(problems, "delete_things")
        if thing_ids is None:
            return self.send(api_admin.delete_things(self.space, None, category, filters))
        blocks = in_blocks(
            thing_ids, lambda ids: self.send(api_admin.delete_things(self.space, ids, category, filters))
        )
        return [uid for _, deleted in blocks for uid in deleted or ()]

    # -- queries ----------------------------------------------------------------------------------

    def query(
        self, aql: str, bind: Mapping[str, Any] | None = None, *, batch_size: int = 1000, ttl: int = 60
    ) -> Iterator[Any]:
        """Return an iterator over the results of a query in AQL (scope ``query``), batch by batch.

        :param aql: a read-only query over ``things``, ``categories``, ``propertiesHistory`` and others.
        :param bind: values of its ``@parameters``, each with a JSON form.
        :param batch_size: maximum number of results per request.
        :param ttl: seconds that the service keeps the cursor between two batches.
        """
        first = api_admin.open_query(self.space, aql, _bind_values(bind), batch_size, ttl)
        return self._batches(first)

    def _batches(self, first: Call[api.Page]) -> Iterator[Any]:
        batch = self.send(first)
        while True:
            yield from batch.items
            if not batch.cursor:
                return
            batch = self.send(api_admin.next_batch(self.space, batch.cursor))

    # -- MQTT -------------------------------------------------------------------------------------

    def get_mqtt_credentials(
        self, thing_id: str | None = None, *, category: str | None = None
    ) -> dict[str, Any]:
        """Return the MQTT credentials of a Thing, or of a category; the service hides the password.

        :param thing_id: the Thing's id; either this or a category.
        :param category: the category's name.
        """
        found: dict[str, Any] = self._mqtt("GET", thing_id, category)
        return found

    def set_mqtt_credentials(
        self,
        thing_id: str | None = None,
        form: Mapping[str, Any] | None = None,
        *,
        category: str | None = None,
        create: bool = False,
    ) -> dict[str, Any]:
        """Set MQTT credentials of a Thing, or of a category; passwords are redacted in logs and errors.

        :param thing_id: the Thing's id; either this or a category.
        :param form: ``username``, ``password``, ``enabled``, ``description``; without it the service creates
            a new password.
        :param category: the category's name.
        :param create: create the credentials, where none exist yet.
        """
        from airflow_provider.core.redaction import all_encodings, mask

        chosen = str((form or {}).get("password") or "")
        mask(all_encodings([chosen]))
        self.transport.endpoint.redactor.add(chosen)
        found: dict[str, Any] = self._mqtt("POST" if create else "PUT", thing_id, category, form or {})
        mask(all_encodings([str(found.get("password") or "")]))
        return found

    def delete_mqtt_credentials(self, thing_id: str | None = None, *, category: str | None = None) -> None:
        """Delete the MQTT credentials of a Thing, or of a category.

        :param thing_id: the Thing's id; either this or a category.
        :param category: the category's name.
        """
        self._mqtt("DELETE", thing_id, category)

    def _mqtt(
        self, method: str, thing_id: str | None, category: str | None, form: Mapping[str, Any] | None = None
    ) -> Any:
        if (thing_id is None) == (category is None):
            raise InputError("name either a Thing or a category", "MQTT credentials")
        return self.send(api_admin.mqtt(method, self.space, thing_id, category, form))


def _history_items(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return items of a history as JSON."""
    from airflow_provider.iotstudio.values import read_properties

    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, item in enumerate(items, start=1):
        try:
            at = api.format_time(item.get("at"), "at")  # type: ignore[arg-type]
        except InputError as error:
            problems.append(f"item {number}: {error.problems[0]}")
            continue
        values = item.get("properties")
        if not isinstance(values, Mapping) or not values:
            problems.append(f"item {number}: 'properties' must be an object of values by name")
            continue
        read, wrong = read_properties(values)
        problems += [f"item {number}: {problem}" for problem in wrong]
        if read:
            found.append({"at": at, "properties": read})
    raise_problems(problems, "add_history")
    return found


def _bind_values(bind: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a query's parameters as JSON; one without a value is refused, because it may select too much."""
    from airflow_provider.iotstudio.values import read_value

    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in (bind or {}).items():
        try:
            found[name] = read_value(value)
        except UnreadableValueError as problem:
            problems.append(f"parameter '{name}' {problem}")
        else:
            if found[name] is ABSENT:
                problems.append(f"parameter '{name}' is NaN; pass None for null")
    raise_problems(problems, "query")
    return found
