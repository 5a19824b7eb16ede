"""A request as data: what to send, whether it may be sent twice, and how its reply is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider.core.http.reply import Reply, read_json
from airflow_provider.errors import InputError

T = TypeVar("T")

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


def segment(value: object) -> str:
    """Quote one path segment, so that a name with ``/``, ``?``, ``#`` or ``%`` stays one segment.

    :raises InputError: for what no spelling keeps a segment: an empty name leads to the list around it, and
        ``.`` or ``..`` to what is above it, since ``%2E`` means the same as a dot (RFC 3986, 6.2.2.2).
    """
    text = str(value)
    if text in {"", ".", ".."}:
        raise InputError(f"{text!r} cannot be a name or an id in a request: it would lead elsewhere")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise InputError(f"{text!r} cannot be a name or an id in a request: it is no valid text") from None


def pairs(params: Params | None) -> tuple[tuple[str, str], ...]:
    """Spell query parameters as the wire has them.

    None is left out, a list repeats its key, booleans are ``true`` and ``false``.
    """
    if not params:
        return ()
    items: Iterable[tuple[str, Any]] = params.items() if isinstance(params, Mapping) else params
    out: list[tuple[str, str]] = []
    for key, value in items:
        many = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
        out += [(key, _spell(one)) for one in many if one is not None]
    return tuple(out)


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Unset:
    def __bool__(self) -> bool:
        return False


UNSET: Any = _Unset()
"""No body; different from a JSON ``null``."""

SUCCESS = frozenset(range(200, 300))


@dataclass(frozen=True, repr=False)
class Call(Generic[T]):
    """One request to a service.

    :param method: HTTP method, upper case.
    :param path: below the connection's base URL, segments quoted with :func:`segment`. An absolute URL is
        taken only when it has the connection's own origin.
    :param params: query, see :func:`pairs`.
    :param json: body, sent as JSON.
    :param form: body, sent url-encoded.
    :param content: body as bytes, or a function that opens a fresh stream of chunks for each try.
    :param headers: further headers.
    :param good: statuses that mean it worked.
    :param repeatable: sending it twice does no harm. A call that is not repeatable is sent again only
        when the service surely did not act on it.
    :param read: makes the result from the reply; raises ``ValueError`` when the reply cannot be read.
    :param base: which of the connection's base URLs: ``api``, or a name the vendor's hook knows.
    :param authenticated: send the connection's credentials along.
    :param status_only: the body of a good reply is not read, however long it is.
    :param name: what it does, for logs and errors ("update 500 objects").
    """

    method: str
    path: str
    params: Params | None = None
    json: Any = UNSET
    form: Mapping[str, str] | None = None
    content: bytes | Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    good: frozenset[int] = SUCCESS
    repeatable: bool = True
    read: Callable[[Reply], T] = read_json
    base: str = "api"
    authenticated: bool = True
    status_only: bool = False
    name: str = ""

    def __repr__(self) -> str:
        # Path, query, headers and body may each hold a credential.
        return f"<Call {self.method} ({self.name or 'without a name'})>"

    def reading(self, read: Callable[[Reply], Any]) -> Call[Any]:
        """Give the same request with another way to read its reply."""
        return replace(self, read=read)

    def body(self) -> tuple[bytes | Iterator[bytes] | None, str | None]:
        """Give the body for one try, and its content type."""
        if self.json is not UNSET:
            import msgspec

            return msgspec.json.encode(self.json), "application/json"
        if self.form is not None:
            return urlencode(self.form).encode(), "application/x-www-form-urlencoded"
        if callable(self.content):
            return self.content(), None
        return self.content, None
