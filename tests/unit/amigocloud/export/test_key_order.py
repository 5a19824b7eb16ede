"""The order of keys is known when enough of them came in the order of their hex digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider.amigocloud.export.key_order import HexOrder, hex_starts, read_key
from airflow_provider.errors import InputError


def starts(count: int, first: int = 0) -> list[str]:
    return [f"{number:08x}" for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("pages", "usual", "known"),
    [
        ([starts(15)], True, False),
        ([starts(16)], True, True),
        ([["00000000"] * 40], True, False),
        ([starts(15), starts(15, 15)], True, False),
        ([starts(16), starts(1, 16)], True, True),
        ([starts(16)[::-1]], False, False),
        ([starts(16), ["b00000000", "a00000000"]], False, False),
        ([["b00000000", "a00000000"], starts(16)], False, False),
        ([[]], True, False),
    ],
)
def test_sixteen_keys_in_order_are_evidence(pages: list[list[str]], usual: bool, known: bool) -> None:
    order = HexOrder(True)
    for page in pages:
        order.add(page)
    assert (order.is_usual, order.is_known) == (usual, known)


def test_an_order_that_is_not_wanted_is_never_known() -> None:
    order = HexOrder(False)
    order.add(starts(20))
    assert (order.is_usual, order.is_known) == (False, False)


@pytest.mark.parametrize(
    ("text", "key"),
    [("a", "a"), (b'"a"', "a"), (b"7", 7), (b"0.10", Decimal("0.10")), (b"true", True), (b"null", None)],
)
def test_a_key_is_read_in_all_its_digits(text: Any, key: Any) -> None:
    assert read_key(text) == key
    assert type(read_key(text)) is type(key)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"1" * 5000, "the key column holds a value that cannot be read; select it as text"),
        (b"nope", "the key column holds a value that cannot be read; select it as text"),
        (b"[1]", "the key column holds lists or objects, which have no order; select it as text"),
        (b"{}", "the key column holds lists or objects, which have no order; select it as text"),
    ],
)
def test_a_value_that_has_no_order_is_no_key(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"^key: {says}$"):
        read_key(text)


def test_the_first_eight_hex_digits_of_texts_are_compared() -> None:
    keys = ["0123456789", "0123456", "ABCDEF01", "abcdef01-", "x\n01234567"]
    assert hex_starts(keys) == ["01234567", "abcdef01"]


def test_other_keys_may_have_any_order_between_hex_digits() -> None:
    order = HexOrder(True)
    for page in (starts(16), ["é", "Zoo", "10000000", "a", "20000000"], ["zoo", "Ärger"]):
        order.add(page)
    assert (order.is_usual, order.is_known) == (True, True)
