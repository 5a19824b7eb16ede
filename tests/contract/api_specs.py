"""API descriptions of the vendors, in Swagger 2.0 or OpenAPI 3.0: load them, and check replies against them.

The files belong to the vendors, so they are not part of the project; they are read from beside the checkout.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "specs"
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """Reply to a request; the path is relative to the API's root."""

    method: str
    path: str
    status: int
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


@dataclass(frozen=True)
class ReplyCheck:
    """Result of checking a reply against an API description.

    :param name: method, path template and status, ``GET /things/{thing-id} 200``.
    :param violations: deviations of the reply from the description.
    :param undocumented: what the description lacks: the operation, the status, or paths of fields.
    """

    name: str
    violations: tuple[str, ...] = ()
    undocumented: tuple[str, ...] = ()


def load(name: str) -> Json:
    """Read a vendor's description; without the file, skip the test with a warning."""
    path = FOLDER / name
    if not path.exists():
        reason = f"NOT TESTED against the vendor's own description: there is no ../shared/specs/{name}"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    if path.suffix == ".json":
        return dict(json.loads(path.read_text(encoding="utf-8")))
    import yaml

    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


class ApiSpec:
    """API description of a vendor.

    :param subtypes: for schemas with a ``discriminator``, its values and the schemas that these select.
    """

    def __init__(self, document: Json, subtypes: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.document = _with_subtypes(document, subtypes or {})

    @cached_property
    def _operations(self) -> list[tuple[str, str, re.Pattern[str], Json]]:
        """Method, path template, path pattern and description of each operation, literal paths first."""
        found = [
            (method.upper(), template, _pattern(template), operation)
            for template, item in self.document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ]
        return sorted(found, key=lambda operation: operation[1].count("{"))

    @cached_property
    def _common(self) -> Json:
        """Definitions that schemas refer to."""
        return {
            key: plain(self.document[key]) for key in ("definitions", "components") if key in self.document
        }

    def operations(self) -> set[str]:
        """Return all operations, as ``GET /things/{thing-id}``."""
        return {f"{method} {template}" for method, template, _, _ in self._operations}

    def check(self, reply: Reply) -> ReplyCheck:
        """Check a reply against the description of its operation."""
        for method, template, pattern, operation in self._operations:
            if method == reply.method and pattern.fullmatch(reply.path):
                return self._check(f"{method} {template} {reply.status}", operation, reply)
        return ReplyCheck(str(reply), undocumented=("operation",))

    def _check(self, name: str, operation: Json, reply: Reply) -> ReplyCheck:
        responses = {str(key): value for key, value in operation["responses"].items()}
        response = responses.get(str(reply.status), responses.get("default"))
        if response is None:
            return ReplyCheck(name, undocumented=("status",))
        schema = self._schema(response)
        if schema is None:
            surplus = reply.body and reply.status == 204
            return ReplyCheck(name, violations=("there is a body",) if surplus else ())
        try:
            body = json.loads(reply.body)
        except ValueError:
            return ReplyCheck(name, violations=(f"the body is not JSON: {reply.body[:80]!r}",))
        return ReplyCheck(
            name, tuple(self._errors(schema, body)), tuple(sorted(set(self._unknown_fields(schema, body))))
        )

    def _schema(self, response: Json) -> Json | None:
        response = _resolved(response, self.document)
        content = response.get("content", {}).get("application/json", response)
        return plain(content["schema"]) if content.get("schema") else None

    def _errors(self, schema: Json, body: Any) -> Iterator[str]:
        from jsonschema import Draft202012Validator, FormatChecker

        formats = FormatChecker(formats=())
        formats.checks("date-time")(lambda value: not isinstance(value, str) or DATE_TIME.fullmatch(value))
        validator = Draft202012Validator({**schema, **self._common}, format_checker=formats)
        for error in validator.iter_errors(body):
            yield f"{error.json_path}: {error.message[:200]}"

    def _unknown_fields(self, schema: Json, body: Any, path: str = "$") -> Iterator[str]:
        """Yield the paths of fields that the schemas of their objects do not mention."""
        if isinstance(body, list):
            for _, items in self._parts(schema, "items", body):
                for item in body:
                    yield from self._unknown_fields(items, item, f"{path}[]")
        if not isinstance(body, dict):
            return
        known = dict(self._parts(schema, "properties", body))
        free = any(True for _ in self._parts(schema, "additionalProperties", body)) or not known
        for name, value in body.items():
            if name in known:
                yield from self._unknown_fields(known[name], value, f"{path}.{name}")
            elif not free:
                yield f"{path}.{name}"

    def _parts(self, schema: Json, keyword: str, body: Any) -> Iterator[tuple[str, Json]]:
        """Yield the values of a keyword in a schema, and in the schemas that it includes for this body."""
        schema = _resolved(schema, self._common)
        value = schema.get(keyword)
        if keyword == "properties":
            yield from (value or {}).items()
        elif value is not None and value is not False:
            yield "", value if isinstance(value, dict) else {}
        options = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
        valid = (option for option in options if not any(self._errors(option, body)))
        for part in (*schema.get("allOf", ()), *valid):
            yield from self._parts(part, keyword, body)


def _resolved(node: Json, root: Json) -> Json:
    """Follow the references of a node in a document or a part of it."""
    while "$ref" in node:
        target: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _with_subtypes(document: Json, subtypes: Mapping[str, Mapping[str, str]]) -> Json:
    """Replace references to a schema with a discriminator by a choice of its subtypes, except in these."""
    definitions = dict(document.get("definitions", {}))
    replaced = {}
    for name, choices in subtypes.items():
        discriminator = definitions[name]["discriminator"]
        options = [
            {
                "allOf": [
                    {"$ref": f"#/definitions/{subtype}"},
                    {"properties": {discriminator: {"enum": [value]}}},
                ]
            }
            for value, subtype in choices.items()
        ]
        replaced[f"#/definitions/{name}"] = {"anyOf": options}

    def translated(node: Any, included: bool = False) -> Any:
        if isinstance(node, list):
            return [translated(item, included) for item in node]
        if not isinstance(node, dict):
            return node
        if not included and node.get("$ref") in replaced and node.get("type") != "array":
            return replaced[node["$ref"]]
        if not included and node.get("$ref") in replaced:
            return {"type": "array", "items": replaced[node["$ref"]]}
        return {key: translated(value, key == "allOf") for key, value in node.items()}

    return dict(translated(document))


def plain(node: Any) -> Any:
    """Translate the keywords of Swagger and OpenAPI that differ from JSON Schema."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    translated = {
        key: plain(value) for key, value in node.items() if key not in {"nullable", "example", "examples"}
    }
    if translated.get("type") == "array" and "$ref" in translated:
        translated["items"] = {"$ref": translated.pop("$ref")}
    return {"anyOf": [translated, {"type": "null"}]} if node.get("nullable") is True else translated


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(
        "".join(
            "[^/]+" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{[^}]*\})", template)
        )
    )
