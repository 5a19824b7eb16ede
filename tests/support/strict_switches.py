"""Table of the switches of strictness, for the page about tests.

``python -m tests.support.strict_switches --write`` writes it into ``docs/testing.md``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from airflow_provider.sandbox.server import all_kinds
from airflow_provider.sandbox.service import Surroundings
from airflow_provider.sandbox.switches import Switches, plain

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
HEAD = "| Switch | Default | |\n| --- | --- | --- |\n"

NAMES = {
    "mapsindoors": (
        "strict",
        "json_reader",
        "numbers_in_text",
        "duplicate_keys",
        "check_content_type",
        "check_types",
        "check_ids",
        "check_dates",
        "check_numbers",
        "check_keys",
        "check_languages",
        "check_display_types",
        "check_status",
        "check_geometry",
        "ring_order",
        "check_query",
        "lower_case_keys",
    ),
    "iotstudio": (
        "strict",
        "apply_models",
        "check_descriptions",
        "check_values",
        "null_values",
        "out_of_range",
        "unknown_property",
        "read_only",
        "further_keywords",
        "requires_preview",
        "max_tokens",
        "token_above_max",
    ),
    "leanix": (
        "strict",
        "results_lag_seconds",
        "expired_token_status",
        "refused_token_status",
        "has_sync_log",
        "retry_after",
    ),
}
"""Switches of the table by service."""


def table() -> str:
    """Return the table."""
    board = Switches({kind.name: kind(Surroundings()) for kind in all_kinds() if kind.name in NAMES})
    found = [board.by_name[f"{service}.{name}"] for service, names in NAMES.items() for name in names]
    names = [f"{service}.{name}" for service, inner in NAMES.items() for name in inner]
    rows = [
        f"| `{name}` | `{json.dumps(plain(switch.default))}` | {switch.about.removesuffix('.')} |\n"
        for name, switch in zip(names, found, strict=True)
    ]
    return HEAD + "".join(rows)


def written() -> str:
    """Return the table in the page; empty when it has none."""
    page = PAGE.read_text()
    start = page.find(HEAD)
    return "" if start < 0 else page[start : page.index("\n\n", start) + 1]


def main() -> None:
    """Print the table, or write it into the page."""
    if "--write" in sys.argv:
        PAGE.write_text(PAGE.read_text().replace(written(), table()))
    print(table())


if __name__ == "__main__":
    main()
