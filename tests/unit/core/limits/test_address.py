"""Addresses of stores: which are valid, which credentials they hold, and what a connection stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.models import Connection

from airflow_provider.core.limits.address import (
    PROCESS,
    address_of,
    is_connection_id,
    open_store,
    place_of,
    read_address,
    secrets_of,
)
from airflow_provider.core.limits.machine import FOLDER_VARIABLE
from airflow_provider.errors import InputError


def redis_connection(**fields: Any) -> Connection:
    extra = json.dumps(fields.pop("extra")) if "extra" in fields else None
    return Connection(
        **{"conn_id": "budgets", "conn_type": "redis", "host": "redis", "extra": extra, **fields}
    )


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "redis://redis:6379/0"),
        ({"port": 6380, "extra": {"db": 3}}, "redis://redis:6380/3"),
        ({"login": "me/you", "password": "a/b@c:é"}, "redis://me%2Fyou:a%2Fb%40c%3A%C3%A9@redis:6379/0"),
        ({"password": "p"}, "redis://:p@redis:6379/0"),
        ({"login": "me"}, "redis://me@redis:6379/0"),
        ({"host": "::1"}, "redis://[::1]:6379/0"),
        ({"extra": {"ssl": True}}, "rediss://redis:6379/0"),
        ({"extra": {"ssl": "TRUE"}}, "rediss://redis:6379/0"),
        ({"extra": {"ssl": 1}}, "rediss://redis:6379/0"),
        ({"extra": {"ssl": "yes"}}, "rediss://redis:6379/0"),
        ({"extra": {"ssl": " required "}}, "rediss://redis:6379/0"),
        *(({"extra": {"ssl": no}}, "redis://redis:6379/0") for no in (False, None, 0, "", "No", "off", "0")),
        ({"extra": {"ssl": "false", "ssl_cert_reqs": "none"}}, "redis://redis:6379/0"),
        (
            {"extra": {"ssl": True, "ssl_cert_reqs": "none", "ssl_ca_certs": "", "other": 1}},
            "rediss://redis:6379/0?ssl_cert_reqs=none",
        ),
        *(
            ({"extra": {"ssl": True, f"ssl_{name}": "a/b"}}, f"rediss://redis:6379/0?ssl_{name}=a%2Fb")
            for name in ("cert_reqs", "ca_certs", "ca_path", "certfile", "keyfile", "check_hostname")
        ),
    ],
    ids=str,
)
def test_a_connection_of_type_redis_stands_for_a_url(fields: dict[str, Any], url: str) -> None:
    assert address_of(redis_connection(**fields)) == url


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"conn_type": "http"}, "its type is 'http', not 'redis'"),
        ({"host": ""}, "host is missing"),
        ({"host": None}, "host is missing"),
        ({"host": "[x"}, "host, port or db is invalid"),
        ({"extra": {"db": "budgets"}}, "host, port or db is invalid"),
    ],
    ids=str,
)
def test_a_connection_that_names_no_redis_is_refused_by_its_id(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        address_of(redis_connection(**fields))
    assert str(caught.value) == f"extra 'rate_limit_store': connection 'budgets': {problem}"


@pytest.mark.parametrize("extra", ["{", "[1]", None])
def test_an_extra_that_is_no_object_counts_as_none(extra: str | None) -> None:
    connection = redis_connection()
    connection._extra = extra
    assert address_of(connection) == "redis://redis:6379/0"


@pytest.mark.parametrize(
    "text",
    ["", "process", "/srv/budgets", "redis://host", "rediss://host:6380/1", "unix:///run/redis.sock"],
)
def test_an_address_is_taken_as_it_is(text: str) -> None:
    assert read_address(text) == text


@pytest.mark.parametrize("text", ["http://host", "redis://", "redis://host:x", "relative/folder", "unix://"])
def test_any_other_text_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="redis"):
        read_address(text)


def test_a_store_is_opened_once_for_each_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, "/srv/other")
    addresses = ["", "/srv/budgets", "redis://host", PROCESS]
    named = [place_of(one) for one in addresses]
    # The environment names the folder of the machine, which takes the place of a Redis.
    assert named == [(one, "" if one.startswith("/") else "/srv/other") for one in addresses]
    stores = [open_store(one) for one in addresses]
    assert [open_store(one) for one in addresses] == stores
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert [place_of(one) for one in addresses] == [(one, "") for one in addresses]
    assert [open_store(one) is store for one, store in zip(addresses, stores, strict=True)] == [
        False,
        True,
        False,
        True,
    ]


def test_an_id_of_a_connection_is_neither_a_folder_nor_a_url() -> None:
    found = [is_connection_id(text) for text in ("budgets", "", PROCESS, "/srv", "redis://host", "a/b")]
    assert found == [True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("/srv/budgets", set()),
        ("redis://host", {"redis://host"}),
        ("redis://me:a%2Fb@host", {"redis://me:a%2Fb@host", "a%2Fb", "a/b"}),
        ("redis://:plain@host", {"redis://:plain@host", "plain"}),
    ],
)
def test_a_url_and_its_password_are_secrets_in_both_encodings(address: str, secrets: set[str]) -> None:
    assert set(secrets_of(address)) == secrets
