"""What is done to a space now and then: models, events, history, bulk changes, queries, MQTT credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider.errors import InputError, PartialWriteError, RequestRejectedError
from airflow_provider.iotstudio import api, api_admin
from airflow_provider.iotstudio.equality import contains_values
from airflow_provider.iotstudio.hooks_base import SpaceHook


class SpaceAdminHook(SpaceHook):
    """The rarer requests to a space; what even this lacks, :meth:`request` can send."""

    # -- models -----------------------------------------------------------------------------------

    def list_models(self) -> Iterator[dict[str, Any]]:
        """Go through all models."""
        return self.pages(lambda cursor: api_admin.models(self.space, cursor))

    def get_model(self, name: str) -> dict[str, Any]:
        """Give a model: ``name``, ``description``, and when it was made and changed.

        :param name: the model's name.
        """
        return self.send(api_admin.model("GET", self.space, name))

    def create_model(self, name: str, description: str = "") -> dict[str, Any]:
        """Make a model; it is never sent twice.

        :param name: letters, digits, ``_``, ``:`` and ``-``, at most 26; it cannot be changed later.
        :param description: for people.
        :raises RequestRejectedError: with status 409 when there is one of this name.
        :raises AmbiguousWriteError: when the answer was lost.
        """
        return self.send(api_admin.model("POST", self.space, name, description))

    def update_model(self, name: str, description: str) -> dict[str, Any]:
        """Change a model's description.

        :param name: the model's name.
        :param description: the new one.
        """
        return self.send(api_admin.model("PUT", self.space, name, description))

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions.

        :param name: the model's name.
        :raises PermissionDeniedError: also while a category or a Thing uses it; the message says so.
        """
        self.send(api_admin.delete_model(self.space, name))

    def list_model_versions(self, name: str) -> Iterator[dict[str, Any]]:
        """Go through a model's versions.

        :param name: the model's name.
        """
        return self.pages(lambda cursor: api_admin.model_versions(self.space, name, cursor))

    def get_model_version(self, name: str, version: int) -> dict[str, Any]:
        """Give one version of a model, with its template.

        :param name: the model's name.
        :param version: its number, from 1 on.
        """
        return self.send(api_admin.model_version(self.space, name, version))

    def create_model_version(self, name: str, version: Mapping[str, Any]) -> dict[str, Any]:
        """Add a version to a model; it is never sent twice, and cannot be changed or deleted later.

        :param name: the model's name.
        :param version: ``title``, ``description``, and ``template`` with the ``properties``, ``actions``,
            ``events`` and ``links`` of its Things.
        :raises AmbiguousWriteError: when the answer was lost.
        """
        return self.send(api_admin.add_model_version(self.space, name, version))

    # -- events -----------------------------------------------------------------------------------

    def list_events(self, thing_id: str, event: str | None = None) -> Iterator[dict[str, Any]]:
        """Go through a Thing's events, as ``{name: {"data", "timestamp", "href"}}``.

        :param thing_id: the Thing's id.
        :param event: only events of this name; the service keeps the last hundred of each.
        """
        return self.pages(lambda cursor: api_admin.events(self.space, thing_id, event, cursor))

    def get_event(self, thing_id: str, event: str, event_id: str) -> dict[str, Any]:
        """Give one event: ``id``, ``data``, ``timestamp``.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param event_id: the id that it got when it was reported.
        """
        return self.send(api_admin.event(self.space, thing_id, event, event_id))

    def delete_event(self, thing_id: str, event: str, event_id: str) -> None:
        """Delete one event.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param event_id: the id that it got when it was reported.
        """
        self.send(api_admin.delete_event(self.space, thing_id, event, event_id))

    def add_event(self, thing_id: str, event: str, data: Any = None) -> dict[str, Any]:
        """Report an event of a Thing; gives it with its ``id``. It is never sent twice.

        :param thing_id: the Thing's id.
        :param event: the event's name.
        :param data: any JSON; None sends none.
        :raises AmbiguousWriteError: when the answer was lost.
        """
        return self.send(api_admin.add_event(self.space, thing_id, event, data))

    # -- history ----------------------------------------------------------------------------------

    def add_history(self, thing_id: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Add recorded values of the past.

        Values that are there already are fine, so that this can be repeated.

        :param thing_id: the Thing's id.
        :param items: ``{"at": time, "properties": {name: value}}``.
        :raises RequestRejectedError: with status 409 when there is another value at the same time.
        """
        try:
            self.send(api_admin.add_history(self.space, thing_id, items))
        except RequestRejectedError as error:
            if error.status != 409 or not all(self._is_recorded(thing_id, item) for item in items):
                raise

    def last_values(
        self, thing_id: str, at: str | datetime, *, name: str | None = None
    ) -> list[dict[str, Any]]:
        """Give the last recorded value of each property up to a time.

        :param thing_id: the Thing's id.
        :param at: the time; a value recorded exactly then counts.
        :param name: only this property.
        """
        return self.send(api_admin.history_at(self.space, thing_id, api.format_time(at), name)).items

    def _is_recorded(self, thing_id: str, item: Mapping[str, Any]) -> bool:
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
        start: str | datetime,
        end: str | datetime,
        names: Sequence[str] | None = None,
    ) -> None:
        """Delete recorded values.

        :param thing_id: the Thing's id.
        :param start: from this time on.
        :param end: up to this time; whether the service counts the bounds in is not documented.
        :param names: only these properties.
        """
        self.send(api_admin.delete_history(self.space, thing_id, start, end, names))

    # -- many Things ------------------------------------------------------------------------------

    def patch_things(self, patches: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Change the descriptions of many Things in one request; gives the new ones.

        :param patches: ``{"id": thing id, "patch": [JSON Patch operations]}``.
        :raises PartialWriteError: naming each Thing that was refused; the others are changed.
        """
        results = self.send(api_admin.patch_things(self.space, patches))
        failures = [
            f"Thing {patch.get('id')}: {result.get('status')} {result.get('response')}"
            for patch, result in zip(patches, results, strict=True)
            if int(result.get("status") or 500) >= 400
        ]
        if failures:
            raise PartialWriteError(failures, {"changed": len(results) - len(failures)})
        return [result.get("response") for result in results]

    def delete_things(
        self,
        *,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Delete the Things that match, with their history; gives their ids.

        :param thing_ids: these Things.
        :param category: Things of this category.
        :param filters: condition by property name, as the API writes it.
        :raises InputError: without any condition, or with an empty list of ids, before any request.
        """
        if not (thing_ids or category or filters) or (thing_ids is not None and not thing_ids):
            raise InputError("name the Things to delete: thing_ids, category or filters", "delete_things")
        return self.send(api_admin.delete_things(self.space, thing_ids, category, filters))

    # -- queries ----------------------------------------------------------------------------------

    def query(
        self, aql: str, bind: Mapping[str, Any] | None = None, *, batch_size: int = 1000, ttl: int = 60
    ) -> Iterator[Any]:
        """Go through the results of a query in AQL (scope ``query``), batch by batch.

        :param aql: a reading query over ``things``, ``categories``, ``propertiesHistory`` and others.
        :param bind: values of its ``@parameters``.
        :param batch_size: results of one request; the service may give fewer.
        :param ttl: seconds that the service keeps the rest between two batches.
        """
        batch = self.send(api_admin.open_query(self.space, aql, bind, batch_size, ttl))
        while True:
            yield from batch.items
            if not batch.cursor:
                return
            batch = self.send(api_admin.next_batch(self.space, batch.cursor))

    # -- MQTT -------------------------------------------------------------------------------------

    def get_mqtt_credentials(
        self, thing_id: str | None = None, *, category: str | None = None
    ) -> dict[str, Any]:
        """Give the MQTT credentials of a Thing, or of a category; the service hides the password.

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
        """Change MQTT credentials of a Thing, or of a category; passwords are kept out of logs and errors.

        :param thing_id: the Thing's id; either this or a category.
        :param form: ``username``, ``password``, ``enabled``, ``description``; without it the service makes a
            new password.
        :param category: the category's name.
        :param create: make them, where there are none yet.
        """
        from airflow_provider.core.redaction import all_encodings, mask

        chosen = str((form or {}).get("password") or "")
        mask(all_encodings([chosen]))
        self.transport.endpoint.redactor.add(chosen)
        found: dict[str, Any] = self._mqtt("POST" if create else "PUT", thing_id, category, form or {})
        mask(all_encodings([str(found.get("password") or "")]))
        return found

    def delete_mqtt_credentials(self, thing_id: str | None = None, *, category: str | None = None) -> None:
        """Take away the MQTT credentials of a Thing, or of a category.

        :param thing_id: the Thing's id; either this or a category.
        :param category: the category's name.
        """
        self._mqtt("DELETE", thing_id, category)

    def _mqtt(
        self, method: str, thing_id: str | None, category: str | None, form: Mapping[str, Any] | None = None
    ) -> Any:
        if bool(thing_id) == bool(category):
            raise InputError("name either a Thing or a category", "MQTT credentials")
        return self.send(api_admin.mqtt(method, self.space, thing_id, category, form))
