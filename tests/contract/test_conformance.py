"""Conformance checks: find violations of an API description, and what the description lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.api_specs import ApiSpec, Reply
from tests.contract.conformance import ConformanceReport

ANIMAL: dict[str, Any] = {
    "type": "object",
    "discriminator": "kind",
    "required": ["kind"],
    "properties": {"kind": {"type": "string"}, "born": {"type": "string", "format": "date-time"}},
}
CAT = {"allOf": [{"$ref": "#/definitions/Animal"}, {"properties": {"lives": {"type": "integer"}}}]}
DOG = {
    "allOf": [
        {"$ref": "#/definitions/Animal"},
        {"properties": {"owner": {"type": "string", "nullable": True}}},
    ]
}
RESPONSES = {"200": {"schema": {"type": "array", "$ref": "#/definitions/Animal"}}, "204": {}, "404": {}}
DOCUMENT = {
    "definitions": {"Animal": ANIMAL, "Cat": CAT, "Dog": DOG},
    "paths": {
        "/animals/{id}": {"get": {"responses": RESPONSES}},
        "/animals/mine": {"get": {"responses": {"404": {}}}},
    },
}
SPEC = ApiSpec(DOCUMENT, {"Animal": {"cat": "Cat", "dog": "Dog"}})


def reply(body: Any, status: int = 200, path: str = "/animals/1", method: str = "GET") -> Reply:
    return Reply(method, path, status, b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{"kind": "cat", "lives": 9}],
        [{"kind": "dog", "owner": None, "born": "2025-01-01T10:00:00.123456789Z"}],
    ],
)
def test_a_good_reply_passes(body: Any) -> None:
    check = SPEC.check(reply(body))
    assert (check.violations, check.undocumented) == ((), ())


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "cat"},
        [{}],
        [{"kind": "bird"}],
        [{"kind": "cat", "lives": "nine"}],
        [{"kind": "cat", "lives": None}],
        [{"kind": "dog", "born": "2025-01-01 10:00:00"}],
        None,
    ],
    ids=["no list", "field missing", "unknown subtype", "type", "null", "time", "no body"],
)
def test_a_bad_reply_is_found(body: Any) -> None:
    assert SPEC.check(reply(body)).violations


def test_a_body_where_none_may_be_is_found() -> None:
    assert SPEC.check(reply({}, 204)).violations == ("there is a body",)
    assert SPEC.check(reply(None, 204)).violations == ()


@pytest.mark.parametrize(
    ("answered", "item"),
    [
        (reply([{"kind": "cat", "owner": "Ada"}]), "$[].owner"),
        (reply({}, 418), "status"),
        (reply([], path="/animals/mine"), "status"),
        (reply([], path="/plants"), "operation"),
        (reply([], method="PUT"), "operation"),
    ],
    ids=["a field", "a status", "of the more literal path", "a path", "a method"],
)
def test_what_the_description_lacks_is_named(answered: Reply, item: str) -> None:
    assert SPEC.check(answered).undocumented == (item,)


def test_the_list_of_expected_items_may_neither_lack_nor_exceed() -> None:
    report = ConformanceReport(SPEC, [reply({}, 418), reply([])], [])
    assert report.undocumented({"* 418: status": "a joke"}) == ([], [])
    assert report.undocumented({"* 500: status": "why not"}) == (
        ["GET /animals/{id} 418: status"],
        ["* 500: status"],
    )
    assert report.unused_operations() == ["GET /animals/mine"]
