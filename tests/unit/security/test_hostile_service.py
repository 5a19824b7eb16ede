"""A service that answers what it likes: no error, line, file name or memory may suffer from its bytes."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core.http import reply
from airflow_provider.core.http.call import Call
from tests.support.hostile_host import response
from tests.support.loop_turns import counted_turns
from tests.unit.security.conftest import Send, Serve

READ = Call[Any]("GET", "thing")
ZEROS = gzip.compress(bytes(80_000_000), 9)
"""80 MB in 78 kB."""

CONTROLS = "\x1b[2J\x9b31m\x85"
"""What clears a terminal, colours it, and begins a line."""


@pytest.mark.parametrize("status", [b"302 Found", b"400 Bad", b"503 Busy"])
def test_headers_and_texts_of_a_service_add_no_control_character_and_no_line_to_an_error(
    status: bytes, send: Send, serve: Serve
) -> None:
    evil = f"https://a.example/{CONTROLS}::endgroup::".encode("latin-1")
    hook = serve(response(b"so\x1b[2J\r\n::group::hidden", b"Location: " + evil, status=status))
    with pytest.raises(errors.ProviderError) as caught:
        send(hook, READ)
    text = str(caught.value)
    assert text.isprintable()
    assert "::group::" not in text
    assert "::endgroup::" not in text


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, br", b"Zstd"])
@pytest.mark.parametrize("status", [b"200 OK", b"500 Broken"])
def test_a_compression_that_was_not_asked_for_is_not_unpacked(
    coding: bytes, status: bytes, send: Send, serve: Serve
) -> None:
    hook = serve(response(b"\x00" * 64, b"Content-Encoding: " + coding, status=status))
    with pytest.raises(errors.TransportError, match=r"its reply is compressed (as|more)"):
        send(hook, READ)


@pytest.mark.parametrize("coding", [b"br", b"gzip, gzip"])
def test_a_download_in_a_compression_that_was_not_asked_for_is_not_unpacked(
    coding: bytes, serve: Serve
) -> None:
    hook = serve(response(b"\x00" * 64, b"Content-Encoding: " + coding))
    with hook.stream(READ) as stream, pytest.raises(errors.TransportError, match="cannot be read"):
        next(stream.chunks())


def test_few_bytes_do_not_become_a_large_reply(send: Send, serve: Serve) -> None:
    hook = serve(response(ZEROS, b"Content-Encoding: gzip"))
    with pytest.raises(errors.TransportError, match=f"expands more than {reply.MAX_EXPANSION}-fold"):
        send(hook, READ)


def chunked(count: int) -> bytes:
    """Return a response whose body is a JSON text of so many characters, each in a chunk of its own."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b'1\r\n"\r\n' + b"1\r\nx\r\n" * count + b'1\r\n"\r\n0\r\n\r\n'


async def test_a_body_in_thousands_of_chunks_leaves_the_event_loop_its_turns(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = reply.BodyReader.add
    async with counted_turns() as turns:

        def recorded(body: reply.BodyReader, chunk: bytes, received: int = 0) -> bool:
            turns.record()
            return add(body, chunk, received)

        monkeypatch.setattr(reply.BodyReader, "add", recorded)
        assert len(await serve(chunked(20_000)).asend(READ)) == 20_000
    assert turns.most <= 50


def test_a_body_in_thousands_of_chunks_takes_the_memory_of_its_bytes() -> None:
    """As a list, these chunks would take twenty times as much."""
    body = reply.BodyReader({200}, 200, {})
    tracemalloc.start()
    try:
        for _ in range(100_000):
            assert body.add(bytes(bytearray(b"ab")), 0)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    found = body.result()
    assert isinstance(found, reply.Reply)
    assert found.body == b"ab" * 100_000


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 999 " + b"\xff" * 60_000 + b"\r\n\r\n",
        response(b"[" * 200_000),
        response(b"9" * 5_000),
        response(b'{"a": "\xed\xa0\x80"}'),
    ],
)
def test_bytes_that_are_no_reply_are_an_error_of_the_provider(reply: bytes, send: Send, serve: Serve) -> None:
    """The two libraries read some of them as ``{}``."""
    try:
        said = str(send(serve(reply), READ))
    except errors.ProviderError as error:
        said = str(error)
    assert said == "{}" or "127.0.0.1" in said
    assert "s3cr3t" not in said
    assert len(said) < errors.MAX_BYTES
