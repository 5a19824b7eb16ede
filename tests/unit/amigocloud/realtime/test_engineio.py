"""Frames of both protocol versions are parsed, and invalid ones break nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.amigocloud.realtime import engineio
from airflow_provider.amigocloud.realtime.engineio import (
    Closed,
    Event,
    Handshake,
    Ignored,
    Joined,
    Ping,
    Refused,
    parse_frame,
)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}', Handshake(25.0, 5.0)),
        ('0{"sid":"x","maxPayload":1000000}', Handshake()),
        ('0{"pingInterval":0,"pingTimeout":"soon"}', Handshake()),
        ('0{"pingInterval":' + "9" * 400 + ',"pingTimeout":1e300}', Handshake()),
        ("1", Closed()),
        ("2", Ping()),
        ("2probe", Ping("probe")),
        ("3", Ignored()),
        ("40", Ignored()),
        ("40/amigosocket", Joined()),
        ("40/amigosocket,", Joined()),
        ('40/amigosocket,{"sid":"y"}', Joined()),
        ("41/amigosocket", Closed()),
        ("41", Ignored()),
        ('44/amigosocket,"no"', Refused("no")),
        ('44/amigosocket,{"message":"not you"}', Refused("not you")),
        ('42/amigosocket,["realtime",{"dataset_id":1}]', Event("realtime", b'{"dataset_id":1}')),
        ('42/amigosocket,7["realtime",{"dataset_id":1}]', Event("realtime", b'{"dataset_id":1}')),
        ('42/amigosocket,["a:b"]', Event("a:b")),
        ('42/amigosocket,["a","text"]', Event("a", b'"text"')),
        ('42/other,["a",{}]', Ignored()),
        ('42["a",{}]', Ignored()),
        ("42/amigosocket,[]", Ignored()),
        ("42/amigosocket,{", Ignored()),
        ('42/amigosocket,["a",' + "[" * 100_000, Ignored()),
        ("45/amigosocket,1-[", Ignored()),
        ("6", Ignored()),
        ("", Ignored()),
    ],
)
def test_a_frame_is_read(text, frame):
    assert parse_frame(text) == frame


@given(st.text(alphabet='0123456789/,[]{}":amigosocket', max_size=60))
def test_no_text_breaks_the_reader(text):
    assert isinstance(parse_frame(text), engineio.Frame)


@given(st.text(min_size=1), st.dictionaries(st.text(), st.integers(-(2**50), 2**50) | st.text()))
def test_a_formatted_event_is_parsed_again(name, payload):
    event = parse_frame(engineio.format_event(name, payload))
    assert (event.name, event.payload) == (name, payload)


@pytest.mark.parametrize(
    ("data", "payload", "brief"),
    [
        (b"{}", {}, {}),
        (b'"text"', {}, {}),
        (b"null", {}, {}),
        (
            b'{ "a" : 1 , "b": [ 1, {"c": 2} ] , "d": { "e": [1] }, "f": null, "g": "h", "i": false }',
            {"a": 1, "b": [1, {"c": 2}], "d": {"e": [1]}, "f": None, "g": "h", "i": False},
            {"a": 1, "b_count": 2, "g": "h", "i": False},
        ),
    ],
)
def test_an_event_has_a_payload_and_a_brief_form(data, payload, brief):
    event = Event("x", data)
    assert (event.payload, event.brief()) == (payload, brief)
