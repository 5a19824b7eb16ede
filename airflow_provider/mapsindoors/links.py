"""From a task in Airflow's UI to the page of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

PREFIX = "/mapsindoors"
"""Where Airflow's API server serves the pages, see :mod:`airflow_provider.mapsindoors.plugin`."""

PAGE_XCOM = "plan_page"
"""Key of the XCom that says where a task's page is, and of which plan it must be."""


class MapsIndoorsPlanLink(BaseOperatorLink):
    """The page that shows a sync's plan, served by Airflow to those who may see the DAG."""

    name = "Plan"

    @property
    def xcom_key(self) -> str:
        """Key of the XCom that holds the address, for tasks that ask somebody to look at the plan."""
        return "plan_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Give the page's address, empty when there is no page."""
        if not getattr(operator, PAGE_XCOM, ""):
            return ""
        from airflow.configuration import conf

        base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        task = {name: getattr(ti_key, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
        return f"{base}{PREFIX}/plan?{urlencode(task)}"


def record_page(operator: BaseOperator, context: Context, plan_path: str, fingerprint: str) -> None:
    """Note where the page of a plan is, for the link and for who serves it."""
    note = f"{page_path(plan_path)}#{fingerprint}"
    setattr(operator, PAGE_XCOM, note)
    if task_instance := context.get("ti"):
        task_instance.xcom_push(PAGE_XCOM, note)


def page_path(plan_output: str) -> str:
    """Give where the page of a plan is: beside it, ending in ``.html``."""
    return f"{plan_output.removesuffix('.json')}.html"
