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
    :param put_checks_dataset: a PUT with another solution's ``datasetId`` is rejected instead of ignored.
    :param batch_mode: a batch with an invalid object writes nothing, the objects before it, or all
        others; the status is 400 in each case.
    :param max_items: maximum objects of a write; null for no limit.
    :param max_bytes: maximum bytes of a body; a larger body is a 413.
    :param decimals: decimals of stored coordinates, 7 or 8; null to keep all.
    :param lower_case_keys: store property keys in lower case.
    :param stale_seconds: age of the geodata that reads return, in seconds of the sandbox's clock.
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
    put_checks_dataset: bool = False
    batch_mode: Literal["atomic", "stop-at-first", "skip-bad"] = "atomic"
    max_items: Number | None = None
    max_bytes: Number = 30_000_000
    decimals: Annotated[int, Meta(ge=0, le=15)] | None = None
    lower_case_keys: bool = True
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

    @property
    def rate_limit(self) -> float | None:
        """The same as ``requests_per_second``."""
        return self.requests_per_second

    @rate_limit.setter
    def rate_limit(self, value: float | None) -> None:
        self.requests_per_second = value
