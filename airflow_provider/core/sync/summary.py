"""Summary of a plan as Markdown, for people who approve it in Airflow: counts, limits, the first changes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider.core.pages.links import page_url, record_page
from airflow_provider.core.pages.page import PLAN
from airflow_provider.core.sync.page import WORDS, Field, page_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

SUMMARY_XCOM = "plan_summary"
"""Key of the XCom with the summary of a task's plan."""

MOST_CHANGES = 10
"""Maximum changes of a summary."""

MOST_FIELDS = 5
"""Maximum fields of a change."""

MOST_TEXT = 80
"""Maximum characters of a name or a value."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&!#])")
_JOINER = "\u2060"
"""Character without width, at which no word and no line ends."""

# Airflow's UI makes links of plain addresses, even of escaped ones: they are found after Markdown is parsed.
_ADDRESS = re.compile(r"(https?:|www(?=\.)|@)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan in words.

    :param title: what the plan is for.
    :param compared: what the rows were compared with.
    :param counts: number of changes by kind, see :data:`airflow_provider.core.sync.page.WORDS`.
    :param unchanged: number of rows without a difference.
    :param failed: number of rows that are left out.
    :param changes: kind, name and fields of each change; only the first ones are read.
    :param exceeded: a sentence for each limit of the task that the plan exceeds.
    """

    title: str
    compared: str
    counts: Mapping[str, int]
    unchanged: int
    failed: int
    changes: Iterable[tuple[str, str, Iterable[Field]]]
    exceeded: Sequence[str] = ()

    def to_markdown(self, url: str = "") -> str:
        """Return the summary as Markdown, in which texts of the plan cannot be markup or links.

        :param url: URL of the plan's page; empty when there is none.
        """
        page = f" [See all of it on the plan's page.]({url})" if url else ""
        parts = [f"**{escape_markdown(self.title)}**, {escape_markdown(self.compared)}.{page}", self._table()]
        if self.exceeded:
            limits = "\n".join(f"- {escape_markdown(sentence, 4 * MOST_TEXT)}" for sentence in self.exceeded)
            parts.append(f"**It exceeds limits of this task:**\n\n{limits}")
        return "\n\n".join([*parts, self._first_changes()])

    def _table(self) -> str:
        cells = {WORDS[kind]: self.counts[kind] for kind in WORDS if kind in self.counts}
        cells |= {"unchanged": self.unchanged, "left out": self.failed}
        rows = (cells, ["---:"] * len(cells), map(str, cells.values()))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _first_changes(self) -> str:
        count = sum(self.counts.values())
        if not count:
            return "Nothing changes."
        lines = [_line(*change) for change in islice(self.changes, MOST_CHANGES)]
        lines += [f"- and {count - len(lines)} more"] if count > len(lines) else []
        return "\n".join(lines)


def _line(kind: str, name: str, fields: Iterable[Field]) -> str:
    shown = [_field(*field) for field in islice(fields, MOST_FIELDS + 1)]
    if len(shown) > MOST_FIELDS:
        shown[MOST_FIELDS:] = ["…"]
    return f"- **{WORDS[kind]}** {escape_markdown(name)}{': ' if shown else ''}{'; '.join(shown)}"


def _field(name: str, old: str, new: str) -> str:
    after = escape_markdown(new) or "nothing"
    return f"{escape_markdown(name)} {f'{escape_markdown(old)} → ' if old else ''}{after}"


def escape_markdown(text: str, most: int = MOST_TEXT) -> str:
    """Return a text as one line of Markdown that shows it, without markup and without links.

    :param text: any text.
    :param most: maximum characters; the rest is cut off.
    """
    line = " ".join(text.split())
    line = "".join(char for char in line if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    line = line if len(line) <= most else f"{line[:most]}…"
    return _SPECIAL.sub(r"\\\1", _ADDRESS.sub(rf"\1{_JOINER}", line))


def publish_plan(
    operator: BaseOperator, context: Context, plan: str | None, fingerprint: str, summary: PlanSummary
) -> None:
    """Record a plan's page for the task's link, and push the XCom ``plan_summary``.

    :param operator: the task's operator.
    :param context: the task's context.
    :param plan: path or URL of the plan's JSON, beside which the page is; None when there is none.
    :param fingerprint: fingerprint of the plan.
    :param summary: the plan in words.
    """
    if plan:
        record_page(operator, context, PLAN, page_path(plan), fingerprint)
    if task_instance := context.get("ti"):
        url = page_url(PLAN, task_instance) if plan else ""
        task_instance.xcom_push(SUMMARY_XCOM, summary.to_markdown(url))
