"""Blob storage of the emulated workspace: uploaded files and signed URLs."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider.sandbox.leanix.runs import Run, timestamp
from airflow_provider.sandbox.service import Surroundings

_UPLOAD_SECONDS = 3600.0
"""Seconds for which an upload URL is valid."""


@dataclass
class Blob:
    """A file in the storage.

    :param expires: time in seconds since the epoch at which the blob's URL expires.
    :param data: content of the file; None before the upload.
    :param staged: uploaded blocks that are not committed yet, by their ids.
    """

    expires: float
    data: bytes | None = None
    staged: dict[str, bytes] = field(default_factory=dict)


class BlobStorage:
    """Results and uploads of one workspace, behind URLs that carry their own signature.

    :param around: clock and origin of the sandbox.
    """

    def __init__(self, around: Surroundings) -> None:
        self.blobs: dict[str, Blob] = {}
        self._around = around
        self._secret = secrets.token_hex(16)

    def result_url(self, run: Run, seconds: float) -> str:
        """Return a URL of a run's result that is valid for a number of seconds."""
        return self._signed_url(f"/leanix/results/{run.id}", self._now() + seconds)

    def create_blob(self) -> dict[str, Any]:
        """Create an empty blob; return the reply of ``/storages/azure``."""
        name = secrets.token_hex(12)
        expires = self._now() + _UPLOAD_SECONDS
        self.blobs[name] = Blob(expires)
        return {"expireAt": timestamp(expires), "SAS": self._signed_url(f"/leanix/blobs/{name}", expires)}

    def read(self, url: str) -> bytes:
        """Return the content behind the URL of an upload.

        :raises LookupError: when there is none, or the signature is invalid.
        """
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        blob = self.blobs.get(parts.path.rpartition("/")[2])
        if blob is None or blob.data is None or not self.is_signed(parts.path, query):
            raise LookupError("the input could not be downloaded")
        return blob.data

    def is_signed(self, path: str, query: Mapping[str, str]) -> bool:
        """Return whether a query has a valid signature of a path that has not expired."""
        expires = query.get("se", "")
        valid = query.get("sig") == self._signature(path, expires)
        return valid and float(expires) > self._now()

    def _signed_url(self, path: str, expires: float) -> str:
        until = str(int(expires))
        return f"{self._around.storage_origin}{path}?se={until}&sp=r&sig={self._signature(path, until)}"

    def _signature(self, path: str, expires: str) -> str:
        return hashlib.sha256(f"{self._secret}{path}{expires}".encode()).hexdigest()

    def _now(self) -> float:
        return self._around.clock.now()
