from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider.core.connection import ConnectionSpec, Extra, Settings, read_settings
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError

SPEC = ConnectionSpec(
    "toy",
    default_host="https://api.example.com/v1/",
    extras={
        "api_key": Extra(required=True, secret=True),
        "rate": Extra("number", 10.0),
        "auth_url": Extra("url", "https://auth.example.com"),
        "kind": Extra(default="a", choices=("a", "b")),
    },
)


def settings(extra: dict[str, Any] | None = None, **fields: Any) -> Settings:
    extra = {"api_key": "k"} if extra is None else extra
    fields = {"password": "pw", **fields}
    return read_settings(
        Connection(conn_id="toy_1", conn_type="toy", extra=json.dumps(extra), **fields), SPEC
    )


def test_defaults_fill_what_a_connection_leaves_out() -> None:
    found = settings()
    assert found.host == "https://api.example.com/v1"
    assert found.timeout == (10.0, 60.0)
    assert found.verify is True
    assert found.extras["auth_url"] == "https://auth.example.com"


def test_empty_fields_of_the_form_count_as_absent() -> None:
    found = settings({"api_key": "k", "rate": None, "kind": "", "verify": ""})
    assert (found.extras["rate"], found.extras["kind"], found.verify) == (10.0, "a", True)


def test_an_unknown_extra_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match="connection 'toy_1': unknown extra 'tmeout'.*timeout"):
        settings({"api_key": "k", "tmeout": 3})


def test_every_problem_of_a_connection_is_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        settings({"rate": "fast", "kind": "c", "auth_url": "ftp://x"}, password=None)
    text = str(caught.value)
    assert "5 problems in connection 'toy_1'" in text
    for part in (
        "'api_key' is missing",
        "'rate' must be a number",
        "one of a, b",
        "'auth_url'",
        "password is",
    ):
        assert part in text


@pytest.mark.parametrize("host", ["http://127.0.0.1:8900/x", "http://localhost", "http://[::1]:80"])
def test_plain_http_is_fine_on_loopback(host: str) -> None:
    assert settings(host=host).host == host


def test_plain_http_to_a_foreign_host_is_refused_unless_allowed() -> None:
    with pytest.raises(InputError, match="plain http to example.com.*allow_http"):
        settings(host="http://example.com")
    assert settings({"api_key": "k", "allow_http": "true"}, host="http://example.com").host


@pytest.mark.parametrize(
    "host",
    [
        *("https://u:p@example.com", "https://x.com?token=1", "https://x.com/?", "https://x.com/a#"),
        *("https:///path", "https://x:y"),
    ],
)
def test_an_invalid_host_is_refused_without_repeating_it(host: str) -> None:
    with pytest.raises(InputError) as caught:
        settings(host=host)
    assert host not in str(caught.value)


def test_a_host_without_a_scheme_becomes_https() -> None:
    assert settings(host="example.com/api/").host == "https://example.com/api"
    assert settings(host="127.0.0.1", port=81, schema="http").host == "http://127.0.0.1:81"


URI = "toy://https://:s3cret-word@gateway.example{path}?api_key=k"


def test_a_path_that_a_uri_moves_into_the_schema_is_refused_and_not_dropped() -> None:
    def of_uri(path: str) -> str:
        return read_settings(Connection.from_uri(URI.format(path=path), conn_id="toy_1"), SPEC).host

    assert of_uri("/") == of_uri("/https") == "https://gateway.example"
    assert of_uri("%2Fmaps%2Fapi/") == "https://gateway.example/maps/api"
    with pytest.raises(InputError, match="the schema is neither http nor https.*of the host as %2F"):
        of_uri("/maps/api")


def test_a_schema_that_no_request_would_use_is_the_only_problem() -> None:
    with pytest.raises(InputError) as caught:
        settings(host="gateway.example.com", schema="api/v1")
    assert len(caught.value.problems) == 1


def test_the_schema_may_have_capital_letters() -> None:
    assert settings(host="gateway.example.com", schema="HTTPS").host == "https://gateway.example.com"
    assert settings(host="127.0.0.1", schema="Http").host == "http://127.0.0.1"


def test_the_rest_of_a_password_that_a_uri_moves_into_the_schema_is_not_shown() -> None:
    with pytest.raises(InputError, match="the schema is neither") as caught:
        settings(host="x", schema="s3cret@example.com")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("https://example.com", "https://example.com:8443"),
        ("https://example.com/api/", "https://example.com:8443/api"),
        ("https://example.com:8443/api", "https://example.com:8443/api"),
        ("https://[2001:db8::1]/api", "https://[2001:db8::1]:8443/api"),
        ("[2001:db8::1]", "https://[2001:db8::1]:8443"),
        (None, "https://api.example.com:8443/v1"),
    ],
)
def test_the_port_of_a_connection_counts_with_any_form_of_the_host(host: str | None, found: str) -> None:
    assert settings(host=host, port=8443).host == found


def test_two_ports_are_refused() -> None:
    with pytest.raises(InputError, match="host names the port 443, and the connection has the port 8443"):
        settings(host="https://example.com:443", port=8443)


def test_a_line_break_pasted_behind_a_secret_is_dropped() -> None:
    assert settings(password="pw\n").password == "pw"


@pytest.mark.parametrize("blank", [" ", "\t", "\r\n", "\u00a0", "\u3000 "])
def test_what_is_blank_counts_as_missing(blank: str) -> None:
    with pytest.raises(InputError, match="2 problems.*") as caught:
        settings({"api_key": blank, "rate": blank, "kind": blank}, password=blank)
    assert "extra 'api_key' is missing" in str(caught.value)
    assert "password is missing" in str(caught.value)


@pytest.mark.parametrize(
    "hosts",
    [
        ["files.example.com", "files.example.com:8443", "[2001:db8::1]:443", "2001:db8::1"],
        "files.example.com, files.example.com:8443",
        [" Files.Example.com ", ""],
        "",
    ],
)
def test_allowed_hosts_are_names_with_or_without_a_port(hosts: Any) -> None:
    found = settings({"api_key": "k", "allowed_hosts": hosts}).allowed_hosts
    assert all(host == host.strip().lower() and host for host in found)
    assert bool(found) == bool(hosts)


@pytest.mark.parametrize(
    "host", ["https://files.example.com", "files.example.com/results", "*.example.com", "*", "u:s3cret@h.com"]
)
def test_an_allowed_host_that_no_link_can_match_is_refused(host: str) -> None:
    with pytest.raises(
        InputError, match="extra 'allowed_hosts' must be names of hosts.* entry 2 is"
    ) as caught:
        settings({"api_key": "k", "allowed_hosts": ["files.example.com", host]})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("extra", ["[1]", "{", "[" * 100_000])
def test_an_extra_that_is_not_a_json_object_is_refused(extra: str) -> None:
    connection = Connection(conn_id="toy_1", conn_type="toy", password="x")
    object.__setattr__(connection, "extra", extra)
    with pytest.raises(InputError, match="not a JSON object"):
        read_settings(connection, SPEC)


@pytest.mark.parametrize("name", ["timeout", "rate"])
@pytest.mark.parametrize("value", [10**400, "1e308", float("inf"), float("nan"), -1, 0, True, [1]])
def test_a_number_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"extra '{name}' must be a number"):
        settings({"api_key": "k", name: value})


@pytest.mark.parametrize("value", [3, 3.0, "3", " 3 "])
def test_attempts_are_a_whole_number(value: object) -> None:
    found = settings({"api_key": "k", "attempts": value, "patience": "90.5"}).extras
    assert (found["attempts"], type(found["attempts"]), found["patience"]) == (3, int, 90.5)
    assert settings().extras["attempts"] is None


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", True, [2], float("nan")])
def test_attempts_that_are_no_whole_number_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="extra 'attempts' must be a whole number"):
        settings({"api_key": "k", "attempts": value})


def test_half_a_character_in_any_field_is_refused_without_repeating_it() -> None:
    """JSON may write one; it has no UTF-8, so that no request could carry it."""
    with pytest.raises(InputError) as caught:
        settings({"api_key": "key\ud800"}, login="me\udfff", password="pa\ud800ss")
    names = ("login", "password", "extra 'api_key'")
    assert caught.value.problems == [
        f"{name} has half a character, which no request can carry" for name in names
    ]
    assert settings({"api_key": "\U0001f511"}, password="pä\U0001f511").password == "pä\U0001f511"


def test_settings_never_show_their_secrets() -> None:
    shown = repr(settings({"api_key": "very-secret-key"}, password="very-secret-pw"))
    assert "very-secret" not in shown


def test_loopback_hosts_are_recognised() -> None:
    assert is_loopback("127.9.9.9")
    assert not is_loopback("127.0.0.1.example.com")
    assert not is_loopback("localhost.example.com")
    assert not is_loopback(None)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, True),
        ({"rate_limit_store": "/srv/budgets"}, True),
        ({"rate_limit_store": "redis://localhost/0"}, False),
        ({"rate_limit_store": "redis://localhost/0", "share_tokens": True}, True),
        ({"rate_limit_store": "redis://localhost/0", "share_tokens": "yes"}, True),
        ({"share_tokens": "false"}, False),
        ({"share_tokens": None}, True),
        ({"share_tokens": ""}, True),
        ({"rate_limit_store": "process"}, False),
        ({"rate_limit_store": "process", "share_tokens": True}, False),
    ],
)
def test_tokens_are_shared_by_default_but_over_redis_on_demand_only(
    extra: dict[str, Any], expected: bool
) -> None:
    assert settings({"api_key": "k", **extra}).shares_tokens is expected


@pytest.mark.parametrize("value", ["perhaps", 2, 0.5, [], {"a": 1}, "redis://user:s3cret@host"])
def test_share_tokens_is_true_or_false(value: Any) -> None:
    with pytest.raises(InputError, match="extra 'share_tokens' must be true or false") as caught:
        settings({"api_key": "k", "share_tokens": value})
    assert "s3cret" not in str(caught.value)
