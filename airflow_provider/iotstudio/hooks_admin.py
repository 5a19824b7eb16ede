"""Administration of a space: models, events, history, bulk changes, queries, MQTT credentials."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from airflow_provider.core.http.call import Call
from airflow_provider.core.http.twins import blocking, blocking_iterator, mask_texts, twin, twin_iterator
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError, PartialWriteError, RequestRejectedError
from airflow_provider.iotstudio import api, api_admin
from airflow_provider.iotstudio.conditions import filter_problems, name_problems, read_bounds, require_name
from airflow_provider.iotstudio.hooks_base import SpaceHook


class SpaceAdminHook(SpaceHook):
    """Less common requests to a space; for all others use :meth:`request`."""

    # -- descriptions -----------------------------------------------------------------------------

    @blocking
    async def create_thing(
        self, description: Mapping[str, Any], *, category: str | None = None
    ) -> dict[str, Any]:
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
        return await write.create_thing(self, fields, category=category)

    @blocking
    async def update_thing(self, thing_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
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
        return await write.update_thing(self, thing_id, read)

    @blocking
    async def create_category(
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
        return await write.create_category(self, fields if found is None else {**fields, "model": found})

    # -- models -----------------------------------------------------------------------------------

    @blocking_iterator
    def list_models(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield all models."""
        return self._items(lambda cursor: api_admin.models(self.space, cursor))

    @blocking
    async def get_model(self, name: str) -> dict[str, Any]:
        """Return a model: ``name``, ``description``, and the times of its creation and last change.

        :param name: the model's name.
        """
        return await self.asend(api_admin.model("GET", self.space, name))

    @blocking
    async def create_model(self, name: str, description: str = "") -> dict[str, Any]:
        """Create a model; the request is never sent twice.

        :param name: at most 26 letters, digits, ``_``, ``:`` and ``-``; it cannot be changed later.
        :param description: free text.
        :raises RequestRejectedError: with status 409 when a model of this name exists.
        :raises AmbiguousWriteError: when no response arrived.
        """
        raise_problems(require_name(name, "name"), "create_model")
        return await self.asend(api_admin.model("POST", self.space, name, description))

    @blocking
    async def update_model(self, name: str, description: str) -> dict[str, Any]:
        """Update a model's description.

        :param name: the model's name.
        :param description: the new description.
        """
        return await self.asend(api_admin.model("PUT", self.space, name, description))

    @blocking
    async def delete_model(self, name: str) -> None:
        """Delete a model with all its versions.

        :param name: the model's name.
        :raises PermissionDeniedError: also while a category or a Thing uses the model.
        """
        await self.asend(api_admin.delete_model(self.space, name))

    @blocking_iterator
    def list_model_versions(self, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a model's versions.

        :param name: the model's name.
        """
        return self._items(lambda cursor: api_admin.model_versions(self.space, name, cursor))

    @blocking
    async def get_model_version(self, name: str, version: int) -> dict[str, Any]:
        """Return one version of a model, with its template.

        :param name: the model's name.
        :param version: its number, counted from 1.
        """
        given: object = version
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise InputError(f"'version' must be a whole number of at least 1, not {version!r}", "version")
        return await self.asend(api_admin.model_version(self.space, name, version))

    @blocking
    async def create_model_version(self, name: str, version: Mapping[str, Any]) -> dict[str, Any]:
        """Add a version to a model; it cannot be changed or deleted later. The request is never sent twice.

        :param name: the model's name.
        :param version: ``title``, ``description``, and ``template`` with the ``properties``, ``actions``,
            ``events`` and ``links`` of its Things.
        :raises AmbiguousWriteError: when no response arrived.
        """
        return await self.asend(api_admin.add_model_version(self.space, name, version))

    # -- events -----------------------------------------------------------------------------------

    @blocking_iterator
    def list_events(self, thing_id: str, event: str | None = None) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a Thing's events, as ``{name: {"data", "timestamp", "href"}}``.

        :param thing_id: the Thing's id.
        :param event: only events of this name; the service keeps the last hundred of each name.
        """
        return self._events(thing_id, event)

    async def alist_events(self, thing_id: str, event: str | None = None) -> list[dict[str, Any]]:
        """Return a Thing's events, from an event loop; see :meth:`list_events`.

        :param thing_id: the Thing's id.
        :param event: only events of this name.
        """
        await self.aload()
        return [one async for one in self._events(thing_id, event)]

    def _events(self, thing_id: str, event: str | None) -> AsyncGenerator[dict[str, Any], None]:
        return self._items(lambda cursor: api_admin.events(self.space, thing_id, event, cursor))

    @blocking
    async def get_event(self, thing_id: str, event: str, event_id: str) -> dict[str, Any]:
        """Return one event: ``id``, ``data``, ``timestamp``.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param event_id: the id that the service returned for it.
        """
        return await self.asend(api_admin.event(self.space, thing_id, event, event_id))

    @blocking
    async def delete_event(self, thing_id: str, event: str, event_id: str) -> None:
        """Delete one event.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param event_id: the id that the service returned for it.
        """
        await self.asend(api_admin.delete_event(self.space, thing_id, event, event_id))

    @blocking
    async def add_event(self, thing_id: str, event: str, data: Any = None) -> dict[str, Any]:
        """Report an event of a Thing; return it with its ``id``. The request is never sent twice.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param data: any value with a JSON form; None sends none.
        :raises InputError: before any request, for data without a JSON form.
        :raises AmbiguousWriteError: when no response arrived.
        """
        from airflow_provider.iotstudio.values import read_payload

        return await self.asend(api_admin.add_event(self.space, thing_id, event, read_payload(data, "data")))

    # -- history ----------------------------------------------------------------------------------

    @blocking
    async def add_history(self, thing_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Add recorded values with times in the past.

        Values that are already stored are accepted, so that the call can be repeated.

        :param thing_id: the Thing's id.
        :param items: ``{"at": time, "properties": {name: value}}``; no items send no request.
        :raises InputError: before any request, naming each item that has no time or no values.
        :raises RequestRejectedError: with status 409 when another value has the same time.
        """
        from airflow_provider.iotstudio.values import history_items

        raise_problems(require_name(thing_id, "thing_id"), "add_history")
        if not (items := history_items(items)):
            return
        try:
            await self.asend(api_admin.add_history(self.space, thing_id, items))
        except RequestRejectedError as error:
            if error.status != 409:
                raise
            for item in items:
                if not await self._is_recorded(thing_id, item):
                    raise

    @blocking
    async def last_values(
        self, thing_id: str, at: api.Time, *, name: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the last recorded value of each property up to a time.

        :param thing_id: the Thing's id.
        :param at: the time, inclusive.
        :param name: only this property.
        """
        call = api_admin.history_at(self.space, thing_id, api.format_time(at, "at"), name)
        return (await self.asend(call)).items

    async def _is_recorded(self, thing_id: str, item: Mapping[str, Any]) -> bool:
        from airflow_provider.iotstudio.equality import contains_values

        at = api.parse_time(str(item["at"]))
        found: dict[str, Any] = {}
        for row in await self.alast_values(thing_id, str(item["at"])):
            if api.parse_time(row["at"]) == at:
                found |= row["properties"]
        return contains_values(found, item["properties"])

    @blocking
    async def delete_history(
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
            await self.asend(api_admin.delete_history(self.space, thing_id, start, end, names))

    # -- many Things ------------------------------------------------------------------------------

    @blocking
    async def patch_things(self, patches: Sequence[Mapping[str, Any]]) -> list[Any]:
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
        results = await self.apatch_results(patches)
        failures = [
            f"Thing {patch.get('id')}: {result.get('status')} {result.get('response')}"
            for patch, result in zip(patches, results, strict=True)
            if int(result.get("status") or 500) >= 400
        ]
        if failures:
            raise PartialWriteError(failures, {"changed": len(results) - len(failures)})
        return [result.get("response") for result in results]

    @blocking
    async def patch_results(
        self, patches: Sequence[Mapping[str, Any]], *, repeatable: bool = False
    ) -> list[dict[str, Any]]:
        """Update the descriptions of many Things in one request; return a result for each of them.

        :param patches: see :meth:`patch_things`.
        :param repeatable: whether all patches only set members, so that the request may be sent again.
        """
        return await self.asend(api_admin.patch_things(self.space, patches, repeatable=repeatable))

    @blocking
    async def delete_things(
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
            return await self.asend(api_admin.delete_things(self.space, None, category, filters))
        blocks = in_blocks(
            thing_ids, lambda ids: self.asend(api_admin.delete_things(self.space, ids, category, filters))
        )
        return [uid async for _, deleted in blocks for uid in deleted or ()]

    # -- queries ----------------------------------------------------------------------------------

    @blocking_iterator
    def query(
        self, aql: str, bind: Mapping[str, Any] | None = None, *, batch_size: int = 1000, ttl: int = 60
    ) -> AsyncGenerator[Any, None]:
        """Return an iterator over the results of a query in AQL (scope ``query``), batch by batch.

        :param aql: a read-only query over ``things``, ``categories``, ``propertiesHistory`` and others.
        :param bind: values of its ``@parameters``, each with a JSON form.
        :param batch_size: maximum number of results per request.
        :param ttl: seconds that the service keeps the cursor between two batches.
        """
        from airflow_provider.iotstudio.values import bind_values

        first = api_admin.open_query(self.space, aql, bind_values(bind), batch_size, ttl)
        return self._batches(first)

    async def _batches(self, first: Call[api.Page]) -> AsyncGenerator[Any, None]:
        batch = await self.asend(first)
        while True:
            for item in batch.items:
                yield item
            if not batch.cursor:
                return
            batch = await self.asend(api_admin.next_batch(self.space, batch.cursor))

    # -- MQTT -------------------------------------------------------------------------------------

    @blocking
    async def get_mqtt_credentials(
        self, thing_id: str | None = None, *, category: str | None = None
    ) -> dict[str, Any]:
        """Return the MQTT credentials of a Thing, or of a category; the service hides the password.

        :param thing_id: the Thing's id; either this or a category.
        :param category: the category's name.
        """
        found: dict[str, Any] = await self._mqtt("GET", thing_id, category)
        return found

    @blocking
    async def set_mqtt_credentials(
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
        from airflow_provider.core.redaction import all_encodings

        chosen = str((form or {}).get("password") or "")
        await mask_texts(all_encodings([chosen]))
        (await self.aendpoint()).redactor.add(chosen)
        found: dict[str, Any] = await self._mqtt("POST" if create else "PUT", thing_id, category, form or {})
        await mask_texts(all_encodings([str(found.get("password") or "")]))
        return found

    @blocking
    async def delete_mqtt_credentials(
        self, thing_id: str | None = None, *, category: str | None = None
    ) -> None:
        """Delete the MQTT credentials of a Thing, or of a category.

        :param thing_id: the Thing's id; either this or a category.
        :param category: the category's name.
        """
        await self._mqtt("DELETE", thing_id, category)

    async def _mqtt(
        self, method: str, thing_id: str | None, category: str | None, form: Mapping[str, Any] | None = None
    ) -> Any:
        if (thing_id is None) == (category is None):
            raise InputError("name either a Thing or a category", "MQTT credentials")
        return await self.asend(api_admin.mqtt(method, self.space, thing_id, category, form))

    # -- for event loops --------------------------------------------------------------------------

    acreate_thing = twin(create_thing)
    aupdate_thing = twin(update_thing)
    acreate_category = twin(create_category)
    alist_models = twin_iterator(list_models)
    aget_model = twin(get_model)
    acreate_model = twin(create_model)
    aupdate_model = twin(update_model)
    adelete_model = twin(delete_model)
    alist_model_versions = twin_iterator(list_model_versions)
    aget_model_version = twin(get_model_version)
    acreate_model_version = twin(create_model_version)
    aget_event = twin(get_event)
    adelete_event = twin(delete_event)
    aadd_event = twin(add_event)
    aadd_history = twin(add_history)
    alast_values = twin(last_values)
    adelete_history = twin(delete_history)
    apatch_things = twin(patch_things)
    apatch_results = twin(patch_results)
    adelete_things = twin(delete_things)
    aquery = twin_iterator(query)
    aget_mqtt_credentials = twin(get_mqtt_credentials)
    aset_mqtt_credentials = twin(set_mqtt_credentials)
    adelete_mqtt_credentials = twin(delete_mqtt_credentials)
