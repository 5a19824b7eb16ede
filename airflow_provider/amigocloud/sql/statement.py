"""Statements: whether one reads or writes, which datasets it names, and its text without comments."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_provider.amigocloud.sql.lexer import Token, tokens
from airflow_provider.amigocloud.sql.tables import Scope, table_names
from airflow_provider.core.input.values import shown
from airflow_provider.errors import InputError

_DATASET = re.compile(r"dataset_([1-9][0-9]*)")
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_QUERIES = frozenset({"SELECT", "VALUES", "TABLE"})
_REPORTS = frozenset({"EXPLAIN", "SHOW"})
_END = Token("blank", "")


class Kind(Enum):
    """Classes of statements."""

    QUERY = "a query"
    """Reads, and can stand in parentheses in another query."""

    REPORT = "a report"
    """Reads, and cannot stand in another query: EXPLAIN, SHOW."""

    WRITE = "a statement that writes"

    OTHER = "another statement"


@dataclass(frozen=True)
class Statement:
    """One statement of SQL.

    :param text: its text, without comments, byte order mark and semicolon.
    :param kind: whether it reads or writes.
    :param verb: its first keyword, in upper case.
    :param datasets: ids of the datasets that it names as tables, in their order.
    :param is_ordered: whether its rows have an order of their own.
    """

    text: str
    kind: Kind
    verb: str
    datasets: tuple[int, ...]
    is_ordered: bool

    @property
    def reads(self) -> bool:
        """True if the statement reads only."""
        return self.kind in (Kind.QUERY, Kind.REPORT)


def read_query(sql: Any, subject: str = "sql") -> Statement:
    """Read a statement that must read only.

    :param sql: the SQL.
    :param subject: the argument, for the error.
    :raises InputError: when it is empty, not SQL, several statements, or no query.
    """
    statement = _read(sql, subject, "must be a query")
    if statement.kind is Kind.WRITE:
        raise InputError(
            f"must be a query, but the statement writes ({statement.verb}); use AmigoCloudSqlOperator or the"
            " hook's run()",
            subject,
        )
    if not statement.reads:
        verb = shown(statement.verb)
        raise InputError(f"must be a query (SELECT, WITH, VALUES, TABLE, EXPLAIN, SHOW), not {verb}", subject)
    return statement


def read_write(sql: Any, subject: str = "sql") -> Statement:
    """Read a statement that must write.

    :param sql: the SQL.
    :param subject: the argument, for the error.
    :raises InputError: when it is empty, not SQL, several statements, or reads only.
    """
    statement = _read(sql, subject, "the statement must write")
    if statement.reads:
        raise InputError(
            f"the statement reads only ({statement.verb}); use AmigoCloudExportOperator, AmigoCloudSqlSensor"
            " or the hook's get_records()",
            subject,
        )
    if statement.text.isidentifier():
        raise InputError(f"the statement must write; {shown(statement.text)} is no statement", subject)
    return statement


def _read(sql: Any, subject: str, wanted: str) -> Statement:
    if not isinstance(sql, str):
        raise InputError(f"{wanted}, as one text, not {shown(sql)}", subject)
    try:
        return parse_statement(sql)
    except InputError as error:
        raise InputError([f"{wanted}: {problem}" for problem in error.problems], subject) from None


def parse_statement(sql: str) -> Statement:
    """Return what a statement is.

    :raises InputError: when the SQL is empty, holds several statements, or is not closed somewhere.
    """
    found = list(tokens(sql))
    # Blanks and semicolons before the statement, and after it, mean nothing.
    start = next((n for n, token in enumerate(found) if _is_code(token)), None)
    if start is None:
        raise InputError("it holds comments only" if re.search(r"--|/\*", sql) else "it is empty", "sql")
    end = next((n for n in range(start, len(found)) if found[n].symbol == ";"), len(found))
    if any(map(_is_code, found[end:])):
        raise InputError("it holds several statements; only one can run at a time", "sql")
    parser = _Parser(_labelled(token for token in found[start:end] if _is_code(token)))
    return Statement(
        "".join(token.text for token in found[start:end]).strip(),
        parser.kind,
        parser.verb(),
        tuple(sorted(set(parser.datasets()))),
        parser.is_ordered(),
    )


def _is_code(token: Token) -> bool:
    return token.kind != "blank" and token.symbol != ";"


def _labelled(code: Iterable[Token]) -> list[Token]:
    """Return tokens with the words after a dot and after AS as labels: there, any keyword is a name."""
    found: list[Token] = []
    for token in code:
        before = found[-1] if found else _END
        is_label = token.kind == "word" and (before.symbol == "." or _is_alias(before, token))
        found.append(Token("label", token.text) if is_label else token)
    return found


def _is_alias(before: Token, token: Token) -> bool:
    return before.keyword == "AS" and token.keyword not in ("NOT", "MATERIALIZED")


class _Parser:
    """Reader of one statement's tokens.

    :param code: the tokens, without blanks.
    """

    def __init__(self, code: Sequence[Token]) -> None:
        self._code = code
        self._closing = _pairs(code)
        self._start, self._end = 0, len(code)
        # Parentheses around the whole statement mean nothing.
        while self._closing.get(self._start) == self._end - 1:
            self._start, self._end = self._start + 1, self._end - 1
        self.kind = self._classify(self._start, self._end)

    def verb(self) -> str:
        return next((token.text.upper() for token in self._code if token.symbol != "("), "")

    def is_ordered(self) -> bool:
        level = [self._at(n).keyword for n in self._level(self._start, self._end)]
        return any(pair == ("ORDER", "BY") for pair in itertools.pairwise(level))

    def datasets(self) -> Iterator[int]:
        for name in table_names(self._code, list(self._scopes())):
            if match := _DATASET.fullmatch(name):
                yield int(match[1])

    def _at(self, n: int) -> Token:
        return self._code[n] if n < self._end else _END

    def _level(self, start: int, end: int) -> Iterator[int]:
        """Yield the positions between two others that are in no parentheses of their own."""
        n = start
        while n < end:
            yield n
            n = self._closing.get(n, n) + 1

    def _classify(self, start: int, end: int) -> Kind:
        while start < end and self._at(start).symbol == "(":
            start += 1
        word = self._at(start).keyword
        if word == "WITH":
            return self._classify_with(start + 1, end)
        if word == "EXPLAIN":
            return self._classify_explain(start + 1, end)
        if word in _WRITES or (word == "SELECT" and self._selects_into(start, end)):
            return Kind.WRITE
        if word in _QUERIES:
            return Kind.QUERY
        return Kind.REPORT if word in _REPORTS else Kind.OTHER

    def _selects_into(self, start: int, end: int) -> bool:
        """Return whether a SELECT makes a table of its rows."""
        return any(self._at(n).keyword == "INTO" for n in self._level(start, end))

    def _classify_with(self, at: int, end: int) -> Kind:
        """Classify a statement after WITH: it writes when its main statement or one of its parts writes."""
        parts, main = self._parts(at)
        if main is None:
            # Not the grammar that is known here: the service decides, and nothing that may write is repeated.
            words = {token.keyword for token in self._code}
            return Kind.WRITE if words & _WRITES else Kind.QUERY
        kinds = [self._classify(body + 1, self._closing[body]) for _, body in parts]
        return Kind.WRITE if Kind.WRITE in kinds else self._classify(main, end)

    def _is_recursive(self, at: int) -> bool:
        return self._at(at).keyword == "RECURSIVE" and self._at(at + 1).keyword != "AS"

    def _parts(self, at: int) -> tuple[list[tuple[int, int]], int | None]:
        """Return where names and parentheses of common table expressions are, and the main statement.

        :param at: position after WITH.
        """
        parts: list[tuple[int, int]] = []
        at += self._is_recursive(at)
        while (body := self._body(at + 1)) is not None:
            parts.append((at, body))
            at = self._after_search(self._closing[body] + 1)
            if self._at(at).symbol != ",":
                return parts, at
            at += 1
        return parts, None

    def _scopes(self) -> Iterator[Scope]:
        """Yield the scopes of all common table expressions, at any depth."""
        ends = [len(self._code)]
        for n, token in enumerate(self._code):
            if token.symbol == "(":
                ends.append(self._closing[n])
            elif token.symbol == ")":
                ends.pop()
            elif token.keyword == "WITH":
                for name, body in self._parts(n + 1)[0]:
                    start = n if self._is_recursive(n + 1) else self._closing[body]
                    yield Scope(self._at(name).identifier, start, ends[-1])

    def _body(self, at: int) -> int | None:
        """Return where the parentheses of a common table expression open, after its name."""
        if self._at(at).symbol == "(":
            at = self._closing[at] + 1
        if self._at(at).keyword != "AS":
            return None
        at += 1
        at += self._at(at).keyword == "NOT"
        at += self._at(at).keyword == "MATERIALIZED"
        return at if self._at(at).symbol == "(" else None

    def _after_search(self, at: int) -> int:
        """Return the position after the clauses SEARCH and CYCLE."""
        for clause, last in (("SEARCH", "SET"), ("CYCLE", "USING")):
            if self._at(at).keyword == clause:
                at = next((n for n in range(at, self._end) if self._at(n).keyword == last), self._end) + 2
        return at

    def _classify_explain(self, at: int, end: int) -> Kind:
        """Classify EXPLAIN: with ANALYZE the statement is run."""
        options: set[str] = set()
        if self._at(at).symbol == "(" and self._at(at + 1).keyword not in {*_QUERIES, "WITH", ""}:
            options = {self._at(n).keyword for n in range(at, self._closing[at])}
            at = self._closing[at] + 1
        while self._at(at).keyword in ("ANALYZE", "ANALYSE", "VERBOSE"):
            options.add(self._at(at).keyword)
            at += 1
        reads = self._classify(at, end) in (Kind.QUERY, Kind.REPORT)
        return Kind.REPORT if reads or not options & {"ANALYZE", "ANALYSE"} else Kind.WRITE


def _pairs(code: Sequence[Token]) -> dict[int, int]:
    """Return the position of each closing parenthesis by that of its opening one.

    :raises InputError: when one of them lacks the other.
    """
    pairs, opened = dict[int, int](), list[int]()
    for n, token in enumerate(code):
        if token.symbol == "(":
            opened.append(n)
        elif token.symbol == ")":
            if not opened:
                raise InputError("a parenthesis is closed that was not opened", "sql")
            pairs[opened.pop()] = n
    if opened:
        raise InputError("a parenthesis is not closed", "sql")
    return pairs
