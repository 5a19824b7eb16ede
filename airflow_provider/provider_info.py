"""Provider info: connection types with their forms, hooks, operators, triggers, asset URIs and links.

Airflow reads it in every process, so this module imports nothing.
"""

from __future__ import annotations

from typing import Any

_Field = dict[str, Any]


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
        "attempts": _field(
            "Attempts", "integer", description="Attempts of a request. Empty: what fits the service."
        ),
        "patience": _field(
            "Patience",
            "number",
            description="Seconds in which attempts of a request may start. Empty: what fits the service.",
        ),
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
        **_sharing_fields(),
    }


def _sharing_fields() -> dict[str, _Field]:
    return {
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


_MAPSINDOORS: dict[str, Any] = {
    "connection-type": "mapsindoors",
    "hook-class-name": "airflow_provider.mapsindoors.hooks.MapsIndoorsHook",
    "hook-name": "MapsIndoors",
    "conn-fields": {
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
        **_common_fields(),
    },
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"login": "User name or client id", "password": "Password or client secret"},
        "placeholders": {"host": "https://integration.mapsindoors.com", "login": "etl@example.com"},
    },
}

_AMIGOCLOUD: dict[str, Any] = {
    "connection-type": "amigocloud",
    "hook-class-name": "airflow_provider.amigocloud.hooks.AmigoCloudHook",
    "hook-name": "AmigoCloud",
    "conn-fields": {
        "project_url": _field(
            "Project URL", description="users/123/projects/1234; needed with a project token."
        ),
        "max_concurrency": _field("Concurrent requests", "integer", default=4),
        "websocket_url": _field("Websocket URL", description="Empty: the host's origin with /v2_socket.io/"),
        **_common_fields(),
    },
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login", "extra"],
        "relabeling": {"password": "API token"},
        "placeholders": {"host": "https://app.amigocloud.com/api/v1"},
    },
}

_IOTSTUDIO: dict[str, Any] = {
    "connection-type": "iotstudio",
    "hook-class-name": "airflow_provider.iotstudio.hooks.IoTStudioHook",
    "hook-name": "Altair IoT Studio",
    "conn-fields": {
        "space": _field("Space", description="Id of the space that holds the Things."),
        "scopes": _field("OAuth scopes", description="Blank-separated, such as: thing category"),
        "access_token": _field(
            "Access token", format="password", description="Instead of client id and client secret."
        ),
        "api_preview": _field("API preview", description="Sent as 'Prefer: preview=...', such as 2024.1"),
        "revoke_on_close": _field(
            "Revoke the token on close", "boolean", default=False, description="Other tasks may be using it."
        ),
        **_common_fields(),
    },
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"login": "Client id", "password": "Client secret"},
        "placeholders": {"host": "https://api.swx.altairone.com", "login": "app::01H..."},
    },
}

_LEANIX: dict[str, Any] = {
    "connection-type": "leanix",
    "hook-class-name": "airflow_provider.leanix.hooks.LeanIXHook",
    "hook-name": "LeanIX",
    "conn-fields": {
        "auth_url": _field("Login URL", description="Empty: the host"),
        "workspace_id": _field("Workspace id", description="Checked against the token, when given."),
        **_common_fields(),
    },
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login", "extra"],
        "relabeling": {"password": "API token"},
        "placeholders": {"host": "https://<subdomain>.leanix.net"},
    },
}

_SYSTEMS = {
    "MapsIndoors": ("mapsindoors", "https://docs.mapsindoors.com"),
    "AmigoCloud": ("amigocloud", "https://help.amigocloud.com"),
    "Altair IoT Studio": ("iotstudio", "https://help.altair.com/altair-iot-studio"),
    "LeanIX": ("leanix", "https://help.sap.com/docs/leanix"),
}


def _modules(kind: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": title, "python-modules": [f"airflow_provider.{package}.{kind}"]}
        for title, (package, _) in _SYSTEMS.items()
    ]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as ``airflow providers get`` shows it."""
    return {
        "package-name": "airflow-provider-digital-twin",
        "name": "Digital twin: MapsIndoors, AmigoCloud, Altair IoT Studio, LeanIX",
        "description": (
            "Keeps indoor maps, field data, things and the application landscape in step with a warehouse."
        ),
        "integrations": [
            {"integration-name": title, "external-doc-url": url, "tags": ["service"]}
            for title, (_, url) in _SYSTEMS.items()
        ],
        "hooks": _modules("hooks"),
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "triggers": _modules("triggers"),
        "asset-uris": [
            {
                "schemes": [package],
                "handler": "airflow_provider.assets.normalize",
                "factory": f"airflow_provider.assets.{package}_asset",
                "to_openlineage_converter": "airflow_provider.assets.convert_to_openlineage",
            }
            for package, _ in _SYSTEMS.values()
        ],
        "extra-links": [
            "airflow_provider.leanix.links.LeanIXSyncLogLink",
            "airflow_provider.mapsindoors.links.MapsIndoorsPlanLink",
        ],
        "connection-types": [_MAPSINDOORS, _AMIGOCLOUD, _IOTSTUDIO, _LEANIX],
    }
