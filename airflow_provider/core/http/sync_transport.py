"""Synchronous transport: sends calls with ``requests``, for workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider.core.diagnosis import unmade_request
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import CODINGS, MAX_RENEWALS, USER_AGENT, Endpoint, Request
from airflow_provider.core.http.reply import (
    BodyReader,
    Headers,
    NoResponse,
    Reply,
    coding_problem,
    no_proxy_response,
    read_nothing,
)
from airflow_provider.core.http.retry import Outcome, OutcomeKind, result_or_raise, tenacity_options
from airflow_provider.core.redaction import without_query
from airflow_provider.core.state.pauses import TaskPauses
from airflow_provider.errors import InputError, TransportError

if TYPE_CHECKING:
    import requests
    from airflow.sdk.types import Logger

    from airflow_provider.core.http.rate_limit import Budget
    from airflow_provider.core.http.session import Session


T = TypeVar("T")

clock = time.time

_CHUNK = 256 * 1024
"""Bytes that are read at once."""


class Stream:
    """A reply whose body is read in chunks.

    :param response: the open response.
    :param request: the request in one line, for errors.
    """

    def __init__(self, response: requests.Response, request: str) -> None:
        self._response = response
        self._request = request
        self.status = response.status_code
        self.headers = Headers(response.headers)

    def chunks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield the decompressed body in chunks.

        :param size: maximum bytes of a chunk.
        :raises TransportError: when the body breaks off before its end, or cannot be decompressed.
        """
        import requests

        if problem := coding_problem(self.headers):
            raise TransportError(f"{self._request} cannot be read: {problem}")
        try:
            yield from self._response.iter_content(size)
        except requests.RequestException as error:
            raise TransportError(f"{self._request} broke off: {type(error).__name__}") from None


class Transport:
    """One pool of keep-alive connections to an endpoint; threads may share it, not forked processes.

    :param endpoint: the service.
    :param log: receives a line for each attempt that is retried.
    :param sleep: function that waits for some seconds.
    """

    def __init__(self, endpoint: Endpoint, log: Logger, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self.seconds_waited = 0.0
        self._lock = threading.Lock()
        self._log = log
        self._sleep = sleep
        self._deadline = float("inf")
        self._session: Session | None = None
        self._process = os.getpid()
        TaskPauses.here()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Within the block, stop retrying at ``deadline``; the last request has at least a second.

        :param deadline: seconds since the epoch.
        """
        before, self._deadline = self._deadline, deadline
        try:
            yield
        finally:
            self._deadline = before

    def send(self, call: Call[T]) -> T:
        """Send a call with retries, and return the result that its reader makes of the reply.

        :raises ProviderError: for an outcome without result, see :mod:`airflow_provider.errors`.
        """
        result: T = self._retry(self.endpoint.budget_of(call), lambda: self._attempt(call, self._exchange))
        return result

    @contextmanager
    def stream(self, call: Call[Any]) -> Iterator[Stream]:
        """Send a call with retries, and yield its reply, whose body is read in chunks.

        When the body breaks off, ``TransportError`` is raised; there is no retry then.
        """
        described = self.endpoint.describe(call)
        response = self._retry(self.endpoint.budget_of(call), lambda: self._attempt(call, self._open))
        with response:
            yield Stream(response, described)

    @contextmanager
    def download(self, url: str) -> Iterator[Stream]:
        """Yield the content of a URL from a reply, to be read in chunks; no credential is sent.

        :raises InputError: when the connection does not allow the host, see ``Endpoint.check_download``.
        """
        self.endpoint.check_download(url)
        call: Call[Any] = Call("GET", without_query(url), authenticated=False, name="download")
        request = Request("GET", url, {"Accept": "*/*", "Accept-Encoding": CODINGS, "User-Agent": USER_AGENT})
        described = self.endpoint.describe(call)
        response = self._retry(None, lambda: result_or_raise(self._open_request(call, request)))
        with response:
            yield Stream(response, described)

    def upload(
        self, url: str, content: bytes | Callable[[], Iterator[bytes]], headers: Mapping[str, str]
    ) -> None:
        """Send a file with PUT to a URL from a reply; no credential is sent.

        :param url: the URL, which may be signed.
        :param content: the bytes, or a function that opens a fresh stream of them for each attempt.
        :param headers: headers of the request.
        :raises InputError: when the connection does not allow the host, see ``Endpoint.check_download``.
        """
        self.endpoint.check_download(url)
        call: Call[None] = Call(
            "PUT", without_query(url), content=content, authenticated=False, read=read_nothing, name="upload"
        )

        def attempt() -> None:
            sent = {"User-Agent": USER_AGENT, **headers}
            response = self._perform(Request("PUT", url, sent, call.body()[0]))
            result_or_raise(self.endpoint.classify(call, _read_body(call, response)))

        self._retry(None, attempt)

    def close(self) -> None:
        """Close all connections; the next call opens a new pool."""
        if self._session is not None:
            self._session.close()
            self._session = None
        if self.seconds_waited >= 1:
            self._log.info(
                "%d requests waited %.1f s in total for their turn", self.requests, self.seconds_waited
            )
            self.seconds_waited = 0.0

    def access_token(self) -> str:
        """Return the token that authenticates calls to the API, fetched when the process holds none."""
        return self.endpoint.credential.token(self.send, self.endpoint.bases["api"], self._seconds_left)

    def _retry(self, budget: Budget | None, attempt: Callable[[], Any]) -> Any:
        from tenacity import Retrying

        options = tenacity_options(self.endpoint.retry_limits, budget, self._log, self._seconds_left)
        return Retrying(sleep=self._sleep, **options)(attempt)

    def _seconds_left(self) -> float:
        return self._deadline - clock()

    def _attempt(self, call: Call[Any], exchange: Callable[[Call[Any], str], Outcome]) -> Any:
        """Send a call; when the token is refused, send it once more with a new token."""
        credential, realm = self.endpoint.credential, self.endpoint.bases[call.base]
        token = credential.token(self.send, realm, self._seconds_left) if call.authenticated else ""
        outcome = exchange(call, token)
        for _ in range(MAX_RENEWALS):
            if not self.endpoint.can_renew_token(call, outcome, token):
                break
            credential.forget(token, realm)
            token = credential.token(self.send, realm, self._seconds_left)
            outcome = exchange(call, token)
            if not credential.is_from_store(token, realm):
                break
        return result_or_raise(outcome)

    def _exchange(self, call: Call[Any], token: str) -> Outcome:
        request = self.endpoint.prepare(call, token)
        with self._place(request):
            return self._classify(call, self._perform(request), request.budget)

    def _open(self, call: Call[Any], token: str) -> Outcome:
        return self._open_request(call, self.endpoint.prepare(call, token))

    def _open_request(self, call: Call[Any], request: Request) -> Outcome:
        with self._place(request):  # Until the reply begins: its reader may send further requests.
            response = self._perform(request)
            if not isinstance(response, NoResponse) and response.status_code in call.success_statuses:
                return Outcome(OutcomeKind.DONE, value=response)
            return self._classify(call, response, request.budget)

    def _classify(
        self, call: Call[Any], response: requests.Response | NoResponse, budget: Budget | None
    ) -> Outcome:
        """Classify a response; after a 429 all users of the budget pause, not only this task."""
        outcome = self.endpoint.classify(call, _read_body(call, response))
        if budget and (seconds := self.endpoint.pause_after(outcome)):
            budget.pause(seconds)
        return outcome

    @contextmanager
    def _place(self, request: Request) -> Iterator[None]:
        """Hold one of the places of the connection's requests at once, if it has a limit of them."""
        if not request.concurrency:
            yield
            return
        describe = partial(self.endpoint.describe_request, request)
        with request.concurrency.entered(self._sleep, self._seconds_left, describe) as waited:
            with self._lock:
                self.seconds_waited += waited
            yield

    def _perform(self, request: Request) -> requests.Response | NoResponse:
        import requests

        waited = 0.0
        if request.budget:
            waited = request.budget.acquire(
                self._sleep, self._seconds_left, partial(self.endpoint.describe_request, request)
            )
        with self._lock:
            self.requests += 1
            self.seconds_waited += waited
        if request.method != "GET":
            TaskPauses.here().rest(self._log)
        try:
            return self._open_session().open(
                request.method,
                request.url,
                request.headers,
                request.body,
                timeout=self._timeout(),
                verify=self.endpoint.settings.verify,
            )
        except UnicodeError:
            raise InputError("the request cannot be made: a header has characters outside Latin-1") from None
        except requests.RequestException as error:
            raised = error
        except OSError:
            # requests raises its own exceptions for all errors but this one.
            raise InputError(f"extra 'verify': {self.endpoint.settings.verify} cannot be read") from None
        # Out of its block, so that no error has the library's as its context, with the URL or the proxy.
        return _no_response(raised, request.url)

    def _timeout(self) -> tuple[float, float]:
        connect, read = self.endpoint.settings.timeout
        left = max(1.0, self._seconds_left())
        return min(connect, left), min(read, left)

    def _open_session(self) -> Session:
        from airflow_provider.core.http.session import Session

        with self._lock:
            # On a connection from before a fork, two processes would read each other's replies.
            if self._session is None or self._process != os.getpid():
                self._session, self._process = Session(), os.getpid()
            return self._session


def _read_body(call: Call[Any], response: requests.Response | NoResponse) -> Reply | NoResponse:
    """Read the body of a response, up to the maximum size."""
    import requests

    if isinstance(response, NoResponse):
        return response
    body = BodyReader(call.success_statuses, response.status_code, response.headers)
    if call.status_only and response.status_code in call.success_statuses:
        response.close()
        return body.result()
    try:
        with response:
            for chunk in response.iter_content(_CHUNK) if body.readable else ():
                if not body.add(chunk, _received(response)):
                    break
    except requests.RequestException as error:
        return _no_response(error)
    return body.result()


def _received(response: requests.Response) -> int:
    """Return the bytes of a body so far, compressed; 0 when urllib3 does not count them, in chunks."""
    return 0 if response.raw.chunked else int(response.raw.tell())


def _no_response(error: Exception, url: str = "") -> NoResponse:
    """Return the missing response of a request that raised; the exception shows whether it was sent.

    :param url: the URL of the request.
    :raises InputError: when the request cannot be made.
    """
    import requests
    from urllib3 import exceptions as urllib3

    if isinstance(error, requests.exceptions.InvalidHeader):
        raise InputError("the request cannot be made: InvalidHeader")
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        raise unmade_request(url, error)
    root = _root(error)
    if isinstance(error, requests.exceptions.SSLError):
        return NoResponse(sent=False, reason=f"TLS: {root}", permanent=True, cause="tls")
    if isinstance(error, requests.exceptions.ProxyError):
        return no_proxy_response(root)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NoResponse(False, reason=f"no connection ({type(error).__name__})", cause="timeout")
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, (urllib3.NewConnectionError, urllib3.ConnectTimeoutError)):
        cause = "name" if isinstance(reason, urllib3.NameResolutionError) else "refused"
        return NoResponse(sent=False, reason=f"no connection ({root})", cause=cause)
    if isinstance(error, requests.exceptions.ReadTimeout):
        return NoResponse(sent=True, reason="the read timed out", cause="timeout")
    return NoResponse(sent=True, reason=f"the connection broke ({root})")


def _root(error: BaseException) -> str:
    """Return the innermost cause as text: the outer exceptions of ``requests`` repeat the whole URL."""
    seen = {id(error)}
    while (inner := error.__cause__ or error.__context__) is not None and id(inner) not in seen:
        seen.add(id(inner))
        error = inner
    return f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
