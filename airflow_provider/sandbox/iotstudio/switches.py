"""Switches: behaviour that the vendor's docs leave open, and limits that they do not name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider.sandbox.switches import Moment, Number, Seconds, Status
from airflow_provider.sandbox.tokens import TokenSwitches


@dataclass(eq=False)
class Switches(TokenSwitches):
    """Behaviour of the emulated service.

    :param strict: check descriptions of Things, and their values wherever they can be written; false checks
        the writes of properties only, and applies no models.
    :param apply_models: a Thing gets the fields of its model's template, and of its categories' models.
    :param check_descriptions: descriptions of Things, models and categories have the types of the vendor's
        OpenAPI file.
    :param check_values: values in a Thing's ``status``, in histories, of actions' outputs and of queries are
        checked as property writes are.
    :param null_values: null is a value of every type, or of the type null only; the docs leave it open.
    :param further_keywords: enforce ``enum``, ``const``, ``items``, ``required`` and the like, too, which the
        vendor's docs call not enforced.
    :param requires_preview: answer as older servers do, which without a ``Prefer`` header know none of these
        routes.
    :param max_tokens: maximum access tokens of a client that are valid at the same time; null for no limit.
        The vendor's docs tell of ten in a trial space.
    :param token_lifetime: seconds that a new token is valid, on the sandbox's clock.
    :param read_only: accept or reject writes to read-only properties.
    :param unknown_property: accept or reject writes to properties that a Thing does not declare.
    :param out_of_range: reject, accept or silently clamp numbers beyond minimum and maximum.
    :param lost_writes: property names, or pairs of uid and name, whose writes are accepted and dropped.
    :param rounding: number of decimals stored of a property, by name.
    :param max_message_bytes: maximum bytes of a property write's body; null for no limit.
    :param longest_url: maximum characters of path and query; null for no limit.
    :param empty_page_in_the_middle: every further page is preceded by an empty page with a cursor.
    :param forgotten_before: recorded values from before this time (RFC 3339) are left out; empty for none.
    :param unknown_space_status: status of replies about a space that does not exist.
    :param device_seconds: seconds that the device takes for an action; null leaves actions pending.
    :param device_answers: status and output by action name, ["completed", {"ok": true}] by default.
    :param actions_show_output: whether an action's output is in the replies.
    :param refused_token_status: status of the reply to a missing, invalid or expired token.
    :param one_token: a new access token ends the others of its client.
    :param above_limit: a limit above 1000 is rejected, or read as 1000.
    :param unknown_thing_status: status of replies about a Thing that does not exist.
    :param stray_every: every so many reads of a Thing are answered with a 404; 0 for none.
    :param history_order: a history begins with the newest or the oldest value.
    :param range_end: a range of times excludes or includes its end.
    :param has_query: when false, queries return 404.
    :param cursor_seconds: seconds after which the cursor of a page is refused; null for never.
    :param sorted_cursor: the cursor of a page that was read with ``sort`` is accepted with it, refused (400),
        or read in the order without ``sort``.
    :param equal_values: the history gets an entry for a write of a value that is stored already, or none.
    :param group_limit: the ``limit`` of a history with ``group`` counts items, one for each time, or values.
    :param partial_writes: a write with a value that is refused (400) writes none, or the valid ones.
    :param has_metadata: the service has OpenID metadata; when false, it is a 404.
    :param has_patch: when false, the routes with PATCH return 404, as on older servers.
    :param patch_results: results of a patch of many Things are a list, or an object by id.
    :param put_without_status: a description that replaces another one and has no ``status`` keeps or clears
        the current values.
    :param event_order: a list of events begins with the newest or the oldest event.
    :param nan_literals: whether a stored NaN is sent as ``NaN``, which is no JSON, instead of null.
    """

    strict: bool = True
    apply_models: bool = True
    check_descriptions: bool = True
    check_values: bool = True
    null_values: Literal["accept", "reject"] = "accept"
    further_keywords: Literal["ignore", "enforce"] = "ignore"
    requires_preview: bool = False
    max_tokens: Number | None = 10
    token_lifetime: Seconds = 604_799
    read_only: Literal["accept", "reject"] = "accept"
    unknown_property: Literal["accept", "reject"] = "reject"
    out_of_range: Literal["accept", "reject", "clamp"] = "reject"
    lost_writes: set[str | tuple[str, str]] = field(default_factory=set)
    rounding: dict[str, Number] = field(default_factory=dict)
    max_message_bytes: Number | None = 5 * 1024
    longest_url: Number | None = None
    empty_page_in_the_middle: bool = False
    forgotten_before: Moment = ""
    unknown_space_status: Status = 404
    device_seconds: Seconds | None = 2.0
    device_answers: dict[str, tuple[str, Any]] = field(default_factory=dict)
    actions_show_output: bool = True
    refused_token_status: Literal[401, 403] = 401
    one_token: bool = False
    above_limit: Literal["reject", "clamp"] = "reject"
    unknown_thing_status: Literal[400, 403, 404] = 404
    stray_every: Number = 0
    history_order: Literal["newest", "oldest"] = "newest"
    range_end: Literal["exclusive", "inclusive"] = "exclusive"
    has_query: bool = True
    cursor_seconds: Seconds | None = None
    sorted_cursor: Literal["accept", "refuse", "unsorted"] = "accept"
    equal_values: Literal["record", "skip"] = "record"
    group_limit: Literal["items", "values"] = "items"
    partial_writes: Literal["none", "valid"] = "none"
    has_metadata: bool = True
    has_patch: bool = True
    patch_results: Literal["list", "by_id"] = "list"
    put_without_status: Literal["keep", "clear"] = "keep"
    event_order: Literal["newest", "oldest"] = "newest"
    nan_literals: bool = False

    def checks(self, name: str) -> bool:
        """Return whether a check of the strict service is made: ``values`` for ``check_values``."""
        return self.strict and bool(getattr(self, f"check_{name}"))
