"""Templates: what the models of a Thing and of its categories put into its description."""

from __future__ import annotations

from typing import Any

from airflow_provider.sandbox.iotstudio.records import Space
from airflow_provider.sandbox.iotstudio.responses import ApiError
from airflow_provider.sandbox.iotstudio.validation import is_of

TEMPLATE_FIELDS = ("title", "description", "properties", "actions", "events", "links")
"""Fields of a template that replace those of a Thing."""


def check_reference(space: Space, given: Any) -> None:
    """Raise ``ApiError`` when a reference to a model is malformed, or leads to nothing."""
    if given is None:
        return
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise ApiError(400, "malformed body", {"model.name": "must be of type string"})
    if given.get("version") is not None and not is_of("integer", given["version"]):
        raise ApiError(400, "malformed body", {"model.version": "must be of type integer"})
    _version(space, given)


def _version(space: Space, reference: dict[str, Any]) -> dict[str, Any] | None:
    """Return the version that a reference names, the last one when it names none; None without versions."""
    name, number = reference["name"], reference.get("version")
    model = space.models.get(name)
    if model is None:
        raise ApiError(404, f"Model {name} not found")
    if number is None:
        return model.versions[-1] if model.versions else None
    for version in model.versions:
        if version["version"] == number:
            return version
    raise ApiError(404, f"Version {number} of the Model {name} not found")


def model_of(space: Space, given: Any, categories: list[str]) -> dict[str, Any] | None:
    """Return a Thing's model: its own one, else that of its categories.

    :param given: the model in the Thing's description.
    :param categories: names of the Thing's categories.
    :raises ApiError: when a category has another model, for which the Thing cannot belong to it.
    """
    check_reference(space, given)
    chosen: dict[str, Any] | None = given
    for name in categories:
        wanted = space.categories[name].fields.get("model")
        if not wanted:
            continue
        chosen = chosen or wanted
        other = wanted.get("version") not in {None, chosen.get("version")}
        if chosen["name"] != wanted["name"] or other:
            raise ApiError(400, f"The Thing does not match the Model of the Category {name}")
    if chosen is None:
        return None
    version = _version(space, chosen)
    return {**chosen, "version": version["version"]} if version else chosen


def templated(space: Space, body: dict[str, Any], model: dict[str, Any] | None) -> dict[str, Any]:
    """Return a description with the fields of its model's template, as far as these are not null."""
    version = _version(space, model) if model else None
    if version is None:
        return body
    template = version.get("template") or {}
    fields = {name: template[name] for name in TEMPLATE_FIELDS if template.get(name) is not None}
    return {**body, **fields, "model": model}
