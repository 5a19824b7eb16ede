"""Tables of a statement: the names that follow FROM, JOIN, INTO, UPDATE, USING and TABLE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider.amigocloud.sql.lexer import Token

_QUERY_STARTS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_WRITE_STARTS = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_NO_NAMES = frozenset({"SELECT", "WITH", "TABLE", "FROM"})
_ENDS = frozenset(
    {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "WINDOW", "FOR", "RETURNING", "WHEN"}
    | {"UNION", "INTERSECT", "EXCEPT", "SELECT"}
)
"""Words that end a list of tables."""

_EXPLAINS = frozenset({"EXPLAIN", "ANALYZE", "ANALYSE", "VERBOSE"})
_KEEPS = frozenset({"ONLY", "LATERAL"})
"""Words between FROM and a table's name."""

_NONE = Token("blank", "")


class Scope(NamedTuple):
    """Name of a common table expression, which hides a table of that name.

    :param name: the name.
    :param start: position after which the table is hidden.
    :param end: position at which the statement ends that the expression belongs to.
    """

    name: str
    start: int
    end: int


@dataclass
class _Level:
    """Position within one pair of parentheses.

    :param is_query: whether the parentheses hold a query or a join; otherwise FROM means something else.
    :param in_list: whether a comma is followed by another table.
    :param expects: whether a table's name comes next.
    """

    is_query: bool = True
    in_list: bool = False
    expects: bool = False


def table_names(code: Sequence[Token], scopes: Sequence[Scope]) -> Iterator[str]:
    """Yield the names of a statement's tables, without their schemas.

    :param code: the tokens, without blanks.
    :param scopes: the common table expressions; a reference to one of them is no table.
    """
    walk = _Walk(code)
    for at, name, qualified in walk.references():
        hidden = not qualified and any(
            scope.name == name and scope.start < at < scope.end for scope in scopes
        )
        if not hidden:
            yield name


class _Walk:
    def __init__(self, code: Sequence[Token]) -> None:
        self._code = code
        self._levels = [_Level()]

    def references(self) -> Iterator[tuple[int, str, bool]]:
        """Yield position and name of each table, and whether a schema precedes the name."""
        n = 0
        while n < len(self._code):
            level, token = self._levels[-1], self._code[n]
            if level.expects and token.identifier and token.keyword not in _KEEPS | _NO_NAMES | _ENDS:
                last = n
                while self._symbol(last + 1) == ".":
                    last += 2
                level.expects = False
                is_function = self._symbol(last + 1) == "(" and self._token(n - 1).keyword != "INTO"
                if not is_function:
                    yield n, self._token(last).identifier, last > n
                n = last + 1
                continue
            self._step(n, level, token)
            n += 1

    def _token(self, n: int) -> Token:
        return self._code[n] if 0 <= n < len(self._code) else _NONE

    def _symbol(self, n: int) -> str:
        return self._token(n).symbol

    def _step(self, n: int, level: _Level, token: Token) -> None:
        if token.symbol == "(":
            self._open(n, level)
        elif token.symbol == ")":
            if len(self._levels) > 1:
                self._levels.pop()
        elif token.symbol == ",":
            level.expects = level.in_list
        elif level.is_query and token.keyword:
            self._keyword(n, level, token.keyword)

    def _open(self, n: int, level: _Level) -> None:
        word = self._token(n + 1).keyword
        # After FROM, a word of the second kind is a table's name.
        starts_query = n == 0 or word in _QUERY_STARTS or (word in _WRITE_STARTS and not level.expects)
        joins = level.expects and not starts_query
        level.expects = False
        # A parenthesis in front of a query is followed by another one: ((SELECT 1) UNION (SELECT 2)).
        nested = self._symbol(n + 1) == "("
        self._levels.append(_Level(starts_query or joins or nested, joins, joins))

    def _keyword(self, n: int, level: _Level, word: str) -> None:
        before = self._token(n - 1).keyword
        if word in _ENDS:
            level.in_list = level.expects = False
        elif word == "FROM":
            is_operator = before == "DISTINCT" and self._token(n - 2).keyword in ("IS", "NOT")
            level.in_list = level.expects = not is_operator or level.in_list
        elif word == "USING":
            if self._symbol(n + 1) != "(" or self._token(n + 2).keyword in _QUERY_STARTS:
                level.in_list = level.expects = True
        elif word == "JOIN":
            level.in_list = level.expects = True
        elif word in ("INTO", "TABLE") or (word == "UPDATE" and self._starts_statement(n)):
            level.in_list, level.expects = False, True

    def _starts_statement(self, n: int) -> bool:
        """Return whether a statement may start here; elsewhere UPDATE is a clause, or a name."""
        before = self._token(n - 1)
        return not before.text or before.symbol in ("(", ")") or before.keyword in _EXPLAINS
