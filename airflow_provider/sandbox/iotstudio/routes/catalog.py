"""Categories of Things, and models with their versions."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError, missing, rfc3339
from airflow_provider.sandbox.iotstudio.pagination import by, envelope, limit_of, page
from airflow_provider.sandbox.iotstudio.records import Category, Model

NAME = re.compile(r"[a-zA-Z0-9_:-]{1,26}")


def _now(ask: Ask) -> str:
    return rfc3339(int(ask.service.around.clock.now() * 1e9))


def _new_name(body: dict[str, Any], taken: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RefusedError(400, "invalid name")
    if name in taken:
        raise RefusedError(409, "This item already exists")
    return name


def list_categories(ask: Ask) -> Answer:
    """GET categories."""
    return 200, page(ask, ask.space.categories.values(), by("name"), Category.shown)


def create_category(ask: Ask) -> Answer:
    """POST categories."""
    body = ask.fields()
    name = _new_name(body, ask.space.categories)
    category = Category(name, _now(ask), _now(ask), _category_fields(body))
    ask.space.categories[name] = category
    return 201, category.shown()


def _category_fields(body: dict[str, Any]) -> dict[str, Any]:
    return {"description": body.get("description") or "", "model": body.get("model")}


def _category(ask: Ask) -> Category:
    if ask.category is None:
        raise missing()
    return ask.category


def get_category(ask: Ask) -> Answer:
    """GET categories/{c}."""
    return 200, _category(ask).shown()


def replace_category(ask: Ask) -> Answer:
    """PUT categories/{c}: it cannot be renamed."""
    category, body = _category(ask), ask.fields()
    if body.get("name") != category.name:
        raise RefusedError(409, "The name cannot be changed")
    renewed = Category(category.name, category.created, _now(ask), _category_fields(body))
    ask.space.categories[category.name] = renewed
    return 200, renewed.shown()


def delete_category(ask: Ask) -> Answer:
    """DELETE categories/{c}: its Things stay."""
    name = _category(ask).name
    del ask.space.categories[name]
    for thing in ask.space.things.values():
        if name in thing.categories:
            thing.categories.remove(name)
    return 204, None


def _prefix(ask: Ask) -> str:
    return f"{ask.service.base_url}/spaces/{ask.space.name}"


def _model(ask: Ask) -> Model:
    model = ask.space.models.get(ask.args["model"])
    if model is None:
        raise missing()
    return model


def list_models(ask: Ask) -> Answer:
    """GET models."""
    prefix = _prefix(ask)
    return 200, page(ask, ask.space.models.values(), by("name"), lambda model: model.shown(prefix))


def create_model(ask: Ask) -> Answer:
    """POST models."""
    body = ask.fields()
    name = _new_name(body, ask.space.models)
    model = Model(name, str(body.get("description") or ""), _now(ask), _now(ask))
    ask.space.models[name] = model
    return 201, model.shown(_prefix(ask))


def get_model(ask: Ask) -> Answer:
    """GET models/{m}."""
    return 200, _model(ask).shown(_prefix(ask))


def replace_model(ask: Ask) -> Answer:
    """PUT models/{m}."""
    model, body = _model(ask), ask.fields()
    if body.get("name") != model.name:
        raise RefusedError(409, "The name cannot be changed")
    renewed = Model(
        model.name, str(body.get("description") or ""), model.created, _now(ask), list(model.versions)
    )
    ask.space.models[model.name] = renewed
    return 200, renewed.shown(_prefix(ask))


def delete_model(ask: Ask) -> Answer:
    """DELETE models/{m}: refused while Things or categories use it."""
    model = _model(ask)
    users = [one.fields for one in ask.space.things.values()]
    users += [one.fields for one in ask.space.categories.values()]
    if any((fields.get("model") or {}).get("name") == model.name for fields in users):
        raise RefusedError(403, f"The Model {model.name} is in use and cannot be deleted")
    del ask.space.models[model.name]
    return 204, None


def list_versions(ask: Ask) -> Answer:
    """GET models/{m}/versions, all on one page of at most ``limit``."""
    return 200, envelope(ask, _model(ask).versions[: limit_of(ask)])


def create_version(ask: Ask) -> Answer:
    """POST models/{m}/versions: numbered from 1, never changed afterwards."""
    model, body = _model(ask), ask.fields()
    version = {
        "version": len(model.versions) + 1,
        "title": str(body.get("title") or ""),
        "description": str(body.get("description") or ""),
        "template": body.get("template") or {},
        "created": _now(ask),
    }
    model.versions = [*model.versions, version]
    return 201, version


def get_version(ask: Ask) -> Answer:
    """GET models/{m}/versions/{n}."""
    for version in _model(ask).versions:
        if str(version["version"]) == ask.args["version"]:
            return 200, version
    raise missing()
