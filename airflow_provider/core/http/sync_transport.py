"""Sends calls with ``requests``, for workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider.core.http.call import Call
from airflow_provider.core.http.endpoint import USER_AGENT, Endpoint, Request
from airflow_provider.core.http.reply import BodyReader, NoResponse, Reply, read_nothing
from airflow_provider.core.http.retry import Outcome, OutcomeKind, result_or_raise, tenacity_options
from airflow_provider.core.redaction import without_query
from airflow_provider.core.urls import is_loopback
from airflow_provider.errors import InputError, TransportError

if TYPE_CHECKING:
    import requests
    from airflow.sdk.types import Logger


T = TypeVar("T")

clock = time.time

_POOL = 32


_CHUNK = 256 * 1024


class Stream:
    """A reply whose body is read in chunks.

    :param response: the open response.
    :param what: the request in one line, for errors.
    """

    def __init__(self, response: requests.Response, what: str) -> None:
        self._response = response
        self._what = what
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def chunks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """Give the body piece by piece, decompressed.

        :raises TransportError: when the body breaks off before its end.
        """
        import requests

        try:
            yield from self._response.iter_content(size)
        except requests.RequestException as error:
            raise TransportError(f"{self._what} broke off: {type(error).__name__}") from None


class Transport:
    """One pool of keep-alive connections to an endpoint; threads may share it.

    :param endpoint: where calls go.
    :param log: gets a line for each repeated try.
    :param sleep: waits so many seconds.
    """

    def __init__(self, endpoint: Endpoint, log: Logger, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self._lock = threading.Lock()
        self._log = log
        self._sleep = sleep
        self._deadline = float("inf")
        self._session: requests.Session | None = None

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Within the block, go on with no request past a moment; the last one has a second to be answered.

        :param deadline: seconds since the epoch.
        """
        before, self._deadline = self._deadline, deadline
        try:
            yield
        finally:
            self._deadline = before

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe and may help, and give what its reader made of the reply.

        :raises ProviderError: what the outcome means, see :mod:`airflow_provider.errors`.
        """
        result: T = self._loop(lambda: self._attempt(call, self._exchange))
        return result

    @contextmanager
    def stream(self, call: Call[Any]) -> Iterator[Stream]:
        """Send a call and give its reply with the body still to be read in chunks.

        Opening is tried again like any call. Once the body flows, a break raises ``TransportError``.
        """
        what = self.endpoint.describe(call)
        response = self._loop(lambda: self._attempt(call, self._open))
        with response:
            yield Stream(response, what)

    @contextmanager
    def download(self, url: str) -> Iterator[Stream]:
        """Read a URL that a reply named, in chunks, without any credential.

        :raises InputError: when the connection does not allow the host, see ``Endpoint.check_download``.
        """
        self.endpoint.check_download(url)
        call: Call[Any] = Call("GET", without_query(url), authenticated=False, name="download")
        request = Request("GET", url, {"Accept": "*/*", "User-Agent": USER_AGENT})
        what = self.endpoint.describe(call)
        response = self._loop(lambda: result_or_raise(self._open_request(call, request)))
        with response:
            yield Stream(response, what)

    def upload(
        self, url: str, content: bytes | Callable[[], Iterator[bytes]], headers: Mapping[str, str]
    ) -> None:
        """Put a file to a URL that a reply named, without any credential.

        :param content: the bytes, or a function that opens a fresh stream of them for each try.
        :raises InputError: when the connection does not allow the host, see ``Endpoint.check_download``.
        """
        self.endpoint.check_download(url)
        call: Call[None] = Call(
            "PUT", without_query(url), content=content, authenticated=False, read=read_nothing, name="upload"
        )

        def attempt() -> None:
            sent = {"User-Agent": USER_AGENT, **headers}
            answer = self._perform(Request("PUT", url, sent, call.body()[0]))
            result_or_raise(self.endpoint.classify(call, _read_body(call, answer)))

        self._loop(attempt)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _loop(self, attempt: Callable[[], Any]) -> Any:
        from tenacity import Retrying

        options = tenacity_options(
            self.endpoint.retry_limits, self.endpoint.budget, self._log, self._seconds_left
        )
        return Retrying(sleep=self._sleep, **options)(attempt)

    def _seconds_left(self) -> float:
        return self._deadline - clock()

    def _attempt(self, call: Call[Any], exchange: Callable[[Call[Any], str], Outcome]) -> Any:
        """Send once; when the token is refused, get a new one and send once more."""
        credential, realm = self.endpoint.credential, self.endpoint.bases[call.base]
        token = credential.token(self.send, realm) if call.authenticated else ""
        outcome = exchange(call, token)
        if self.endpoint.can_renew_token(call, outcome, token):
            credential.forget(token, realm)
            outcome = exchange(call, credential.token(self.send, realm))
        return result_or_raise(outcome)

    def _exchange(self, call: Call[Any], token: str) -> Outcome:
        answer = self._perform(self.endpoint.prepare(call, token))
        return self.endpoint.classify(call, _read_body(call, answer))

    def _open(self, call: Call[Any], token: str) -> Outcome:
        return self._open_request(call, self.endpoint.prepare(call, token))

    def _open_request(self, call: Call[Any], request: Request) -> Outcome:
        answer = self._perform(request)
        if not isinstance(answer, NoResponse) and answer.status_code in call.good:
            return Outcome(OutcomeKind.DONE, value=answer)
        return self.endpoint.classify(call, _read_body(call, answer))

    def _perform(self, request: Request) -> requests.Response | NoResponse:
        import requests

        if self.endpoint.budget and (wait := self.endpoint.budget.reserve()) > 0:
            self._sleep(wait)
        with self._lock:
            self.requests += 1
        try:
            return self._ready().request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=self._timeout(),
                verify=self.endpoint.settings.verify,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            return _no_response(error)
        except UnicodeError:
            raise InputError("the request cannot be made: a header that HTTP cannot carry") from None
        except OSError:
            # requests has an exception of its own for everything but this.
            raise InputError(f"extra 'verify': {self.endpoint.settings.verify} cannot be read") from None

    def _timeout(self) -> tuple[float, float]:
        connect, read = self.endpoint.settings.timeout
        left = max(1.0, self._seconds_left())
        return min(connect, left), min(read, left)

    def _ready(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = _new_session()
            return self._session


def _new_session() -> requests.Session:
    from http.cookiejar import DefaultCookiePolicy

    import requests
    from requests.adapters import HTTPAdapter

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """Never look where a redirect leads: requests would fail at what it cannot read."""

        def merge_environment_settings(
            self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            """Reach this machine without a proxy: what may be plain http here must not leave it."""
            settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
            if is_loopback(urlsplit(url).hostname):
                settings["proxies"] = {}
            return settings

    session = Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_POOL, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # Without this, an entry in ~/.netrc would replace the Authorization header.
    session.auth = _as_it_is
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read_body(call: Call[Any], answer: requests.Response | NoResponse) -> Reply | NoResponse:
    """Read the body of an answer, as far as it may go."""
    import requests

    if isinstance(answer, NoResponse):
        return answer
    gathering = BodyReader(call.good, answer.status_code, answer.headers)
    if call.status_only and answer.status_code in call.good:
        answer.close()
        return gathering.outcome()
    try:
        with answer:
            for chunk in answer.iter_content(_CHUNK) if gathering.fits else ():
                if not gathering.add(chunk):
                    break
    except requests.RequestException as error:
        return _no_response(error)
    return gathering.outcome()


def _no_response(error: Exception) -> NoResponse:
    """Say whether the service may have seen a request that ended in this exception."""
    import requests
    from urllib3 import exceptions as urllib3

    invalid = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidHeader,
        requests.exceptions.InvalidSchema,
    )
    if isinstance(error, invalid):
        raise InputError(f"the request cannot be made: {type(error).__name__}") from None
    if isinstance(error, requests.exceptions.SSLError):
        return NoResponse(sent=False, why=f"TLS: {_root(error)}", hopeless=True)
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)):
        return NoResponse(sent=False, why=f"no connection ({type(error).__name__})")
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, (urllib3.NewConnectionError, urllib3.ConnectTimeoutError)):
        return NoResponse(sent=False, why=f"no connection ({_root(error)})")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return NoResponse(sent=True, why="no answer in time")
    return NoResponse(sent=True, why=f"the connection broke ({_root(error)})")


def _root(error: BaseException) -> str:
    """Give the innermost cause: the outer ones of ``requests`` repeat the whole URL."""
    seen = {id(error)}
    while (inner := error.__cause__ or error.__context__) is not None and id(inner) not in seen:
        seen.add(id(inner))
        error = inner
    return f"{type(error).__name__}: {error}" if isinstance(error, OSError) else type(error).__name__
