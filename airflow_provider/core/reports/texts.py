"""Texts of a report: values, numbers and sizes, short and without invisible characters."""

from __future__ import annotations

from html import escape
from typing import Any

LONGEST = 80
"""Maximum characters of a value."""

_LARGEST = 1.7976931348623157e308
"""The greatest double; an integer beyond it counts as this one."""

_PLAIN_END = 10**15
"""Numbers from here on are shown with a power of ten."""

_INT64_END = 2**63

_LONG_END = 10**60
"""Integers from here on are shown with a power of ten where all digits of others are."""


def clean(text: str, longest: int = LONGEST) -> str:
    """Return a text cut to a length, with control and direction characters made visible.

    :param text: any text, perhaps hostile.
    :param longest: its maximum length.
    """
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    if short.isprintable():
        return short
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in short)


def in_html(text: str, longest: int = LONGEST) -> str:
    """Return a value as HTML; its writing direction does not reach the text around it.

    :param text: any text, perhaps hostile.
    :param longest: its maximum length.
    """
    return f"<bdi>{escape(clean(text, longest))}</bdi>"


def plain_number(value: int | float) -> int | float:
    """Return a number as JSON can hold it: an integer beyond 64 bits as a double.

    :param value: a finite number.
    """
    if isinstance(value, float) or -_INT64_END <= value < _INT64_END:
        return value
    try:
        return float(value)
    except OverflowError:
        return _LARGEST if value > 0 else -_LARGEST


def number_text(value: int | float) -> str:
    """Return a number with separators; a very large or very small one that is no integer with a power of ten.

    :param value: a number.
    """
    number = plain_number(value)
    if abs(number) >= _LARGEST:
        return "beyond 1.8e+308" if number > 0 else "beyond -1.8e+308"
    if isinstance(number, int):
        return f"{number:,}"
    if abs(number) >= _PLAIN_END or 0 < abs(number) < 1e-4:
        return f"{number:.4g}"
    text = f"{number:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def count_text(count: int, noun: str) -> str:
    """Return a number of things, such as ``1 row`` and ``2,000 rows``.

    :param count: the number.
    :param noun: the noun in singular.
    """
    return f"{count:,} {noun if count == 1 else f'{noun}s'}"


def share_text(part: int, whole: int) -> str:
    """Return a share in per cent; neither 0 % nor 100 % unless it is.

    :param part: number of the part.
    :param whole: number of the whole.
    """
    if not whole or part in (0, whole):
        return "100%" if part and part == whole else "0%"
    share = part * 100 / whole
    return "<1%" if share < 1 else ">99%" if share > 99 else f"{share:.0f}%"


def size_text(size: int) -> str:
    """Return a number of bytes in a readable unit.

    :param size: the bytes.
    """
    number = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{size:,} bytes" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def key_text(value: Any) -> str:
    """Return a value as text, a number with all its digits: other values have other texts.

    Only long texts, and integers of more than 60 digits, share one.

    :param value: a text, a number or a boolean.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < _LONG_END else number_text(value)
    text = number_text(value)
    return text if text[0] == "b" or float(text.replace(",", "")) == value else repr(value)
