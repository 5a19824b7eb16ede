"""Unasked: the switches of the sandbox and further questions that no check is about, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping

_STRICT = "the strict reading: where the service takes more, nothing changes for what passes in the sandbox"
_TOKENS = "a check would use up the tokens of other clients of the account"
_FAULT = "a fault or data to test with, no behaviour of the service"
_SIZE = "a check would send megabytes, or thousands of objects"
_DOCUMENTED = "documented by the vendor"

REASONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "mapsindoors": {
        _STRICT: (
            "strict",
            "json_reader",
            "duplicate_keys",
            "check_content_type",
            "check_dates",
            "check_display_types",
            "check_geometry",
            "check_ids",
            "check_keys",
            "check_languages",
            "check_numbers",
            "check_query",
            "check_status",
            "check_types",
        ),
        _TOKENS: ("max_tokens", "token_above_max", "token_refused_status", "token_requests_per_minute"),
        _SIZE: ("max_bytes", "max_items"),
        "the provider writes no object of another solution": ("put_checks_dataset",),
        "a check would make a display type or a category, which apps may show": (
            "catalogue_put",
            "catalogue_unique",
        ),
        "a check would need a second place to move an object to": ("put_parent",),
        "the provider reads and verifies what it has written, so it is right under all of them": (
            "details_put",
            "empty_dates",
            "opening_hours",
        ),
    },
    "amigocloud": {
        _STRICT: ("strict",),
        _FAULT: ("empty_pages", "job_failures", "job_latency"),
        _SIZE: ("simple_upload_limit",),
        "a check would keep the service's database busy": ("statement_seconds",),
    },
    "iotstudio": {
        _STRICT: ("strict", "check_descriptions", "check_values"),
        _DOCUMENTED: ("apply_models",),
        _TOKENS: ("max_tokens", "token_above_max", "token_refused_status", "token_requests_per_minute"),
        _FAULT: (
            "device_answers",
            "device_seconds",
            "forgotten_before",
            "lost_writes",
            "nan_literals",
            "rounding",
        ),
    },
    "leanix": {
        _STRICT: ("strict",),
        _TOKENS: ("max_tokens", "token_above_max", "token_refused_status", "token_requests_per_minute"),
        _FAULT: (
            "allowed",
            "bad_items",
            "doubtful_items",
            "ending",
            "hidden_runs",
            "more_applications",
            "processes_nothing",
            "queue_seconds",
            "run_seconds",
            "seconds_per_item",
            "stuck_in",
        ),
        "a check cannot make a group: which field of a configuration has it is not documented": (
            "group_descriptions",
        ),
        "the provider asks for a link right before it reads it": ("link_seconds",),
    },
}
"""Names of switches by service and by the reason why no check asks about them."""

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "mapsindoors": {
        "Do replies with geodata have an `ETag`?": "no request has `If-None-Match`: the objects are compared",
    },
    "leanix": {
        "Does the link to results answer a request for a part of them (`Range`)?": (
            "no request has `Range`: a download that breaks off begins once more, with a new link"
        ),
    },
}
"""Questions by service whose answer changes nothing for the provider, so that there is no switch; and why."""


def unasked_table() -> str:
    """Return the table of reasons in Markdown."""
    rows = ["| Service | No check asks about | Because |", "| --- | --- | --- |"]
    for service, reasons in REASONS.items():
        for reason, names in reasons.items():
            listed = ", ".join(f"`{name}`" for name in names)
            rows.append(f"| {service} | {listed} | {reason} |")
    return "\n".join(rows)


def unasked_questions() -> str:
    """Return the list of the questions that have no check in Markdown."""
    return "\n".join(
        f"- {service}: {question} Either answer will do, because {reason}."
        for service, questions in QUESTIONS.items()
        for question, reason in questions.items()
    )
