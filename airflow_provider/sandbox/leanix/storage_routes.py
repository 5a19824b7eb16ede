"""Routes of the emulated blob storage: another origin, which accepts signed URLs and no credentials."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider.sandbox.leanix.storage import Blob

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider.sandbox.leanix.workspace import Workspace


def storage_routes(workspace: Workspace) -> list[BaseRoute]:
    """Return the routes at the root of the storage origin."""
    handlers = StorageRoutes(workspace)
    return [
        Route("/leanix/results/{id}", handlers.result, methods=["GET"]),
        Route("/leanix/blobs/{id}", handlers.blob, methods=["GET", "PUT"]),
    ]


class StorageRoutes:
    """Handlers of the storage's requests.

    :param workspace: the workspace; a reset of it replaces its storage.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    async def result(self, request: Request) -> Response:
        """Return a result, or the part of it that a Range header selects."""
        refusal = self._refusal(request)
        if refusal:
            return refusal
        run = self.workspace.machine.runs.get(request.path_params["id"])
        if run is None or run.result is None:
            return PlainTextResponse("BlobNotFound", 404)
        self.workspace.count_rows(1)
        return ranged(run.result, request.headers.get("range"))

    async def blob(self, request: Request) -> Response:
        """Store a block blob, a block, or a list of blocks; return a stored blob."""
        refusal = self._refusal(request)
        if refusal:
            return refusal
        blob = self.workspace.storage.blobs.get(request.path_params["id"])
        if blob is None:
            return PlainTextResponse("BlobNotFound", 404)
        if request.method == "GET":
            if blob.data is None:
                return PlainTextResponse("BlobNotFound", 404)
            return ranged(blob.data, request.headers.get("range"))
        return _put(blob, request, await request.body())

    def _refusal(self, request: Request) -> Response | None:
        if "authorization" in request.headers or "cookie" in request.headers:
            return PlainTextResponse("InvalidAuthenticationInfo: a signed link takes no credentials", 400)
        if not self.workspace.storage.is_signed(request.url.path, request.query_params):
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


def ranged(data: bytes, header: str | None) -> Response:
    """Return a response with bytes, or with the range of them that a Range header selects.

    :param header: ``bytes=a-b``, ``bytes=a-`` or ``bytes=-n``; None selects all bytes.
    """
    headers = {"accept-ranges": "bytes", "etag": f'"{hashlib.sha256(data).hexdigest()[:16]}"'}
    if not header or not header.startswith("bytes="):
        return Response(data, media_type="application/json", headers=headers)
    first, _, last = header[6:].partition("-")
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, media_type="application/json", headers=headers)
