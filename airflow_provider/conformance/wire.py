"""Wire: a connection that sends the requests of checks, guarded and metered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider.conformance.check import ANY_STATUS, BAD_TOKEN, SUCCESS, SkippedError, Step
from airflow_provider.conformance.guard import Guard
from airflow_provider.conformance.meter import Meter
from airflow_provider.core.http.auth import MintedToken, QueryToken
from airflow_provider.core.http.call import UNSET, Call, segment
from airflow_provider.core.http.endpoint import Endpoint, Request
from airflow_provider.core.http.reply import NoResponse, Reply, read_reply
from airflow_provider.core.http.retry import RetryLimits, retry_after
from airflow_provider.core.http.sync_transport import Transport
from airflow_provider.errors import TransportError

if TYPE_CHECKING:
    import requests
    from airflow.sdk.types import Logger

_ATTEMPTS = 3
_LONGEST_WAIT = 15.0
"""Maximum seconds before a request is sent once more; a check that gets no answer stays open."""

_PASSING = frozenset({429, 502, 503, 504})
"""Statuses after which a request is sent once more, unless it belongs to a series."""

_TOO_MANY = 429
_UNAUTHORIZED = frozenset({401})

_SECRET_FIELDS = frozenset(
    (
        "access_token",
        "refresh_token",
        "id_token",
        "websocket_session",
        "SAS",
        "secret",
        "apiToken",
        "connectionString",
    )
)
"""Fields of replies that hold a credential."""

_MIN_SECRET = 8
"""Minimum characters of a credential in a reply; a shorter text is a mask, or a word of the report."""


PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""A name in braces, which stands for a value."""


class ServiceBusyError(Exception):
    """The statement that a service refuses requests for their rate."""


class MeteredTransport(Transport):
    """A transport each of whose requests passes the guard and the meter.

    :param endpoint: the service.
    :param log: receives a line for each attempt that is retried.
    :param meter: counts requests.
    :param guard: decides about requests.
    """

    def __init__(self, endpoint: Endpoint, log: Logger, meter: Meter, guard: Guard) -> None:
        super().__init__(endpoint, log, meter.clock.sleep)
        self.meter, self.guard = meter, guard
        self.tokens: set[str] = set()

    def _perform(self, request: Request) -> requests.Response | NoResponse:
        self.guard.check(request)
        self.meter.take()
        self.tokens |= _tokens_in(request)
        return super()._perform(request)


def _tokens_in(request: Request) -> set[str]:
    header = next((text for name, text in request.headers.items() if name.lower() == "authorization"), "")
    found = {header.partition(" ")[2], *parse_qs(urlsplit(request.url).query).get("token", [])}
    return found - {"", BAD_TOKEN}


class Wire:
    """Sends the requests of checks.

    :param endpoint: the service of a connection.
    :param log: receives a line for each attempt that is retried.
    :param meter: counts requests.
    :param guard: decides about requests.
    :param headers: headers of all requests, as the hook sends them.
    """

    def __init__(
        self, endpoint: Endpoint, log: Logger, meter: Meter, guard: Guard, headers: Mapping[str, str]
    ) -> None:
        endpoint.retry_limits = RetryLimits(attempts=1)
        self.meter, self.headers, self._log = meter, headers, log
        self.transport = MeteredTransport(endpoint, log, meter, guard)
        self._secrets: set[str] = set()

    @property
    def secrets(self) -> set[str]:
        """Credentials that were sent, or received: tokens of requests and of replies."""
        return self._secrets | self.transport.tokens

    def sign_in(self, step: Step, facts: Mapping[str, Any]) -> None:
        """Send a small request as the provider does, with a token that is renewed when it is refused.

        :raises ProviderError: for an outcome without result.
        """
        self.transport.send(replace(self._call(step, facts), success_statuses=SUCCESS))

    def send(self, step: Step, facts: Mapping[str, Any]) -> Reply:
        """Send a request, a few times if the service asks for it; a reply with any other status is a result.

        The POST that makes an object is sent once: it may have been made, whatever the service answers.

        :raises ProviderError: when there is no reply.
        :raises ServiceBusyError: when the service refuses the request for its rate each time.
        """
        call, wait = self._call(step, facts), 1.0
        if _is_sent_once(step):
            return self._send_once(call, wait)
        for _ in range(_ATTEMPTS - 1):
            reply = self._attempt(call)
            if reply is not None and reply.status not in _PASSING:
                return reply
            self._wait(reply, wait)
            wait *= 2
        reply = self.transport.send(call)
        self._keep_secrets(reply)
        if reply.status == _TOO_MANY:
            raise ServiceBusyError
        return reply

    def _send_once(self, call: Call[Reply], wait: float) -> Reply:
        reply = self.transport.send(call)
        self._keep_secrets(reply)
        if reply.status == _TOO_MANY:
            self._wait(reply, wait)
            raise ServiceBusyError
        return reply

    def _wait(self, reply: Reply | None, wait: float) -> None:
        """Wait as long as the service asks for, or for some seconds where it does not."""
        asked = retry_after(reply) if reply else None
        seconds = wait if asked is None else min(asked, _LONGEST_WAIT)
        budget = self.transport.endpoint.budget
        if budget and reply and reply.status == _TOO_MANY:
            budget.pause(seconds)  # All tasks that share the budget pause, too.
        self.meter.clock.sleep(seconds)

    def _attempt(self, call: Call[Reply]) -> Reply | None:
        """Send a request; returns None when there is no reply, and a repeat is safe."""
        try:
            reply = self.transport.send(call)
        except TransportError:
            if not call.repeatable:
                raise
            return None
        self._keep_secrets(reply)
        return reply

    def send_series(self, step: Step, facts: Mapping[str, Any]) -> list[Reply]:
        """Send a series of equal requests, one a second; or all at once, without the connection's budget."""
        call = self._call(step, facts)
        if not step.burst:
            return list(self._paced(call, step))
        with self._series(), ThreadPoolExecutor(step.times) as pool:
            return list(pool.map(lambda _: self.transport.send(call), range(step.times)))

    def _paced(self, call: Call[Reply], step: Step) -> Iterator[Reply]:
        for number in range(step.times):
            if number and step.every:
                self.meter.clock.sleep(step.every)
            yield self.transport.send(call)

    @contextmanager
    def _series(self) -> Iterator[None]:
        endpoint = self.transport.endpoint
        self.transport.endpoint = replace(endpoint, budget=None)
        self.meter.is_series = True
        try:
            yield
        finally:
            self.transport.endpoint, self.meter.is_series = endpoint, False

    def close(self) -> None:
        """Close the connection pool."""
        self.transport.close()

    def _keep_secrets(self, reply: Reply) -> None:
        try:
            body = reply.json()
        except ValueError:
            return
        self._secrets.update(_credentials_in(body))

    def _call(self, step: Step, facts: Mapping[str, Any]) -> Call[Reply]:
        if step.login == "token":
            return self._token_request()
        quoted = {name: segment(facts[name]) for name in placeholders(step.path) if name in facts}
        # A link as a whole is not quoted; the endpoint refuses those that lead to another host.
        path = fill(step.path, facts if PLACEHOLDER.fullmatch(step.path) else quoted)
        headers = fill({**({} if step.bare else self.headers), **step.headers}, facts)
        params = fill(dict(step.params), facts)
        if step.login == "bad":
            if isinstance(self.transport.endpoint.credential, QueryToken):
                params = {**params, "token": BAD_TOKEN}
            else:
                headers["Authorization"] = f"Bearer {BAD_TOKEN}"
        content = None
        if step.files:
            content, headers["Content-Type"] = _form_of_file(step, facts)
        return Call(
            step.method,
            path,
            params,
            json=UNSET if step.json is None else fill(step.json, facts),
            form=fill(dict(step.form), facts) if step.form and not step.files else None,
            content=content,
            headers=headers,
            # A token that is no longer accepted is renewed, as the provider does, and the request repeated.
            success_statuses=ANY_STATUS - (_UNAUTHORIZED if _may_renew(step) else set()),
            repeatable=step.method != "POST",
            read=read_reply,
            base=step.base,
            authenticated=step.login == "own",
            status_only=step.status_only,
        )

    def _token_request(self) -> Call[Reply]:
        credential = self.transport.endpoint.credential
        if not isinstance(credential, MintedToken):
            raise SkippedError("the connection has a static token")
        call: Call[Any] = credential.call.with_reader(read_reply)
        return replace(call, success_statuses=ANY_STATUS)


def _is_sent_once(step: Step) -> bool:
    return bool(step.makes) and step.method == "POST"


def _may_renew(step: Step) -> bool:
    return step.login == "own" and not _is_sent_once(step)


def _credentials_in(body: Any) -> Iterator[str]:
    """Yield the texts of fields that hold a credential, at any depth."""
    values = [body]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            for name, item in value.items():
                if name in _SECRET_FIELDS and isinstance(item, str) and len(item) >= _MIN_SECRET:
                    yield item
                values.append(item)
        elif isinstance(value, list):
            values += value


def _form_of_file(step: Step, facts: Mapping[str, Any]) -> tuple[bytes, str]:
    from airflow_provider.amigocloud.api import multipart_form

    name, content = step.files or ("", "")
    return multipart_form(
        fill(name, facts), fill(content, facts).encode(), fill(dict(step.form or {}), facts)
    )


def fill(template: Any, facts: Mapping[str, Any]) -> Any:
    """Return a template with its placeholders filled; a text that is a placeholder alone keeps its type.

    :param template: a text, or JSON with texts.
    :param facts: values by name.
    """
    if isinstance(template, str):
        alone = PLACEHOLDER.fullmatch(template)
        if alone and alone[1] in facts:
            return facts[alone[1]]
        return PLACEHOLDER.sub(lambda found: str(facts.get(found[1], found[0])), template)
    if isinstance(template, Mapping):
        return {fill(name, facts): fill(value, facts) for name, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [fill(item, facts) for item in template]
    return template


def placeholders(template: Any) -> set[str]:
    """Return the names of the placeholders in a template.

    :param template: a text, or JSON with texts.
    """
    if isinstance(template, str):
        return set(PLACEHOLDER.findall(template))
    if isinstance(template, Mapping):
        template = [*template, *template.values()]
    if isinstance(template, (list, tuple)):
        return set().union(*map(placeholders, template))
    return set()
