"""Plugin: the page "Digital twin" in Airflow's navigation, and the pages that tasks have recorded."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider.core.pages.links import PREFIX

FORMER_PREFIX = "/mapsindoors"
"""Path of the pages of plans in the XComs of earlier releases."""

_ROUTE = PREFIX.removeprefix("/")


async def serve(scope: Any, receive: Any, send: Any) -> None:
    """Respond to a request; the first request creates the application, and most processes get none."""
    from airflow_provider.ui.pages import application

    await application()(scope, receive, send)


class DigitalTwinPlugin(AirflowPlugin):
    """Airflow plugin that adds the pages to the API server and to the navigation.

    Its addresses are relative, so that they are below the base URL of Airflow's UI.
    """

    name = "digital_twin"
    fastapi_apps = [  # noqa: RUF012
        {"app": serve, "url_prefix": prefix, "name": "Digital twin"} for prefix in (PREFIX, FORMER_PREFIX)
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Digital twin",
            "href": f"{_ROUTE}/",
            "url_route": _ROUTE,
            "destination": "nav",
            "icon": f"{_ROUTE}/icon.svg",
            "icon_dark_mode": f"{_ROUTE}/icon-dark.svg",
        }
    ]
