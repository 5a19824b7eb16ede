"""Upload of a large LDIF to the service's blob storage: in one request, or in blocks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow_provider.core.hook import ApiHook
    from airflow_provider.leanix.ldif.document import Ldif

MAX_SINGLE_PUT_BYTES = 128 * 1024 * 1024
"""Maximum bytes of content in one request; a larger one goes in blocks, which are retried separately."""

BLOCK_BYTES = 4 * 1024 * 1024
"""Bytes per block."""


def upload(hook: ApiHook, url: str, ldif: Ldif) -> None:
    """Send an LDIF to a signed URL of Azure's blob storage, as Azure documents Put Blob and Put Block List.

    :param url: the URL, valid for one file.
    """
    if ldif.size <= MAX_SINGLE_PUT_BYTES:
        hook.upload(url, ldif.open, {"Content-Type": "application/json", "x-ms-blob-type": "BlockBlob"})
        return
    names = []
    for number, block in enumerate(split_into_blocks(ldif.open(), BLOCK_BYTES)):
        names.append(base64.b64encode(f"{number:08}".encode()).decode())
        hook.upload(_add_query(url, f"comp=block&blockid={quote(names[-1], safe='')}"), block, {})
    block_list = "".join(f"<Latest>{name}</Latest>" for name in names)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{block_list}</BlockList>'.encode()
    headers = {"Content-Type": "application/xml", "x-ms-blob-content-type": "application/json"}
    hook.upload(_add_query(url, "comp=blocklist"), body, headers)


def split_into_blocks(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield chunks joined and cut to blocks of a size in bytes; the last block may be shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _add_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"
