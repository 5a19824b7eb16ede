"""One name for each thing of the four systems, whoever names it: the URIs of assets.

Airflow normalises every asset's URI with the function for its scheme, also while it reads DAG files, so
nothing here reads a connection or sends a request.
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
    """Give the one spelling of a URI: host in lower case without user and port 443, the shortest path.

    :param parts: the URI; of any of the four schemes. An AmigoCloud path may have the API's own beginning
        (``/api/v1/users/123``).
    :raises ValueError: when it names nothing of the system; says what it should look like. So does a query,
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
    """Name a project or dataset of AmigoCloud; no connection is read.

    :param project: the project's id.
    :param dataset: the dataset's id.
    :param host: a host name, or a base URL whose host is meant.
    :param extra: fixed facts about the asset.
    :param watchers: what tells that the asset has changed.
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
    """Name a MapsIndoors solution or an object in it; no connection is read.

    :param solution: the solution's id. Not its API key: asset names are for everybody to see.
    :param geodata: the object's id.
    :param host: a host name, or a base URL whose host is meant.
    :param extra: fixed facts about the asset.
    :param watchers: what tells that the asset has changed.
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
    """Name a space of Altair IoT Studio, one of its Things or one of its categories; no connection is read.

    :param space: the space's id.
    :param thing_id: the Thing's id.
    :param category: the category's name, instead of a Thing.
    :param host: a host name, or a base URL whose host is meant.
    :param extra: fixed facts about the asset.
    :param watchers: what tells that the asset has changed.
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
    """Name a connector of a LeanIX workspace, or its fact sheets; no connection is read.

    :param host: the workspace's host, ``<subdomain>.leanix.net``, or a base URL whose host is meant.
    :param connector_type: with ``connector_id``, which runs are meant.
    :param connector_id: see there.
    :param factsheets: only fact sheets of this type; all without a connector either.
    :param extra: fixed facts about the asset.
    :param watchers: what tells that the asset has changed.
    """
    if connector_type is not None and connector_id is not None:
        path: list[Any] = ["connectors", connector_type, connector_id]
    else:
        path = ["factsheets"] + ([factsheets] if factsheets is not None else [])
    return _asset("leanix", host, path, extra, watchers)


def _asset(
    scheme: str,
    host: str,
    path: Sequence[Any],
    extra: dict[str, JsonValue] | None,
    watchers: Sequence[AssetWatcher],
) -> Asset:
    from airflow.sdk import Asset

    place = urlsplit(host if "://" in host else f"//{host}").netloc
    uri = f"{scheme}://{place}/" + "/".join(quote(str(segment), safe="") for segment in path)
    clean = normalize(urlsplit(uri)).geturl()
    return Asset(name=clean, uri=clean, group=scheme, extra=extra or {}, watchers=list(watchers))


def convert_to_openlineage(asset: Asset, lineage_context: Any) -> Any:  # noqa: ARG001 - Airflow gives it
    """Give the OpenLineage dataset of an asset: its host is the namespace, its path the name.

    Airflow calls it only where the openlineage provider is installed.
    """
    from openlineage.client.event_v2 import Dataset  # type: ignore[import-not-found,unused-ignore]

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.lstrip("/"))
