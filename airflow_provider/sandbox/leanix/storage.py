"""The emulated blob storage: another origin, signed links, and no bearer tokens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.leanix.runs import Run, stamp

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.leanix.service import LeanIXService


@dataclass
class Blob:
    """A file in the storage.

    :param staged: blocks that were sent but not committed yet.
    """

    expires: float
    data: bytes | None = None
    staged: dict[str, bytes] = field(default_factory=dict)


class Storage:
    """Results and uploads of one workspace, behind links that carry their own signature."""

    def __init__(self, service: LeanIXService) -> None:
        self.service = service
        self.blobs: dict[str, Blob] = {}
        self._secret = secrets.token_hex(16)

    @staticmethod
    def routes(service: LeanIXService) -> list[BaseRoute]:
        """Routes at the root of the storage origin; they follow a reset of the service."""

        async def result(request: Request) -> Response:
            return service.storage.get_result(request)

        async def blob(request: Request) -> Response:
            return await service.storage.handle_blob(request)

        return [
            Route("/leanix/results/{id}", result, methods=["GET"]),
            Route("/leanix/blobs/{id}", blob, methods=["GET", "PUT"]),
        ]

    def result_link(self, run: Run) -> str:
        """Give a link to a run's result that is good for a while."""
        return self._link(f"/leanix/results/{run.id}", self.service.now() + self.service.link_seconds)

    def new_blob(self) -> dict[str, Any]:
        """Make an empty blob; give the reply of ``/storages/azure``."""
        name = secrets.token_hex(12)
        expires = self.service.now() + 3600
        self.blobs[name] = Blob(expires)
        return {"expireAt": stamp(expires), "SAS": self._link(f"/leanix/blobs/{name}", expires)}

    def read(self, url: str) -> bytes:
        """Give the bytes behind a link to an upload, as a run fetches them; raises ``LookupError``."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        blob = self.blobs.get(parts.path.rpartition("/")[2])
        if blob is None or blob.data is None or not self._signed(parts.path, query):
            raise LookupError("the input could not be downloaded")
        return blob.data

    def get_result(self, request: Request) -> Response:
        """Serve a result, or the part of it that a Range asks for."""
        refused = self._refuse(request)
        if refused:
            return refused
        run = self.service.machine.runs.get(request.path_params["id"])
        if run is None or run.result is None:
            return PlainTextResponse("BlobNotFound", 404)
        self.service.around.counters.rows_served[self.service.name] += 1
        return ranged(run.result, request.headers.get("range"))

    async def handle_blob(self, request: Request) -> Response:
        """Take a block blob, a block, or a list of blocks; give a blob back."""
        refused = self._refuse(request)
        if refused:
            return refused
        blob = self.blobs.get(request.path_params["id"])
        if blob is None:
            return PlainTextResponse("BlobNotFound", 404)
        if request.method == "GET":
            if blob.data is None:
                return PlainTextResponse("BlobNotFound", 404)
            return ranged(blob.data, request.headers.get("range"))
        return _put(blob, request, await request.body())

    def _link(self, path: str, expires: float) -> str:
        until = str(int(expires))
        return f"{self.service.around.storage_origin}{path}?se={until}&sp=r&sig={self._sign(path, until)}"

    def _sign(self, path: str, until: str) -> str:
        return hashlib.sha256(f"{self._secret}{path}{until}".encode()).hexdigest()

    def _signed(self, path: str, query: Any) -> bool:
        until = query.get("se", "")
        good = query.get("sig") == self._sign(path, until)
        return good and float(until) > self.service.now()

    def _refuse(self, request: Request) -> Response | None:
        if "authorization" in request.headers or "cookie" in request.headers:
            return PlainTextResponse("InvalidAuthenticationInfo: a signed link takes no credentials", 400)
        if not self._signed(request.url.path, request.query_params):
            return PlainTextResponse("AuthenticationFailed: the signature is wrong or expired", 403)
        return None


def _put(blob: Blob, request: Request, body: bytes) -> Response:
    comp = request.query_params.get("comp")
    if comp == "block":
        blob.staged[request.query_params.get("blockid", "")] = body
        return Response(status_code=201)
    if comp == "blocklist":
        names = [part.partition("<")[0] for part in body.decode().split("<Latest>")[1:]]
        if any(name not in blob.staged for name in names):
            return PlainTextResponse("InvalidBlockList", 400)
        blob.data = b"".join(blob.staged[name] for name in names)
        blob.staged.clear()
        return Response(status_code=201)
    if request.headers.get("x-ms-blob-type") != "BlockBlob":
        return PlainTextResponse("MissingRequiredHeader: x-ms-blob-type", 400)
    blob.data = body
    return Response(status_code=201)


def ranged(data: bytes, wanted: str | None) -> Response:
    """Answer with bytes, or with the range ``bytes=a-b`` of them."""
    headers = {"accept-ranges": "bytes", "etag": f'"{hashlib.sha256(data).hexdigest()[:16]}"'}
    if not wanted or not wanted.startswith("bytes="):
        return Response(data, media_type="application/json", headers=headers)
    first, _, last = wanted[6:].partition("-")
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, media_type="application/json", headers=headers)
