"""Links from a task to what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class MapsIndoorsPlanLink(BaseOperatorLink):
    """The page that shows a sync's plan."""

    name = "Plan"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Give the page's address, empty when no plan was written."""
        path = getattr(operator, "plan_output", None)
        return page_path(path) if path else ""


def page_path(plan_output: str) -> str:
    """Give where the page of a plan is: beside it, ending in ``.html``."""
    return f"{plan_output.removesuffix('.json')}.html"
