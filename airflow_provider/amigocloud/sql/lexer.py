"""Lexer of PostgreSQL's SQL: comments, literals, names and words, by the rules of its manual.

Libraries that split SQL read nested comments, backslashes and the operator ``#`` by the rules of other
databases. Statements are small, and few kinds of tokens matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider.errors import InputError

_LETTER = r"A-Za-z_\x80-\ufefe\uff00-\U0010ffff"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*+'"
_GAP = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\f\v\n\r]|--[^\n\r]*+[\n\r])*+"
"""Blanks with a line break, after which a literal continues."""

_TOKEN = re.compile(
    rf"""
    (?P<blank>[ \t\n\r\f\v\ufeff]++)
    |(?P<comment>--[^\n\r]*+)
    |(?P<nested>/\*)
    |(?P<literal>[eE]{_ESCAPED}(?:{_GAP}{_ESCAPED})*+|(?:[uU]&|[nNbBxX])?'(?:[^']|'')*+')
    |(?P<open>[eE]')
    |(?P<name>(?:[uU]&)?"(?:[^"]|"")*+")
    |(?P<dollar>\$(?:[{_LETTER}][{_LETTER}0-9]*+)?\$)
    |(?P<word>[{_LETTER}][{_LETTER}0-9$]*+)
    |(?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
    |(?P<symbol>.)
    """,
    re.DOTALL | re.VERBOSE,
)
_CODE_POINT = re.compile(r"\\(?:([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6}))")
"""A character in a name of the form ``U&"..."``."""

_COMMENT_MARK = re.compile(r"/\*|\*/")
_UNCLOSED = {"'": "a text", '"': "a name"}


class Token(NamedTuple):
    """A token of a statement.

    :param kind: ``blank``, ``literal``, ``name`` (in double quotes), ``word``, ``label`` (a word that is a
        name wherever it stands), ``number`` or ``symbol`` (one character).
    :param text: the token as it was written; a comment in a statement is a blank.
    """

    kind: str
    text: str

    @property
    def keyword(self) -> str:
        """The word in upper case; empty for other tokens."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def symbol(self) -> str:
        """The character of a symbol; empty for other tokens."""
        return self.text if self.kind == "symbol" else ""

    @property
    def identifier(self) -> str:
        """The name as PostgreSQL reads it: in lower case unless quoted; empty for other tokens."""
        if self.kind in ("word", "label"):
            return self.text.lower()
        if self.kind != "name":
            return ""
        start = self.text.index('"')
        name = self.text[start + 1 : -1].replace('""', '"')
        return _CODE_POINT.sub(lambda match: chr(int(match[1] or match[2], 16)), name) if start else name


def tokens(sql: str) -> Iterator[Token]:
    """Yield the tokens of SQL; comments and byte order marks become blanks.

    :raises InputError: when a text, a quoted name or a comment is not closed.
    """
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise AssertionError("each character starts a token")
        kind, text, at = str(match.lastgroup), match[0], match.end()
        if kind == "blank":
            yield Token(kind, text.replace("\ufeff", " "))
        elif kind == "nested":
            at = _comment_end(sql, match.start())
            yield Token("blank", " ")
        elif kind == "dollar":
            end = sql.find(text, at)
            if end < 0:
                raise _unclosed(sql, match.start(), f"the text in {text}")
            at = end + len(text)
            yield Token("literal", sql[match.start() : at])
        elif kind == "open" or text in _UNCLOSED:
            raise _unclosed(sql, match.start(), _UNCLOSED[text[-1]])
        elif kind != "comment":
            yield Token(kind, text)


def _comment_end(sql: str, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    raise _unclosed(sql, start, "a comment")


def _unclosed(sql: str, start: int, what: str) -> InputError:
    return InputError(f"line {sql.count(chr(10), 0, start) + 1}: {what} is not closed", "sql")
