"""Guard: the only place that decides which requests may leave, by the level of the run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from airflow_provider.conformance.check import LEVELS, Level
from airflow_provider.conformance.created import own_id
from airflow_provider.core.http.endpoint import Request

READS = frozenset({"GET", "OPTIONS"})

_AQL = re.compile(r"FOR \w+ IN \w+ LIMIT \d+ RETURN \w+\._key")
"""The form of queries of a space: a list of keys, which changes nothing."""


class RefusedRequestError(Exception):
    """The statement that a request may not leave at this level."""


@dataclass(frozen=True)
class Sent:
    """A request as the guard reads it."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def parts(self) -> list[str]:
        """Segments of the path."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def json(self) -> Any:
        """Return the body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Guard:
    """Decides about every request of a run.

    :param service: the service.
    :param level: level of the run.
    :param token_url: URL of the token endpoint; empty for none.
    :param own: ids of objects that this run has made, which it may change and remove.
    :param run: name of the run, with which the names of its objects begin.
    """

    service: str
    level: Level
    token_url: str = ""
    own: Collection[str] = field(default_factory=set)
    run: str = ""

    def check(self, request: Request) -> None:
        """Raise for a request that may not leave.

        :raises RefusedRequestError: when it may not leave.
        """
        parts = urlsplit(request.url)
        body = request.body if isinstance(request.body, bytes) else b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        sent = Sent(request.method, parts.path, query, headers, body)
        if not self._may_leave(sent, request.url.partition("?")[0]):
            raise RefusedRequestError(f"{request.method} is not allowed at the level {self.level}")

    def _may_leave(self, sent: Sent, url: str) -> bool:
        if self.level == "public":
            return sent.method == "GET" and "authorization" not in sent.headers and "token" not in sent.query
        if sent.method == "POST" and self.token_url and url == self.token_url:
            return True
        if self.service == "amigocloud" and sent.parts[-1] == "sql":
            return self._is_allowed_sql(sent)
        if sent.method in READS or _lists_keys(self.service, sent):
            return True
        if LEVELS.index(self.level) < LEVELS.index("scratch"):
            return False
        return bool(self.run) and _WRITES[self.service](sent, self.own, self.run)

    def _is_allowed_sql(self, sent: Sent) -> bool:
        from airflow_provider.amigocloud.sql.statement import parse_statement
        from airflow_provider.errors import InputError

        body = sent.json()
        given: list[Any] = list(sent.query.get("query", []))
        if isinstance(body, dict):
            given.append(body.get("query"))
        try:
            statements = [parse_statement(str(text)) for text in given]
        except InputError:
            return False
        if statements and all(statement.reads for statement in statements):
            return True
        if self.level != "scratch" or sent.method != "POST":
            return False
        named = {str(number) for statement in statements for number in statement.datasets}
        return bool(named) and named <= set(self.own)


def _lists_keys(service: str, sent: Sent) -> bool:
    if service != "iotstudio" or sent.method != "POST" or sent.parts[-2:] != ["query", "cursor"]:
        return False
    body = sent.json()
    return isinstance(body, dict) and set(body) == {"query"} and bool(_AQL.fullmatch(str(body["query"])))


Rule = Callable[[Sent, Collection[str], str], bool]
"""Function that returns whether a writing request touches what the run has made, and nothing else."""


def _is_of(run: str, name: Any) -> bool:
    return isinstance(name, str) and name.startswith(f"{run}-")


def _of_mapsindoors(sent: Sent, own: Collection[str], run: str) -> bool:
    body = sent.json()
    if sent.parts[-2:] != ["api", "geodata"] or not isinstance(body, list) or not body:
        return False
    if sent.method == "POST":
        return all(isinstance(item, dict) and _is_of(run, item.get("externalId")) for item in body)
    if sent.method == "DELETE":
        return all(isinstance(item, str) and item in own for item in body)
    return sent.method == "PUT" and all(isinstance(item, dict) and item.get("id") in own for item in body)


def _of_amigocloud(sent: Sent, own: Collection[str], run: str) -> bool:
    parts = sent.parts
    if sent.method == "POST" and parts[-1] in {"create", "chunked_upload", "complete"}:
        return f'"{run}-'.encode() in sent.body
    if sent.method == "POST" and parts[-1] == "upload":
        is_own = parts[-3:-2] == ["related_tables"] and own_id("gallery", parts[-2]) in own
        return is_own and f'"{run}-'.encode() in sent.body
    if sent.method == "POST" and parts[-1] == "related_tables" and not _is_of(run, _field(sent, "name")):
        return False
    if sent.method == "POST" and parts[-1] == "submit_change" and not _is_change_of(sent, parts[-2]):
        return False
    if sent.method == "POST" and parts[-1] in {"export", "related_tables", "submit_change"}:
        parts = parts[:-1]
    elif sent.method != "DELETE":
        return False
    return len(parts) > 1 and parts[-2] == "datasets" and parts[-1] in own


def _field(sent: Sent, name: str) -> Any:
    body = sent.json()
    return body.get(name) if isinstance(body, dict) else None


def _is_change_of(sent: Sent, dataset: str) -> bool:
    """Return whether a change is one of rows of a dataset."""
    try:
        change = json.loads(str(_field(sent, "change")))
    except ValueError:
        return False
    if not isinstance(change, dict) or change.get("type") != "DML":
        return False
    return bool(change.get("entity") == f"dataset_{dataset}")


def _of_iotstudio(sent: Sent, own: Collection[str], run: str) -> bool:
    parts = sent.parts
    if "things" not in parts or sent.query.keys() - {"update_history"}:
        return False
    rest = parts[parts.index("things") + 1 :]
    if not rest:
        body = sent.json()
        if sent.method == "PATCH":
            return isinstance(body, list) and all(
                isinstance(one, dict) and one.get("id") in own for one in body
            )
        return sent.method == "POST" and isinstance(body, dict) and _is_of(run, body.get("title"))
    return rest[0] in own


def _of_leanix(sent: Sent, own: Collection[str], run: str) -> bool:
    parts, body = sent.parts, sent.json()
    named = body.get("connectorId") if isinstance(body, dict) else None
    if parts[-1] == "configurations":
        if sent.method == "DELETE":
            given = set(sent.query.get("connectorId", []))
            return bool(given) and given <= set(own)
        return sent.method == "PUT" and _is_of(run, named)
    if parts[-1] == "synchronizationRuns":
        return sent.method == "POST" and _is_of(run, named)
    return sent.method == "POST" and parts[-1] in {"start", "stop"} and parts[-2] in own


_WRITES: Mapping[str, Rule] = {
    "mapsindoors": _of_mapsindoors,
    "amigocloud": _of_amigocloud,
    "iotstudio": _of_iotstudio,
    "leanix": _of_leanix,
}
