"""Links: from a task in Airflow's UI to the page of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider.core.sync.page import page_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

PREFIX = "/mapsindoors"
"""Path of the pages on Airflow's API server, see :mod:`airflow_provider.mapsindoors.plugin`."""

PAGE_XCOM = "plan_page"
"""Key of the XCom with the location of a task's page and the fingerprint of its plan."""


class MapsIndoorsPlanLink(BaseOperatorLink):
    """Link to the page of a sync's plan, which Airflow serves to users with access to the DAG."""

    name = "Plan"

    @property
    def xcom_key(self) -> str:
        """Key of the XCom with the page's URL, for tasks that request an approval of the plan."""
        return "plan_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the page's URL; empty when there is no page."""
        if not getattr(operator, PAGE_XCOM, ""):
            return ""
        from airflow.configuration import conf

        base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        task = {name: getattr(ti_key, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
        return f"{base}{PREFIX}/plan?{urlencode(task)}"


def record_page(operator: BaseOperator, context: Context, plan_path: str, fingerprint: str) -> None:
    """Record the location of a plan's page for the link and for the plugin that serves it.

    :param operator: the task's operator.
    :param context: the task's context.
    :param plan_path: path or URL of the plan's JSON.
    :param fingerprint: fingerprint of the plan.
    """
    location = f"{page_path(plan_path)}#{fingerprint}"
    setattr(operator, PAGE_XCOM, location)
    if task_instance := context.get("ti"):
        task_instance.xcom_push(PAGE_XCOM, location)
