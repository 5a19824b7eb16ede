"""The summary of a plan in Markdown: short, and no text of a plan becomes markup or a link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.pages.links import PlanLink
from airflow_provider.core.sync.summary import (
    MOST_CHANGES,
    MOST_FIELDS,
    MOST_TEXT,
    PlanSummary,
    escape_markdown,
    publish_plan,
)

COUNTS = {"create": 1, "update": 2, "delete": 0}
TASK = {"dag_id": "d", "run_id": "manual__2026-01-01T00:00:00", "task_id": "plan", "map_index": -1}
LINK = "/digital-twin/plan?dag_id=d&run_id=manual__2026-01-01T00%3A00%3A00&task_id=plan&map_index=-1"


def summary(**more: Any) -> PlanSummary:
    """Return a plan with three changes."""
    changes = [
        ("create", "Room 1", [("capacity", "", "4")]),
        ("update", "Room 2", [("name", "Old", "New"), ("note", "x", "")]),
        ("update", "Room 3", []),
    ]
    given: dict[str, Any] = {"counts": COUNTS, "unchanged": 7, "failed": 1, "changes": changes}
    return PlanSummary("Plan for the campus", "compared with 9 objects", **{**given, **more})


def pushing() -> tuple[dict[str, str], Any]:
    """Return the XComs that a task pushes, and its context."""
    xcoms: dict[str, str] = {}
    return xcoms, {"ti": SimpleNamespace(xcom_push=xcoms.__setitem__, **TASK)}


def test_a_summary_has_a_table_of_counts_and_the_first_changes_in_words() -> None:
    assert summary().to_markdown("/page").splitlines() == [
        "**Plan for the campus**, compared with 9 objects. [See all of it on the plan's page.](/page)",
        "",
        "| new | changed | deleted | unchanged | left out |",
        "| ---: | ---: | ---: | ---: | ---: |",
        "| 1 | 2 | 0 | 7 | 1 |",
        "",
        "- **new** Room 1: capacity 4",
        "- **changed** Room 2: name Old → New; note x → nothing",
        "- **changed** Room 3",
    ]


def test_without_a_page_there_is_no_link() -> None:
    with_page, without = (summary().to_markdown(url).splitlines()[0] for url in ("/page", ""))
    assert with_page == f"{without} [See all of it on the plan's page.](/page)"
    assert without.endswith(".")


def test_a_summary_names_the_limits_that_the_plan_exceeds() -> None:
    shown = summary(exceeded=["10 deletions are more than max_deletes=0"]).to_markdown()
    assert "**It exceeds limits of this task:**\n\n- 10 deletions are more than max\\_deletes=0\n\n" in shown


def test_a_summary_without_changes_says_so_and_has_no_link_without_a_page() -> None:
    shown = summary(counts={"create": 0}, changes=[]).to_markdown()
    assert shown.endswith("Nothing changes.")
    assert "](" not in shown


def test_a_summary_is_bounded_and_reads_the_first_changes_only() -> None:
    def changes() -> Iterator[Any]:
        for number in range(MOST_CHANGES):
            yield "create", f"{number} {'x' * 10_000}", (("field", "", "y" * 10_000) for _ in range(1000))
        raise AssertionError("a further change was read")

    shown = summary(counts={"create": 5000}, changes=changes()).to_markdown()
    assert shown.endswith(f"\n- and {5000 - MOST_CHANGES} more")
    assert len(shown) < MOST_CHANGES * (MOST_FIELDS + 1) * (MOST_TEXT + 20)


@pytest.mark.parametrize(("count", "rest"), [(4, ""), (5, ""), (6, "; …"), (9, "; …")])
def test_a_change_has_five_fields_and_a_sign_for_more(count: int, rest: str) -> None:
    fields = [(f"f{number}", "", "x") for number in range(count)]
    shown = summary(counts={"update": 1}, changes=[("update", "Room", fields)]).to_markdown()
    named = "; ".join(f"f{number} x" for number in range(min(count, 5)))
    assert shown.endswith(f"\n- **changed** Room: {named}{rest}")


def test_ten_changes_are_named_and_the_others_counted() -> None:
    for count, rest in ((10, ""), (11, "\n- and 1 more")):
        changes: list[Any] = [("create", f"R{number}", []) for number in range(count)]
        shown = summary(counts={"create": count}, changes=changes).to_markdown()
        assert shown.endswith(f"- **new** R9{rest}")


def test_texts_are_cut_and_lose_what_cannot_be_shown() -> None:
    assert [escape_markdown("x" * count) for count in (80, 81)] == ["x" * 80, "x" * 80 + "…"]
    assert escape_markdown("a\ud800b\u202ec\x00d\te") == "abcd e"
    shown = summary(exceeded=["x" * 400, "y"]).to_markdown()
    assert f"**\n\n- {'x' * 320}…\n- y\n\n- **new**" in shown


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "<img src=x onerror=alert(1)>",
        "``` `code` ```",
        "[click](http://evil.example)",
        "![x](data:x)",
        "a\n\n# heading\n- item\r\n| --- |\x00\u2028\u202e",
        "&lt;b&gt; &#124;",
        "**bold** _em_ ~~gone~~ \\| \\",
    ],
)
def test_a_text_becomes_no_markup(text: str) -> None:
    shown = escape_markdown(text)
    assert len(shown.splitlines()) == 1
    assert not re.search(r"[\x00-\x1f\u202e]", shown)
    assert re.sub(r"\\[\\`*_\[\]<>|~&!#]", "", shown) == re.sub(r"[\\`*_\[\]<>|~&!#]", "", shown)


@pytest.mark.parametrize(
    "text", ["https://evil.example/x", "HTTP://evil.example", "www.evil.example", "a@evil.example"]
)
def test_a_plain_address_becomes_no_link(text: str) -> None:
    """Airflow's UI finds addresses in texts after Markdown is parsed, so that escapes do not hide them."""
    shown = escape_markdown(f"({text})")
    assert shown.replace("\u2060", "") == f"({text})"
    assert not re.search(r"https?://|www\.|[-.\w+]+@[-\w]", shown, re.IGNORECASE)


def test_a_plan_is_published_with_its_page_and_its_summary() -> None:
    xcoms, context = pushing()
    operator: Any = SimpleNamespace()
    publish_plan(operator, context, "s3://bucket/plan.json", "f00d", summary())
    assert xcoms.pop("plan_summary") == summary().to_markdown(LINK)
    assert xcoms == {"plan_page": "s3://bucket/plan.html#f00d"}
    assert PlanLink().get_link(operator, ti_key=SimpleNamespace(**TASK)) == LINK


def test_a_plan_without_a_file_is_published_without_a_link() -> None:
    xcoms, context = pushing()
    operator: Any = SimpleNamespace()
    publish_plan(operator, context, None, "f00d", summary())
    assert xcoms == {"plan_summary": summary().to_markdown()}
    assert PlanLink().get_link(operator, ti_key=SimpleNamespace(**TASK)) == ""
