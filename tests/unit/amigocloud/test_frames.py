"""Frames are read as both generations of servers spell them, and nonsense breaks nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.amigocloud.realtime import engineio
from airflow_provider.amigocloud.realtime.engineio import (
    Ended,
    Happened,
    Joined,
    Opened,
    Other,
    Pinged,
    Refused,
    read,
)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}', Opened(25.0, 5.0)),
        ('0{"sid":"x","maxPayload":1000000}', Opened()),
        ('0{"pingInterval":0,"pingTimeout":"soon"}', Opened()),
        ('0{"pingInterval":' + "9" * 400 + ',"pingTimeout":1e300}', Opened()),
        ("1", Ended()),
        ("2", Pinged()),
        ("2probe", Pinged("probe")),
        ("3", Other()),
        ("40", Other()),
        ("40/amigosocket", Joined()),
        ("40/amigosocket,", Joined()),
        ('40/amigosocket,{"sid":"y"}', Joined()),
        ("41/amigosocket", Ended()),
        ("41", Other()),
        ('44/amigosocket,"no"', Refused("no")),
        ('44/amigosocket,{"message":"not you"}', Refused("not you")),
        ('42/amigosocket,["realtime",{"dataset_id":1}]', Happened("realtime", b'{"dataset_id":1}')),
        ('42/amigosocket,7["realtime",{"dataset_id":1}]', Happened("realtime", b'{"dataset_id":1}')),
        ('42/amigosocket,["a:b"]', Happened("a:b")),
        ('42/amigosocket,["a","text"]', Happened("a", b'"text"')),
        ('42/other,["a",{}]', Other()),
        ('42["a",{}]', Other()),
        ("42/amigosocket,[]", Other()),
        ("42/amigosocket,{", Other()),
        ('42/amigosocket,["a",' + "[" * 100_000, Other()),
        ("45/amigosocket,1-[", Other()),
        ("6", Other()),
        ("", Other()),
    ],
)
def test_a_frame_is_read(text, frame):
    assert read(text) == frame


@given(st.text(alphabet='0123456789/,[]{}":amigosocket', max_size=60))
def test_no_text_breaks_the_reader(text):
    assert isinstance(read(text), engineio.Frame)


@given(st.text(min_size=1), st.dictionaries(st.text(), st.integers(-(2**50), 2**50) | st.text()))
def test_what_is_written_is_read_again(name, payload):
    happened = read(engineio.event(name, payload))
    assert (happened.name, happened.payload) == (name, payload)


@pytest.mark.parametrize(
    ("said", "payload", "brief"),
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
def test_an_event_tells_all_or_in_brief(said, payload, brief):
    happened = Happened("x", said)
    assert (happened.payload, happened.brief()) == (payload, brief)
