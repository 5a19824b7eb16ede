"""From a task in Airflow's UI to the page of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

PREFIX = "/mapsindoors"
"""Where Airflow's API server serves the pages, see :mod:`airflow_provider.mapsindoors.plugin`."""

NOTE = "plan_page"
"""Key of the XCom that says where a task's page is."""


class MapsIndoorsPlanLink(BaseOperatorLink):
    """The page that shows a sync's plan, served by Airflow to those who may see the DAG."""

    name = "Plan"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Give the page's address, empty when there is no page."""
        if not getattr(operator, NOTE, ""):
            return ""
        from airflow.configuration import conf

        base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        task = {name: getattr(ti_key, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
        return f"{base}{PREFIX}/plan?{urlencode(task)}"


def note_page(operator: BaseOperator, context: Context, plan_path: str) -> None:
    """Note where the page of a plan is, for the link and for who serves it."""
    setattr(operator, NOTE, page_path(plan_path))
    if task_instance := context.get("ti"):
        task_instance.xcom_push(NOTE, page_path(plan_path))


def page_path(plan_output: str) -> str:
    """Give where the page of a plan is: beside it, ending in ``.html``."""
    return f"{plan_output.removesuffix('.json')}.html"
