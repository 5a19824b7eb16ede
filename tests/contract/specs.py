"""Judges replies by a vendor's own description of its API: Swagger 2.0, or OpenAPI 3.0.

The files are the vendors', so they are not part of the project; they are looked for beside the checkout.
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
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What was asked and answered; the path is below the API's root."""

    method: str
    path: str
    status: int
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


@dataclass(frozen=True)
class Verdict:
    """What a file says of a reply.

    :param name: method, path template and status, ``GET /things/{thing-id} 200``.
    :param problems: how the reply breaks what the file says of it.
    :param unspoken: what of it the file has no word for: the operation, the status, names of fields.
    """

    name: str
    problems: tuple[str, ...] = ()
    unspoken: tuple[str, ...] = ()


def load(name: str) -> Json:
    """Read a vendor's file; without it the test is skipped, loudly."""
    path = FOLDER / name
    if not path.exists():
        said = f"NOT TESTED against the vendor's own description: there is no ../shared/specs/{name}"
        warnings.warn(said, stacklevel=1)
        pytest.skip(said)
    if path.suffix == ".json":
        return dict(json.loads(path.read_text(encoding="utf-8")))
    import yaml

    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


class Spec:
    """A vendor's file, ready to judge.

    :param heirs: of schemas with a ``discriminator``, its values and the schemas that they stand for.
    """

    def __init__(self, document: Json, heirs: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.document = _with_heirs(document, heirs or {})

    @cached_property
    def _operations(self) -> list[tuple[str, str, re.Pattern[str], Json]]:
        """Methods, templates, what paths they fit and what is said of them; the most literal ones first."""
        found = [
            (method.upper(), template, _pattern(template), operation)
            for template, item in self.document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        ]
        return sorted(found, key=lambda one: one[1].count("{"))

    @cached_property
    def _common(self) -> Json:
        """The parts that schemas refer to."""
        return {
            key: plain(self.document[key]) for key in ("definitions", "components") if key in self.document
        }

    def operations(self) -> set[str]:
        """Name all operations, ``GET /things/{thing-id}``."""
        return {f"{method} {template}" for method, template, _, _ in self._operations}

    def judge(self, reply: Reply) -> Verdict:
        """Say what the file says of a reply."""
        for method, template, pattern, operation in self._operations:
            if method == reply.method and pattern.fullmatch(reply.path):
                return self._judge(f"{method} {template} {reply.status}", operation, reply)
        return Verdict(str(reply), unspoken=("operation",))

    def _judge(self, name: str, operation: Json, reply: Reply) -> Verdict:
        responses = {str(key): value for key, value in operation["responses"].items()}
        said = responses.get(str(reply.status), responses.get("default"))
        if said is None:
            return Verdict(name, unspoken=("status",))
        schema = self._schema(said)
        if schema is None:
            surplus = reply.body and reply.status == 204
            return Verdict(name, problems=("there is a body",) if surplus else ())
        try:
            body = json.loads(reply.body)
        except ValueError:
            return Verdict(name, problems=(f"the body is not JSON: {reply.body[:80]!r}",))
        return Verdict(
            name, tuple(self._broken(schema, body)), tuple(sorted(set(self._strange(schema, body))))
        )

    def _schema(self, response: Json) -> Json | None:
        response = _resolved(response, self.document)
        content = response.get("content", {}).get("application/json", response)
        return plain(content["schema"]) if content.get("schema") else None

    def _broken(self, schema: Json, body: Any) -> Iterator[str]:
        from jsonschema import Draft202012Validator, FormatChecker

        formats = FormatChecker(formats=())
        formats.checks("date-time")(lambda value: not isinstance(value, str) or MOMENT.fullmatch(value))
        judge = Draft202012Validator({**schema, **self._common}, format_checker=formats)
        for error in judge.iter_errors(body):
            yield f"{error.json_path}: {error.message[:200]}"

    def _strange(self, schema: Json, body: Any, path: str = "$") -> Iterator[str]:
        """Name the fields that objects have and their schemas do not mention."""
        if isinstance(body, list):
            for _, items in self._parts(schema, "items", body):
                for one in body:
                    yield from self._strange(items, one, f"{path}[]")
        if not isinstance(body, dict):
            return
        known = dict(self._parts(schema, "properties", body))
        free = any(True for _ in self._parts(schema, "additionalProperties", body)) or not known
        for name, value in body.items():
            if name in known:
                yield from self._strange(known[name], value, f"{path}.{name}")
            elif not free:
                yield f"{path}.{name}"

    def _parts(self, schema: Json, keyword: str, body: Any) -> Iterator[tuple[str, Json]]:
        """Find what a schema says of a body with a keyword, wherever it borrows from."""
        schema = _resolved(schema, self._common)
        said = schema.get(keyword)
        if keyword == "properties":
            yield from (said or {}).items()
        elif said is not None and said is not False:
            yield "", said if isinstance(said, dict) else {}
        either = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
        for part in (*schema.get("allOf", ()), *(one for one in either if not any(self._broken(one, body)))):
            yield from self._parts(part, keyword, body)


def _resolved(node: Json, root: Json) -> Json:
    """Follow references to what they stand for, in a document or a part of it."""
    while "$ref" in node:
        target: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _with_heirs(document: Json, heirs: Mapping[str, Mapping[str, str]]) -> Json:
    """Let references to a schema with a discriminator mean one of its heirs, except in these themselves."""
    definitions = dict(document.get("definitions", {}))
    replaced = {}
    for name, choices in heirs.items():
        mark = definitions[name]["discriminator"]
        either = [
            {"allOf": [{"$ref": f"#/definitions/{heir}"}, {"properties": {mark: {"enum": [value]}}}]}
            for value, heir in choices.items()
        ]
        replaced[f"#/definitions/{name}"] = {"anyOf": either}

    def turned(node: Any, borrowed: bool = False) -> Any:
        if isinstance(node, list):
            return [turned(item, borrowed) for item in node]
        if not isinstance(node, dict):
            return node
        if not borrowed and node.get("$ref") in replaced and node.get("type") != "array":
            return replaced[node["$ref"]]
        if not borrowed and node.get("$ref") in replaced:
            return {"type": "array", "items": replaced[node["$ref"]]}
        return {key: turned(value, key == "allOf") for key, value in node.items()}

    return dict(turned(document))


def plain(node: Any) -> Any:
    """Turn what these two dialects say in their own way into JSON Schema."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    turned = {
        key: plain(value) for key, value in node.items() if key not in {"nullable", "example", "examples"}
    }
    if turned.get("type") == "array" and "$ref" in turned:
        turned["items"] = {"$ref": turned.pop("$ref")}
    return {"anyOf": [turned, {"type": "null"}]} if node.get("nullable") is True else turned


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(
        "".join(
            "[^/]+" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{[^}]*\})", template)
        )
    )
