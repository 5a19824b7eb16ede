"""Provider info, held against the hooks and modules of the package."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.hook import ApiHook
from airflow_provider.provider_info import get_provider_info
from tests.support.every_task import public_classes
from tests.support.import_cost import KINDS, public_modules

TYPES = {kind["connection-type"]: kind for kind in get_provider_info()["connection-types"]}


def hook_of(kind: dict[str, Any]) -> type[ApiHook]:
    module, name = kind["hook-class-name"].rsplit(".", 1)
    found: type[ApiHook] = getattr(import_module(module), name)
    return found


@pytest.mark.parametrize("conn_type", TYPES)
def test_the_form_has_exactly_the_extras_that_the_hook_reads(conn_type: str) -> None:
    hook = hook_of(TYPES[conn_type])
    assert set(TYPES[conn_type]["conn-fields"]) == set(hook.spec.all_extras)
    assert (hook.conn_type, hook.spec.conn_type) == (conn_type, conn_type)
    assert hook.default_conn_name == f"{conn_type}_default"
    assert hook.conn_name_attr == f"{conn_type}_conn_id"
    assert hook.hook_name == TYPES[conn_type]["hook-name"]


@pytest.mark.parametrize("conn_type", TYPES)
def test_every_secret_extra_is_a_password_field(conn_type: str) -> None:
    extras = hook_of(TYPES[conn_type]).spec.all_extras
    fields = TYPES[conn_type]["conn-fields"]
    secret = {name for name, extra in extras.items() if extra.secret}
    assert secret == {name for name, field in fields.items() if field["schema"].get("format") == "password"}


@pytest.mark.parametrize("conn_type", TYPES)
def test_defaults_and_choices_of_the_form_are_those_of_the_hook(conn_type: str) -> None:
    extras = hook_of(TYPES[conn_type]).spec.all_extras
    for name, field in TYPES[conn_type]["conn-fields"].items():
        if "default" in field["schema"]:
            assert field["schema"]["default"] == extras[name].default, name
        if "enum" in field["schema"]:
            assert {choice for choice in field["schema"]["enum"] if choice} == set(extras[name].choices), name


@pytest.mark.parametrize("conn_type", TYPES)
def test_standard_fields_that_are_not_used_are_hidden(conn_type: str) -> None:
    spec = hook_of(TYPES[conn_type]).spec
    hidden = set(TYPES[conn_type]["ui-field-behaviour"]["hidden-fields"])
    assert {"schema", "port"} <= hidden
    assert ("login" in hidden) == (spec.login == "unused")


def test_all_public_modules_are_announced_and_no_others() -> None:
    info = get_provider_info()
    announced = [
        module for kind in KINDS for integration in info[kind] for module in integration["python-modules"]
    ]
    assert sorted(announced) == sorted(name for name in public_modules() if name.rpartition(".")[2] in KINDS)


@pytest.mark.parametrize("name", public_classes())
def test_the_connection_of_every_task_can_be_a_template(name: str) -> None:
    kind: Any = public_classes()[name]
    conn_ids = {field for field in kind.template_fields if field.endswith("_conn_id")}
    of_a_query = {"sql_conn_id"} if issubclass(kind, RowOperator) else set()
    assert conn_ids == {f"{kind.__module__.split('.')[1]}_conn_id"} | of_a_query


def test_every_link_of_an_operator_is_announced() -> None:
    links = [
        type(link)
        for kind in public_classes().values()
        for link in vars(kind).get("operator_extra_links", ())
    ]
    assert set(get_provider_info()["extra-links"]) == {f"{one.__module__}.{one.__name__}" for one in links}


def test_each_integration_has_its_documentation_and_a_logo_that_is_there() -> None:
    logos = Path(__file__).parents[2] / "docs" / "assets" / "logos"
    for integration in get_provider_info()["integrations"]:
        assert integration["external-doc-url"].startswith("https://")
        folder, _, name = integration["logo"].rpartition("/")
        assert folder.startswith("https://")
        assert folder.endswith("/main/docs/assets/logos")
        assert "<svg " in (logos / name).read_text()


def test_what_is_announced_belongs_to_an_integration() -> None:
    info = get_provider_info()
    named = {integration["integration-name"] for integration in info["integrations"]}
    assert {entry["integration-name"] for kind in KINDS for entry in info[kind]} == named
