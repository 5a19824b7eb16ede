"""Links from a task in Airflow's UI to the page that the task has recorded: of a plan, or of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider.core.pages.page import PLAN, REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseOperator

PREFIX = "/digital-twin"
"""Path on Airflow's API server, below its base URL, from which pages are served."""


class PageLink(BaseOperatorLink):
    """Base of the links to recorded pages, which Airflow serves to users who may read the DAG's XComs.

    :cvar kind: one of :data:`airflow_provider.core.pages.page.KINDS`.
    """

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """The label of the button."""
        return self.kind.capitalize()

    @property
    def xcom_key(self) -> str:
        """Key of the XCom with the page's URL."""
        return f"{self.kind}_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the page's URL; empty when the task has recorded no page."""
        return page_url(self.kind, ti_key) if getattr(operator, page_key(self.kind), "") else ""


class PlanLink(PageLink):
    """Link to the page of a task's plan."""

    kind = PLAN


class ReportLink(PageLink):
    """Link to the page of a task's report."""

    kind = REPORT


def page_key(kind: str) -> str:
    """Return the key of the XCom of a recorded page, also the name of an attribute of the operator."""
    return f"{kind}_page"


def page_url(kind: str, task: Any) -> str:
    """Return the path of a recorded page on Airflow's host.

    :param kind: one of :data:`airflow_provider.core.pages.page.KINDS`.
    :param task: the task instance, or its key.
    """
    from airflow.configuration import conf

    base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    ids = {name: getattr(task, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
    return f"{base}{PREFIX}/{kind}?{urlencode(ids)}"


def record_page(
    operator: BaseOperator, context: Mapping[str, Any], kind: str, path: str, fingerprint: str
) -> None:
    """Record the location of a page, for the link and for the API server that serves it.

    :param operator: the task's operator.
    :param context: the task's context.
    :param kind: one of :data:`airflow_provider.core.pages.page.KINDS`.
    :param path: path or URL of the page.
    :param fingerprint: what the page begins with, see :func:`airflow_provider.core.pages.page.page_prefix`.
    """
    from airflow_provider.core.files.storage import absolute

    # The API server reads it, whose working folder may be another one.
    location = f"{absolute(path)}#{fingerprint}"
    setattr(operator, page_key(kind), location)
    if task_instance := context.get("ti"):
        task_instance.xcom_push(page_key(kind), location)
