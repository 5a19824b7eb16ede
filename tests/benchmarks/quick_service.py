"""AmigoCloud's emulation for benchmarks: large datasets, and replies that cost no time of SQLite."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider.sandbox.amigocloud import AmigoCloudService, seed
from airflow_provider.sandbox.amigocloud.sql.store import Dataset

LEFT_OUT = ("category", "power_w", "installed_on", "inspected_at", "wkb_geometry")
COLUMNS = [column for column in seed.ASSET_COLUMNS if column["name"] not in LEFT_OUT]


def add_dataset(service: AmigoCloudService, number: int, count: int) -> None:
    """Add a dataset of assets with keys that are hashes, as the service makes them.

    :param service: the service of the sandbox.
    :param number: id of the dataset.
    :param count: number of its rows.
    """
    columns = [dict(column) for column in COLUMNS]
    service.store.add(Dataset(number, seed.PROJECT, f"measured {number}", columns), _rows(count))


def _rows(count: int) -> Iterator[dict[str, Any]]:
    block = list(seed.assets(10_000))
    for number in range(count):
        key = hashlib.md5(str(number).encode()).hexdigest()
        yield {**block[number % len(block)], "amigo_id": key, "number": number}


class QuickService(AmigoCloudService):
    """Service that answers a request that came before with the same reply.

    :cvar cached: text in the path or query of the requests that this holds for; empty for all.
    """

    cached: ClassVar[str] = ""
    replies: ClassVar[dict[str, Response]] = {}

    def _endpoint(self, level: Any, handler: Any) -> Callable[[Request], Awaitable[Response]]:
        ask = super()._endpoint(level, handler)

        async def endpoint(request: Request) -> Response:
            url = str(request.url)
            if self.cached not in url:
                return await ask(request)
            if url not in self.replies:
                self.replies[url] = await ask(request)
            return self.replies[url]

        return endpoint
