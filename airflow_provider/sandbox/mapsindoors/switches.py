"""Switches: behaviour that the vendor's docs leave open, settable by tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from airflow_provider.sandbox.switches import Number, Rate, Seconds
from airflow_provider.sandbox.tokens import TokenSwitches


@dataclass(eq=False)
class Switches(TokenSwitches):
    """Behaviour of the emulated service that the vendor's docs do not define.

    :param post_status: status of a successful POST, 200 or 201.
    :param delete_status: status of a successful DELETE, 200 or 204.
    :param put_unknown_status: status of a PUT with an unknown id, 400 or 404.
    :param delete_unknown: a DELETE ignores an unknown id, or returns a 404.
    :param delete_children: a DELETE deletes the children, too, leaves them, or is rejected.
    :param nested_put: a PUT merges ``properties``, ``baseTypeProperties`` and ``displaySetting`` key by key,
        or replaces them.
    :param derive_anchor_on_put: a PUT of a geometry without an anchor moves the anchor.
    :param put_parent: a PUT of another ``parentId`` moves the object, leaves it where it is, or is rejected.
    :param details_put: a PUT of ``additionalDetails`` replaces the list, or merges it by key.
    :param empty_dates: an empty ``activefrom`` or ``activeto`` clears it, is rejected, or leaves it.
    :param opening_hours: opening hours are stored in the form in which they are sent, or as 24 hours.
    :param catalogue_put: a PUT of a display type or category merges it field by field, member by member, or
        replaces it.
    :param catalogue_unique: a display type's name and a category's key exist once.
    :param put_checks_dataset: a PUT with another solution's ``datasetId`` is rejected instead of ignored.
    :param batch_mode: a batch with an invalid object writes nothing, the objects before it, or all
        others; the status is 400 in each case.
    :param max_items: maximum objects of a write; null for no limit.
    :param max_bytes: maximum bytes of a body; a larger body is a 413.
    :param decimals: decimals of stored coordinates, 7 or 8; null to keep all.
    :param lower_case_keys: store and return property keys in lower case.
    :param strict: check bodies and values as a service with typed models does; false takes what a tolerant
        service would, and leaves out all of the checks below, but for those of languages, display types and
        the range of the status.
    :param json_reader: the JSON reader whose rules hold for the types of a body. System.Text.Json takes no
        value of another type, and names the first one; Newtonsoft.Json reads numbers and true as texts and
        texts as numbers, and names all others.
    :param numbers_in_text: System.Text.Json takes "1" for a number, as newer versions of ASP.NET Core do.
    :param duplicate_keys: an object of JSON with a key twice is refused, or the last value counts.
    :param check_content_type: a body that is not declared as JSON is a 415.
    :param check_types: values of another JSON type than their field are refused.
    :param check_ids: ids must have 24 hexadecimal digits.
    :param check_dates: ``activefrom`` and ``activeto`` must be times with a zone, opening hours times of day.
    :param check_numbers: ``capacity``, ``defaultfloor`` and ``obstacle`` must be a number and a boolean.
    :param check_keys: property keys must have no blanks around name and language, and be there once.
    :param check_languages: languages must be those of the solution.
    :param check_display_types: display types must exist.
    :param check_status: the status must be 0, 1, 2 or 3.
    :param check_geometry: polygons must have an area, not cross themselves, and have their holes inside.
    :param ring_order: order of the points of a polygon's outer ring.
    :param check_query: base types and coordinates in a query must be valid.
    :param stale_seconds: age of the geodata, display types and categories that reads return, in seconds of
        the sandbox's clock.
    :param error_style: body of errors: ProblemDetails, plain text, or a text without rows.
    :param requests_per_second: maximum requests a second to each solution; null for no limit.
    :param require_token: GET requires a token, too.
    :param token_seconds: lifetime of a token in seconds.
    :param array_style: several values of a query parameter are repeated, or separated by commas; of the other
        style one value is read.
    :param root_included: a subtree that ``rootElements`` selects includes its root.
    :param unknown_solution_status: status of replies about a solution that does not exist.
    :param refused_token_status: status of the reply to a missing, invalid or expired token.
    :param secret_variables: variables of client secrets are read from the query and a form, or from a form.
    :param password_grant: the token service accepts a user's name and password.
    """

    post_status: Literal[200, 201] = 200
    delete_status: Literal[200, 204] = 204
    put_unknown_status: Literal[400, 404] = 400
    delete_unknown: Literal["ignore", "refuse"] = "ignore"
    delete_children: Literal["cascade", "leave", "refuse"] = "cascade"
    nested_put: Literal["merge", "replace"] = "merge"
    derive_anchor_on_put: bool = False
    put_parent: Literal["move", "ignore", "refuse"] = "move"
    details_put: Literal["replace", "merge"] = "replace"
    empty_dates: Literal["clear", "refuse", "keep"] = "clear"
    opening_hours: Literal["as-sent", "24-hours"] = "as-sent"
    catalogue_put: Literal["fields", "members", "replace"] = "fields"
    catalogue_unique: bool = True
    put_checks_dataset: bool = False
    batch_mode: Literal["atomic", "stop-at-first", "skip-bad"] = "atomic"
    max_items: Number | None = None
    max_bytes: Number = 30_000_000
    decimals: Annotated[int, Meta(ge=0, le=15)] | None = None
    lower_case_keys: bool = True
    strict: bool = True
    json_reader: Literal["system.text.json", "newtonsoft"] = "system.text.json"
    numbers_in_text: bool = False
    duplicate_keys: Literal["refuse", "last"] = "refuse"
    check_content_type: bool = True
    check_types: bool = True
    check_ids: bool = True
    check_dates: bool = True
    check_numbers: bool = True
    check_keys: bool = True
    check_languages: bool = True
    check_display_types: bool = True
    check_status: bool = True
    check_geometry: bool = True
    ring_order: Literal["any", "counter-clockwise"] = "any"
    check_query: bool = True
    stale_seconds: Seconds = 0.0
    error_style: Literal["problem", "text", "vague"] = "problem"
    requests_per_second: Rate | None = 10.0
    require_token: bool = False
    token_seconds: Number = 86_400
    array_style: Literal["repeated", "comma"] = "repeated"
    root_included: bool = True
    unknown_solution_status: Literal[400, 401, 403, 404] = 404
    refused_token_status: Literal[401, 403] = 401
    secret_variables: Literal["query", "form"] = "query"
    password_grant: bool = True

    aliases: ClassVar[dict[str, str]] = {"rate_limit": "requests_per_second"}

    def checks(self, name: str) -> bool:
        """Return whether a check of the strict service is made: ``dates`` for ``check_dates``."""
        return self.strict and bool(getattr(self, f"check_{name}"))

    @property
    def rate_limit(self) -> float | None:
        """The same as ``requests_per_second``."""
        return self.requests_per_second

    @rate_limit.setter
    def rate_limit(self, value: float | None) -> None:
        self.requests_per_second = value
