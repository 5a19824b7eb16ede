"""Categories of Things, and models with their versions."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider.sandbox.iotstudio.pagination import limit_of, list_page, order_by, page_body
from airflow_provider.sandbox.iotstudio.records import Category, Model
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, Reply, not_found
from airflow_provider.sandbox.iotstudio.routes.templates import check_reference
from airflow_provider.sandbox.iotstudio.validation import description_errors

NAME = re.compile(r"[a-zA-Z0-9_:-]{1,26}")


def _new_name(body: dict[str, Any], taken: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ApiError(400, "invalid name")
    if name in taken:
        raise ApiError(409, "This item already exists")
    return name


def list_categories(request: ApiRequest) -> Reply:
    """GET categories."""
    return 200, list_page(request, request.space.categories.values(), order_by("name"), Category.describe)


def create_category(request: ApiRequest) -> Reply:
    """POST categories."""
    body = request.json_object()
    name = _new_name(body, request.space.categories)
    category = Category(name, request.now, request.now, _category_fields(request, body))
    request.space.categories[name] = category
    return 201, category.describe()


def _check_texts(request: ApiRequest, body: dict[str, Any]) -> None:
    if request.service.checks("descriptions"):
        errors = dict(description_errors(body))
        if errors:
            raise ApiError(400, "malformed body", errors)


def _category_fields(request: ApiRequest, body: dict[str, Any]) -> dict[str, Any]:
    _check_texts(request, body)
    if request.service.checks("descriptions"):
        check_reference(request.space, body.get("model"))
    return {"description": body.get("description") or "", "model": body.get("model")}


def _category(request: ApiRequest) -> Category:
    if request.category is None:
        raise not_found()
    return request.category


def get_category(request: ApiRequest) -> Reply:
    """GET categories/{c}."""
    return 200, _category(request).describe()


def replace_category(request: ApiRequest) -> Reply:
    """PUT categories/{c}: it cannot be renamed."""
    category, body = _category(request), request.json_object()
    if body.get("name") != category.name:
        raise ApiError(409, "The name cannot be changed")
    changed = Category(category.name, category.created, request.now, _category_fields(request, body))
    request.space.categories[category.name] = changed
    return 200, changed.describe()


def delete_category(request: ApiRequest) -> Reply:
    """DELETE categories/{c}: its Things stay."""
    name = _category(request).name
    del request.space.categories[name]
    for thing in request.space.things.values():
        if name in thing.categories:
            thing.categories.remove(name)
    return 204, None


def _model(request: ApiRequest) -> Model:
    model = request.space.models.get(request.args["model"])
    if model is None:
        raise not_found()
    return model


def list_models(request: ApiRequest) -> Reply:
    """GET models."""
    prefix, models = request.prefix, request.space.models.values()
    return 200, list_page(request, models, order_by("name"), lambda model: model.describe(prefix))


def create_model(request: ApiRequest) -> Reply:
    """POST models."""
    body = request.json_object()
    name = _new_name(body, request.space.models)
    _check_texts(request, body)
    model = Model(name, str(body.get("description") or ""), request.now, request.now)
    request.space.models[name] = model
    return 201, model.describe(request.prefix)


def get_model(request: ApiRequest) -> Reply:
    """GET models/{m}."""
    return 200, _model(request).describe(request.prefix)


def replace_model(request: ApiRequest) -> Reply:
    """PUT models/{m}."""
    model, body = _model(request), request.json_object()
    if body.get("name") != model.name:
        raise ApiError(409, "The name cannot be changed")
    _check_texts(request, body)
    changed = Model(
        model.name, str(body.get("description") or ""), model.created, request.now, list(model.versions)
    )
    request.space.models[model.name] = changed
    return 200, changed.describe(request.prefix)


def delete_model(request: ApiRequest) -> Reply:
    """DELETE models/{m}: refused while Things or categories use it."""
    model = _model(request)
    users = [thing.fields for thing in request.space.things.values()]
    users += [category.fields for category in request.space.categories.values()]
    if any((fields.get("model") or {}).get("name") == model.name for fields in users):
        raise ApiError(403, f"The Model {model.name} is in use and cannot be deleted")
    del request.space.models[model.name]
    return 204, None


def list_versions(request: ApiRequest) -> Reply:
    """GET models/{m}/versions, all on a page of at most ``limit``."""
    return 200, page_body(request, _model(request).versions[: limit_of(request)])


def create_version(request: ApiRequest) -> Reply:
    """POST models/{m}/versions: numbered from 1, never changed afterwards."""
    model, body = _model(request), request.json_object()
    template = body.get("template")
    if request.service.checks("descriptions") and template is not None:
        if not isinstance(template, dict):
            raise ApiError(400, "malformed body", {"template": "must be of type object"})
        _check_texts(request, template)
    _check_texts(request, body)
    version = {
        "version": len(model.versions) + 1,
        "title": str(body.get("title") or ""),
        "description": str(body.get("description") or ""),
        "template": body.get("template") or {},
        "created": request.now,
    }
    model.versions = [*model.versions, version]
    return 201, version


def get_version(request: ApiRequest) -> Reply:
    """GET models/{m}/versions/{n}."""
    for version in _model(request).versions:
        if str(version["version"]) == request.args["version"]:
            return 200, version
    raise not_found()
