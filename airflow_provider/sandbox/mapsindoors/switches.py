"""What the vendor leaves open, as switches a test can set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class Switches:
    """How the emulated service behaves where the vendor's docs say nothing.

    :param post_status: status of a successful POST, 200 or 201.
    :param delete_status: status of a successful DELETE, 200 or 204.
    :param put_unknown_status: answer to a PUT of an unknown id, 400 or 404.
    :param delete_unknown: a DELETE of an unknown id is ignored, or answered with 404.
    :param delete_children: what a DELETE does to the children: deletes them too, leaves them, or refuses.
    :param nested_put: a PUT merges ``properties``, ``baseTypeProperties`` and ``displaySetting`` key by key,
        or replaces them.
    :param derive_anchor_on_put: a PUT of a geometry without an anchor moves the anchor.
    :param put_checks_dataset: a PUT with another solution's ``datasetId`` is refused, not ignored.
    :param batch_mode: a batch with a bad object does nothing, stops there, or does all the others; the
        answer is a 400 in each case.
    :param max_items: objects a write may have; None for any number.
    :param max_bytes: bytes a body may have (beyond: 413).
    :param decimals: round coordinates to 7 or 8 decimals; None to keep them.
    :param lower_case_keys: store property keys in lower case.
    :param stale_seconds: reads show the world as it was that long ago, on the sandbox's clock.
    :param error_style: bodies of errors are ProblemDetails, plain text, or a text that says nothing of rows.
    :param rate_limit: requests a second and solution; None for no limit.
    :param retry_after: a 429 has a ``Retry-After``.
    :param require_token: GET needs a token, too.
    :param token_seconds: life of a token.
    """

    post_status: int = 200
    delete_status: int = 204
    put_unknown_status: int = 400
    delete_unknown: Literal["ignore", "refuse"] = "ignore"
    delete_children: Literal["cascade", "leave", "refuse"] = "cascade"
    nested_put: Literal["merge", "replace"] = "merge"
    derive_anchor_on_put: bool = False
    put_checks_dataset: bool = False
    batch_mode: Literal["atomic", "stop-at-first", "skip-bad"] = "atomic"
    max_items: int | None = None
    max_bytes: int = 30_000_000
    decimals: int | None = None
    lower_case_keys: bool = True
    stale_seconds: float = 0.0
    error_style: Literal["problem", "text", "vague"] = "problem"
    rate_limit: float | None = 10.0
    retry_after: bool = True
    require_token: bool = False
    token_seconds: int = 86_400
