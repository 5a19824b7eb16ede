"""Airflow's form of a connection, as a user fills it in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from airflow_provider.provider_info import get_provider_info

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.support.airflow_ui import AirflowUi

TYPES: dict[str, dict[str, Any]] = {
    kind["connection-type"]: kind for kind in get_provider_info()["connection-types"]
}
STANDARD = {
    "description": "Description",
    "host": "Host",
    "login": "Login",
    "password": "Password",
    "port": "Port",
    "schema": "Schema",
}
"""Airflow's labels of the fields that connections of all types may have."""

EXTRA = "element_"
"""Beginning of the names of the inputs of extras."""

TALL = 3000
"""Height in pixels of a window that shows all extras."""

MOST_CLICKS, UNFOLDS_MS = 6, 10_000
"""Maximum attempts to unfold a part of a form, and milliseconds of each."""

INPUTS = "form => [...form.querySelectorAll('[name]')].map(input => [input.name, [input.type, input.value]])"


@dataclass(frozen=True)
class Form:
    """A form of a connection.

    :param texts: the lines of text that it shows.
    :param inputs: type and value of its inputs, by their names.
    """

    texts: set[str]
    inputs: dict[str, tuple[str, str]]


def standard_labels(conn_type: str) -> dict[str, str]:
    """Return the labels of a connection type's standard fields, by their names.

    :param conn_type: the connection type.
    """
    behaviour = TYPES[conn_type]["ui-field-behaviour"]
    labels = {**STANDARD, **behaviour["relabeling"]}
    return {name: label for name, label in labels.items() if name not in behaviour["hidden-fields"]}


def extras_of_hook(conn_type: str) -> set[str]:
    """Return the names of the extras that a connection type's hook reads.

    :param conn_type: the connection type.
    """
    module, name = TYPES[conn_type]["hook-class-name"].rsplit(".", 1)
    return set(getattr(import_module(module), name).spec.all_extras)


def new_form(ui: AirflowUi) -> Locator:
    """Open the form of a new connection; return it.

    :param ui: Airflow's UI.
    """
    ui.open("/connections", "Add Connection")
    ui.page.get_by_role("button", name="Add Connection").click()
    return ui.page.get_by_role("dialog")


def choose(ui: AirflowUi, form: Locator, conn_type: str, conn_id: str) -> None:
    """Choose the type of a new connection, and name it.

    :param ui: Airflow's UI.
    :param form: its form.
    :param conn_type: the connection type.
    :param conn_id: the connection's id.
    """
    name = TYPES[conn_type]["hook-name"]
    form.locator("[name=connection_id]").fill(conn_id)
    form.get_by_role("combobox").first.click()
    ui.page.keyboard.type(name)
    ui.page.get_by_role("option", name=name, exact=True).click()
    password = standard_labels(conn_type)["password"]
    form.get_by_text(password, exact=True).wait_for()
    ui.page.evaluate("document.activeElement.blur()")


def read(form: Locator) -> Form:
    """Return the form, with all fields that a user can unfold.

    :param form: the form, with its standard fields unfolded.
    """
    texts = form.inner_text().splitlines()
    unfold(form)
    texts += form.inner_text().splitlines()
    return Form(set(texts), {name: (kind, value) for name, (kind, value) in form.evaluate(INPUTS)})


def unfold(form: Locator, part: str = "Extra Fields") -> None:
    """Unfold a part of a form, which folds the others.

    :param form: the form.
    :param part: heading of the part.
    """
    button = form.get_by_role("button", name=part, exact=True)
    inner = f"[name^={EXTRA}]" if part == "Extra Fields" else "[name=host]"
    fields = form.locator(inner).locator("visible=true").last
    # While it loads, a form may fold its parts once more; and a click on an open part folds it.
    for _ in range(MOST_CLICKS):
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        with suppress(PlaywrightTimeoutError):
            fields.wait_for(timeout=UNFOLDS_MS)
            return
    raise AssertionError(f"'{part}' does not unfold")
