"""The order of keys is known when enough of them came in the order of their hex digits."""

from __future__ import annotations

import pytest

from airflow_provider.amigocloud.export.key_order import HexOrder, hex_starts


def starts(count: int, first: int = 0) -> list[bytes]:
    return [b"%08x" % number for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("pages", "usual", "known"),
    [
        ([starts(15)], True, False),
        ([starts(16)], True, True),
        ([[b"00000000"] * 40], True, False),
        ([starts(15), starts(15, 15)], True, False),
        ([starts(16), starts(1, 16)], True, True),
        ([starts(16)[::-1]], False, False),
        ([starts(16), [b"b", b"a"]], False, False),
        ([[b"b", b"a"], starts(16)], False, False),
        ([[]], True, False),
    ],
)
def test_sixteen_keys_in_order_are_evidence(pages: list[list[bytes]], usual: bool, known: bool) -> None:
    order = HexOrder(True)
    for page in pages:
        order.add(page)
    assert (order.is_usual, order.is_known) == (usual, known)


def test_an_order_that_is_not_wanted_is_never_known() -> None:
    order = HexOrder(False)
    order.add(starts(20))
    assert (order.is_usual, order.is_known) == (False, False)


def test_the_first_eight_hex_digits_of_texts_are_compared() -> None:
    keys = [b'"0123456789"', b'"0123456"', b"12345678", b'"ABCDEF01"', b'"abcdef01-"']
    assert hex_starts(keys) == [b"01234567", b"abcdef01"]
