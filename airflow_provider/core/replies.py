"""Reads what a service says of an error, whatever form it says it in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider.core.calls import Reply

_LONGEST = 500
# Both stop at the next tag, so that a page of nothing but their beginnings is still read in one go.
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_TAGS = re.compile(r"<[^<>]+>")
_CODES = ("error_code", "code", "error")
_MESSAGES = ("detail", "message", "error_description", "errorMessage", "title", "error", "errors", "warnings")


def explain(reply: Reply) -> tuple[str, str]:
    """Give the service's error code and message, either empty when there is none.

    Understands the usual JSON forms (``error``/``error_description``, ``error_code``/``detail``, ``errors``,
    nested ``error`` objects, problem details), HTML pages of gateways, and plain text.
    """
    if not reply.body.strip():
        return "", ""
    try:
        value = reply.json()
        return _from_object(value) if isinstance(value, Mapping) else ("", shorten(_flat(value)))
    except (ValueError, RecursionError):
        return "", _from_text(reply.text)


def shorten(text: str, longest: int = _LONGEST) -> str:
    """Give the text in one line, cut to a readable length, without what steers a terminal."""
    line = " ".join(text.split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return line if line.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in line)


def _from_text(text: str) -> str:
    if "<" in text and (title := _TITLE.search(text)):
        return shorten(f"an HTML page: {title.group(1)}")
    return shorten(_TAGS.sub(" ", text) if text.lstrip().startswith("<") else text)


def _from_object(value: Mapping[str, Any]) -> tuple[str, str]:
    inner = value.get("error")
    if isinstance(inner, Mapping):
        return _from_object(inner)
    code = next((str(value[key]) for key in _CODES if isinstance(value.get(key), (str, int))), "")
    said = [_flat(value[key]) for key in _MESSAGES if value.get(key) and str(value[key]) != code]
    return shorten(code, 100), shorten("; ".join(dict.fromkeys(text for text in said if text)))


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else str(value)
