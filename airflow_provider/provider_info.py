"""Provider info: connection types with their forms, hooks, operators, triggers, asset URIs and links.

Airflow reads it in every process, so this module imports nothing.
"""

from __future__ import annotations

from typing import Any

_Field = dict[str, Any]

_SYSTEMS = {
    "mapsindoors": ("MapsIndoors", "MapsIndoorsHook", "https://docs.mapsindoors.com"),
    "amigocloud": ("AmigoCloud", "AmigoCloudHook", "https://help.amigocloud.com"),
    "iotstudio": ("Altair IoT Studio", "IoTStudioHook", "https://help.altair.com/altair-iot-studio"),
    "leanix": ("LeanIX", "LeanIXHook", "https://help.sap.com/docs/leanix"),
}
"""Title, hook and documentation of each system, by the name of its package and connection type."""


def _field(label: str, kind: str = "string", *, description: str = "", **schema: Any) -> _Field:
    field: _Field = {"label": label, "schema": {"type": [kind, "null"], **schema}}
    if description:
        field["description"] = description
    return field


def _common_fields() -> dict[str, _Field]:
    return {
        "timeout": _field(
            "Read timeout",
            "number",
            default=60,
            description="Seconds that a reply may stall before the request fails.",
        ),
        "connect_timeout": _field("Connect timeout", "number", default=10, description="Seconds."),
        **_limit_fields(),
        "verify": _field(
            "Verify TLS",
            description="true, false, or the path of a CA bundle. Leave empty for true.",
        ),
        "allow_http": _field(
            "Allow plain http",
            "boolean",
            default=False,
            description="Only for hosts other than this machine.",
        ),
        "allowed_hosts": _field(
            "Allowed download hosts",
            description="Further hosts that results may come from, blank-separated (name or name:port).",
        ),
    }


def _limit_fields() -> dict[str, _Field]:
    return {
        "attempts": _field(
            "Attempts", "integer", description="Attempts of a request. Empty: what fits the service."
        ),
        "patience": _field(
            "Patience",
            "number",
            description="Seconds in which attempts of a request may start. Empty: what fits the service.",
        ),
        "max_concurrency": _field(
            "Concurrent requests",
            "integer",
            description="Requests at once of all tasks that use the connection. Empty: no limit.",
        ),
        "rate_limit_store": _field(
            "Rate limit store",
            format="password",
            description="Who shares the request budget. Empty: all processes of the machine. Or: process, a"
            " folder, a redis:// URL, or the id of a Redis connection.",
        ),
        "share_tokens": _field(
            "Share tokens",
            "boolean",
            description="Use one access token for all processes that share the request budget. Empty: true,"
            " and false with Redis.",
        ),
    }


def _connection_type(
    name: str,
    *,
    fields: dict[str, _Field],
    labels: dict[str, str],
    placeholders: dict[str, str],
) -> dict[str, Any]:
    """Describe a connection type: its own fields and the common ones; a login without a label is hidden."""
    title, hook, _ = _SYSTEMS[name]
    hidden = ["schema", "port", *(["login"] if "login" not in labels else []), "extra"]
    return {
        "connection-type": name,
        "hook-class-name": f"airflow_provider.{name}.hooks.{hook}",
        "hook-name": title,
        "conn-fields": {**fields, **_common_fields()},
        "ui-field-behaviour": {
            "hidden-fields": hidden,
            "relabeling": labels,
            "placeholders": placeholders,
        },
    }


_MAPSINDOORS = _connection_type(
    "mapsindoors",
    fields={
        "api_key": _field(
            "Solution API key", format="password", description="API key or id of the solution. Required."
        ),
        "grant_type": _field("Grant type", default="password", enum=["password", "client_credentials", None]),
        "auth_url": _field("Login URL", description="Empty: https://auth.mapsindoors.com"),
        "scope": _field("OAuth scope"),
        "requests_per_second": _field(
            "Requests per second",
            "number",
            default=10,
            description="The service allows 10 a second and solution.",
        ),
    },
    labels={"login": "User name or client id", "password": "Password or client secret"},
    placeholders={"host": "https://integration.mapsindoors.com", "login": "etl@example.com"},
)

_AMIGOCLOUD = _connection_type(
    "amigocloud",
    fields={
        "project_url": _field(
            "Project URL", description="users/123/projects/1234; needed with a project token."
        ),
        "websocket_url": _field("Websocket URL", description="Empty: the host's origin with /v2_socket.io/"),
    },
    labels={"password": "API token"},
    placeholders={"host": "https://app.amigocloud.com/api/v1"},
)

_IOTSTUDIO = _connection_type(
    "iotstudio",
    fields={
        "space": _field("Space", description="Id of the space that holds the Things."),
        "scopes": _field("OAuth scopes", description="Blank-separated, such as: thing category"),
        "access_token": _field(
            "Access token", format="password", description="Instead of client id and client secret."
        ),
        "api_preview": _field("API preview", description="Sent as 'Prefer: preview=...', such as 2024.1"),
        "revoke_on_close": _field(
            "Revoke the token on close", "boolean", default=False, description="Other tasks may be using it."
        ),
        "mqtt_url": _field(
            "MQTT broker", description="For watchers with mqtt=True, such as mqtts://broker.example.com:8883"
        ),
        "mqtt_username": _field("MQTT user name", description="Of a Thing's or category's MQTT credentials."),
        "mqtt_password": _field("MQTT password", format="password"),
        "mqtt_topics": _field(
            "MQTT topics",
            description="Blank-separated, with {space}, {category}, {thing_id}. Empty: the documented ones.",
        ),
    },
    labels={"login": "Client id", "password": "Client secret"},
    placeholders={"host": "https://api.swx.altairone.com", "login": "app::01H..."},
)

_LEANIX = _connection_type(
    "leanix",
    fields={
        "auth_url": _field("Login URL", description="Empty: the host"),
        "workspace_id": _field("Workspace id", description="Checked against the token, when given."),
    },
    labels={"password": "API token"},
    placeholders={"host": "https://<subdomain>.leanix.net"},
)


def _modules(kind: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": title, "python-modules": [f"airflow_provider.{package}.{kind}"]}
        for package, (title, _, _) in _SYSTEMS.items()
    ]


_WAREHOUSE = "Warehouse files"
_PROJECT = "airflow-provider-digital-twin/airflow-provider-digital-twin"
_DOCUMENTATION = f"https://github.com/{_PROJECT}/blob/main/docs/index.md"
_LOGOS = f"https://raw.githubusercontent.com/{_PROJECT}/main/docs/assets/logos"


_LINKS = [
    "airflow_provider.core.pages.links.PlanLink",
    "airflow_provider.core.pages.links.ReportLink",
    "airflow_provider.leanix.links.LeanIXSyncLogLink",
]
"""Links of tasks."""


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as ``airflow providers get`` shows it."""
    return {
        "package-name": "airflow-provider-digital-twin",
        "name": "Digital twin: MapsIndoors, AmigoCloud, Altair IoT Studio, LeanIX",
        "description": (
            "Keeps indoor maps, field data, things and the application landscape in step with a warehouse."
        ),
        "integrations": [
            {
                "integration-name": title,
                "external-doc-url": url,
                "logo": f"{_LOGOS}/{name}.svg",
                "tags": ["service"],
            }
            for name, title, url in [
                *((name, title, url) for name, (title, _, url) in _SYSTEMS.items()),
                ("warehouse", _WAREHOUSE, _DOCUMENTATION),
            ]
        ],
        "hooks": _modules("hooks"),
        "operators": [
            *_modules("operators"),
            {"integration-name": _WAREHOUSE, "python-modules": ["airflow_provider.warehouse.operators"]},
        ],
        "sensors": _modules("sensors"),
        "triggers": _modules("triggers"),
        "asset-uris": [
            {
                "schemes": [package],
                "handler": "airflow_provider.assets.normalize",
                "factory": f"airflow_provider.assets.{package}_asset",
                "to_openlineage_converter": "airflow_provider.assets.convert_to_openlineage",
            }
            for package in _SYSTEMS
        ],
        "extra-links": _LINKS,
        "connection-types": [_MAPSINDOORS, _AMIGOCLOUD, _IOTSTUDIO, _LEANIX],
    }
