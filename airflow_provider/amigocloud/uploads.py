"""File uploads: small files in one request, larger ones in chunks that can be resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import IO, Any

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.values import read_options
from airflow_provider.core.files.reader import open_source
from airflow_provider.core.http.call import Call
from airflow_provider.errors import AmbiguousWriteError, InputError, NotFoundError, RequestRejectedError

CHUNK = 1_000_000
"""Bytes per chunk; the vendor's clients use 100,000 to 500,000."""

Send = Callable[[Call[Any]], Any]


def read_fields(options: Any, dataset: str | None) -> tuple[dict[str, str], list[str]]:
    """Return the form fields of an upload, and what is wrong with them.

    :param options: further form fields; None for none.
    :param dataset: id of the dataset whose content the file replaces; None for a new dataset.
    """
    fields, problems = read_options(options)
    if dataset is None:
        return fields, problems
    target = {"dataset_write_action": "overwrite", "dataset_id": dataset}
    problems += [
        f"'options': {name!r} is {fields[name]!r}, but 'dataset' says {value!r}; leave one of them out"
        for name, value in target.items()
        if name == "dataset_id" and fields.get(name, value) != value
    ]
    return {**target, **fields}, problems


class Chunks:
    """Resume point of an upload in chunks.

    :param upload_id: id of an upload to resume; empty for a new one.
    :param started: called with the id of an upload once it has started.
    """

    def __init__(self, upload_id: str = "", started: Callable[[str], None] | None = None) -> None:
        self._resumed, self._started = upload_id, started

    def resume(self, md5: str) -> str:
        """Return the id of the upload to resume; empty for a new one.

        :param md5: checksum of the content.
        """
        return self._resumed

    def started(self, upload_id: str) -> None:
        """Take the id of an upload that has started."""
        if self._started is not None:
            self._started(upload_id)

    def gone(self, name: str) -> None:
        """Return when an upload that the service no longer has may start over.

        :param name: name of the file.
        :raises AmbiguousWriteError: when it must not: it may have been completed.
        """
        raise AmbiguousWriteError(
            f"the upload of {name} by an earlier attempt is gone: it was completed, or it has expired;"
            " check whether the dataset exists before you upload again"
        )

    def completing(self) -> None:
        """Take note that all bytes were sent, and a dataset may exist from now on."""

    def whole(self) -> None:
        """Take note that the content is sent in one request."""


_SPARE_CHUNKS = 10
"""Maximum requests of an upload beyond twice its chunks: a service that drops them again would never end."""


def upload(send: Send, path: str, fields: Mapping[str, str], chunks: Chunks) -> str:
    """Send a file, and return the id of the job that imports it.

    :param send: sends a call and returns its result.
    :param path: any path that ``ObjectStoragePath`` accepts.
    :param fields: further form fields.
    :param chunks: where an upload in chunks resumes.
    :raises InputError: when the file does not exist or is empty.
    :raises AmbiguousWriteError: when the upload to resume is gone: it may have been completed.
    :raises RequestRejectedError: when the service does not accept further bytes.
    """
    with open_source(path, "upload") as file:
        if not file.read(1):
            raise InputError(f"'{path}' is empty; upload a file with content", "upload")
        return upload_open(send, file, path.rpartition("/")[2], fields, chunks)


def upload_open(send: Send, file: IO[bytes], name: str, fields: Mapping[str, str], chunks: Chunks) -> str:
    """Send an open file from its beginning, see :func:`upload`.

    :param name: name of the file, which tells the service the format.
    """
    file.seek(0)
    head = file.read(api.SIMPLE_UPLOAD)
    if len(head) < api.SIMPLE_UPLOAD:
        chunks.resume(hashlib.md5(head, usedforsecurity=False).hexdigest())
        chunks.whole()
        job: str = send(api.upload(name, head, fields))
        return job
    del head
    return _in_chunks(send, file, name, fields, chunks)


def _in_chunks(send: Send, file: IO[bytes], name: str, fields: Mapping[str, str], chunks: Chunks) -> str:
    md5, total = _digest(file)
    upload_id = chunks.resume(md5)
    resumed = bool(upload_id)
    offset, left = 0, 2 * (total // CHUNK) + _SPARE_CHUNKS
    while offset < total:
        file.seek(offset)
        call = api.upload_chunk(name, file.read(CHUNK), offset, total, upload_id)
        try:
            progress: api.UploadProgress = send(call)
        except NotFoundError:
            if not resumed or offset:
                raise
            chunks.gone(name)
            upload_id, resumed = "", False
            continue
        left -= 1
        if progress.offset == offset or progress.offset > total or not left:
            raise RequestRejectedError(400, "", f"the service accepts no byte after byte {offset} of {total}")
        if progress.upload_id != upload_id:
            upload_id = progress.upload_id
            chunks.started(upload_id)
        offset = progress.offset
    chunks.completing()
    job: str = send(api.complete_upload(name, upload_id, md5, fields))
    return job


def _digest(file: IO[bytes]) -> tuple[str, int]:
    """Return the MD5 checksum and the size in bytes."""
    digest, total = hashlib.md5(usedforsecurity=False), 0
    file.seek(0)
    while data := file.read(CHUNK):
        digest.update(data)
        total += len(data)
    return digest.hexdigest(), total
