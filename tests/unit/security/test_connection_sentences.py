"""Sentences of connection tests, which a terminal and Airflow's form show: a service may have made a part."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from airflow_provider import check
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from tests.support.hostile_host import HostileHost, response

TOKEN = "s3cr3t-Tok/n+9"
EVIL = f"\x1b[2J\u202e\n::group::x {TOKEN}"

REPLIES = {
    "the name of a project": response(json.dumps({"id": 5, "name": EVIL}).encode()),
    "a redirect": response(b"", b"Location: /\x9b31m::group::", status=b"302 Found"),
    "a refusal": response(json.dumps({"detail": EVIL}).encode(), status=b"403 No"),
}


@pytest.fixture(params=REPLIES)
def hostile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the id of a connection to a hostile service."""
    host = HostileHost(REPLIES[request.param])
    extra = {"project_url": "users/1/projects/2"}
    connection = {"conn_type": "amigocloud", "host": host.url, "password": TOKEN, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_HOSTILE", json.dumps(connection))
    yield "hostile"
    host.close()


def sentence(conn_id: str, way: str, capsys: pytest.CaptureFixture[str]) -> str:
    if way == "command":
        check.main([conn_id])
        return capsys.readouterr().out.removesuffix("\n")
    if way == "async":
        return asyncio.run(AmigoCloudHook(conn_id).atest_connection())[1]
    return AmigoCloudHook(conn_id).test_connection()[1]


@pytest.mark.parametrize("way", ["sync", "async", "command"])
def test_the_sentence_of_a_connection_test_is_one_harmless_line_without_the_credential(
    hostile: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = sentence(hostile, way, capsys)
    assert said.isprintable()
    assert "::group::" not in said
    assert "s3cr3t" not in said
