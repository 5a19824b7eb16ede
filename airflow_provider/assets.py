"""Asset URIs: one normalised URI for each object of the four services.

Airflow normalises every asset's URI with the function for its scheme, also while it parses DAG files, so
this module reads no connection and sends no request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetWatcher
    from pydantic import JsonValue

AMIGOCLOUD = "amigocloud://<host>/projects/<id>[/datasets/<id>]"
MAPSINDOORS = "mapsindoors://<host>/solutions/<id>[/geodata/<id>]"
IOTSTUDIO = "iotstudio://<host>/spaces/<id>[/things/<id> or /categories/<name>]"
LEANIX = "leanix://<host>/connectors/<type>/<id> or /factsheets[/<type>]"

_NAME = r"[^/?#]+"
_PATHS = {
    "amigocloud": (
        rf"(?:/api/v1)?(?:/(?:users|organizations)/{_NAME})?(/projects/\d+(?:/datasets/\d+)?)",
        AMIGOCLOUD,
    ),
    "mapsindoors": (rf"(/solutions/{_NAME}(?:/geodata/{_NAME})?)", MAPSINDOORS),
    "iotstudio": (rf"(/spaces/{_NAME}(?:/(?:things|categories)/{_NAME})?)", IOTSTUDIO),
    "leanix": (rf"(/connectors/{_NAME}/{_NAME}|/factsheets(?:/{_NAME})?)", LEANIX),
}


def normalize(parts: SplitResult) -> SplitResult:
    """Return the normal form of an asset URI: lower-case host without user and port 443, shortest path.

    :param parts: the URI, of one of the four schemes. An AmigoCloud path may begin with the API's own prefix
        (``/api/v1/users/123``).
    :raises ValueError: when the URI has not the form of its scheme, which the message shows, or has a query,
        which could hold a token.
    """
    pattern, form = _PATHS[parts.scheme]
    found = re.fullmatch(pattern, parts.path.rstrip("/"))
    if not parts.hostname or found is None or parts.query:
        raise ValueError(f"an asset of {parts.scheme} is {form}")
    port = f":{parts.port}" if parts.port and parts.port != 443 else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return SplitResult(parts.scheme, f"{host}{port}", found.group(1), "", "")


def amigocloud_asset(
    *,
    project: int | str,
    dataset: int | str | None = None,
    host: str = "app.amigocloud.com",
    extra: dict[str, JsonValue] | None = None,
    watchers: Sequence[AssetWatcher] = (),
) -> Asset:
    """Return the asset of an AmigoCloud project or dataset, without reading a connection.

    :param project: the project's id.
    :param dataset: the dataset's id.
    :param host: a host name, or a base URL on that host.
    :param extra: fixed facts about the asset.
    :param watchers: watchers that fire when the asset has changed.
    """
    path = ["projects", project] + (["datasets", dataset] if dataset is not None else [])
    return _asset("amigocloud", host, path, extra, watchers)


def mapsindoors_asset(
    *,
    solution: str,
    geodata: str | None = None,
    host: str = "integration.mapsindoors.com",
    extra: dict[str, JsonValue] | None = None,
    watchers: Sequence[AssetWatcher] = (),
) -> Asset:
    """Return the asset of a MapsIndoors solution or an object in it, without reading a connection.

    :param solution: the solution's id, never its API key: every user of Airflow can read asset names.
    :param geodata: the object's id.
    :param host: a host name, or a base URL on that host.
    :param extra: fixed facts about the asset.
    :param watchers: watchers that fire when the asset has changed.
    """
    path = ["solutions", solution] + (["geodata", geodata] if geodata is not None else [])
    return _asset("mapsindoors", host, path, extra, watchers)


def iotstudio_asset(
    *,
    space: str,
    thing_id: str | None = None,
    category: str | None = None,
    host: str = "api.swx.altairone.com",
    extra: dict[str, JsonValue] | None = None,
    watchers: Sequence[AssetWatcher] = (),
) -> Asset:
    """Return the asset of an IoT Studio space, a Thing or a category, without reading a connection.

    :param space: the space's id.
    :param thing_id: the Thing's id.
    :param category: the category's name, instead of a Thing.
    :param host: a host name, or a base URL on that host.
    :param extra: fixed facts about the asset.
    :param watchers: watchers that fire when the asset has changed.
    """
    path = ["spaces", space]
    for kind, name in (("things", thing_id), ("categories", category)):
        path += [kind, name] if name is not None else []
    return _asset("iotstudio", host, path, extra, watchers)


def leanix_asset(
    *,
    host: str,
    connector_type: str | None = None,
    connector_id: str | None = None,
    factsheets: str | None = None,
    extra: dict[str, JsonValue] | None = None,
    watchers: Sequence[AssetWatcher] = (),
) -> Asset:
    """Return the asset of a LeanIX connector or of fact sheets, without reading a connection.

    :param host: the workspace's host, ``<subdomain>.leanix.net``, or a base URL on that host.
    :param connector_type: type of the connector whose runs the asset stands for; needs ``connector_id``.
    :param connector_id: id of that connector.
    :param factsheets: type of the fact sheets; without it and without a connector, all fact sheets.
    :param extra: fixed facts about the asset.
    :param watchers: watchers that fire when the asset has changed.
    :raises ValueError: when a part is empty or missing, and for a connector together with fact sheets.
    """
    if connector_type is None and connector_id is None:
        path: list[Any] = ["factsheets"] + ([factsheets] if factsheets is not None else [])
    elif factsheets is None:
        path = ["connectors", connector_type, connector_id]
    else:
        raise ValueError(f"an asset of leanix is {LEANIX}, not both")
    return _asset("leanix", host, path, extra, watchers)


def _asset(
    scheme: str,
    host: str,
    path: Sequence[Any],
    extra: dict[str, JsonValue] | None,
    watchers: Sequence[AssetWatcher],
) -> Asset:
    from airflow.sdk import Asset

    if any(segment is None or not str(segment).strip() for segment in (host, *path)):
        raise ValueError(f"an asset of {scheme} is {_PATHS[scheme][1]}; a part of it is empty or None")
    netloc = urlsplit(host if "://" in host else f"//{host}").netloc
    given = f"{scheme}://{netloc}/" + "/".join(quote(str(segment), safe="") for segment in path)
    uri = normalize(urlsplit(given)).geturl()
    return Asset(name=uri, uri=uri, group=scheme, extra=extra or {}, watchers=list(watchers))


def convert_to_openlineage(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - Airflow passes it
    """Return the OpenLineage dataset of an asset: scheme and host as namespace, the path as name.

    Airflow calls this function only where the openlineage provider is installed.

    :param asset: an asset with a normalised URI.
    :param lineage_context: Airflow's lineage context; not used.
    """
    from openlineage.client.event_v2 import Dataset  # type: ignore[import-not-found,unused-ignore]

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.lstrip("/"))
