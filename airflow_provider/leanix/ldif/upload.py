"""Puts a large LDIF where the service can fetch it: whole, or block by block."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow_provider.core.hook import ApiHook
    from airflow_provider.leanix.ldif.document import Ldif


MAX_SINGLE_PUT_BYTES = 128 * 1024 * 1024
"""Bytes of content from which on a file goes up in blocks: one that breaks off is sent again, not all."""

BLOCK_BYTES = 4 * 1024 * 1024


def upload(hook: ApiHook, url: str, ldif: Ldif) -> None:
    """Put an LDIF to a signed link of Azure's blob storage, as its documentation says.

    :param url: the link, good for one file.
    """
    if ldif.size <= MAX_SINGLE_PUT_BYTES:
        hook.upload(url, ldif.open, {"Content-Type": "application/json", "x-ms-blob-type": "BlockBlob"})
        return
    names = []
    for number, block in enumerate(split_into_blocks(ldif.open(), BLOCK_BYTES)):
        names.append(base64.b64encode(f"{number:08}".encode()).decode())
        hook.upload(_add_query(url, f"comp=block&blockid={quote(names[-1], safe='')}"), block, {})
    listed = "".join(f"<Latest>{name}</Latest>" for name in names)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
    headers = {"Content-Type": "application/xml", "x-ms-blob-content-type": "application/json"}
    hook.upload(_add_query(url, "comp=blocklist"), body, headers)


def split_into_blocks(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Join chunks to blocks of a size; the last one may be shorter."""
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
