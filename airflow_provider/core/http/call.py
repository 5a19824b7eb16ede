"""Request as data: method, path, body, reader of the reply, and whether a repeat is safe."""

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

    :param value: a name or an id: a text, or a number or UUID of any library.
    :raises InputError: for a missing value, also as a template writes it (``None``, ``nan``), for a value
        that is no text, and for a name that no encoding keeps a segment: an empty name leads to the enclosing
        list, ``.`` and ``..`` lead to another path, as ``%2E`` means the same as a dot (RFC 3986, 6.2.2.2).
    """
    text = "" if value is None else _text(value, "a name or an id in a request")
    if text.strip() in {"", ".", ".."}:
        raise InputError(f"{value!r} cannot be a name or an id in a request: the URL would lead elsewhere")
    if text.strip() in _NO_VALUES or isinstance(value, bool):
        raise InputError(f"{value!r} cannot be a name or an id in a request: it stands for no value")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise InputError(f"{text!r} cannot be a name or an id in a request: it is not valid text") from None


def pairs(params: Params | None) -> tuple[tuple[str, str], ...]:
    """Return query parameters as pairs of texts, in their order.

    None is left out, a list repeats its key, booleans are ``true`` and ``false``.

    :param params: a mapping, or pairs.
    :raises InputError: for NaN and for None in a list, which would leave a condition out, and for a value
        that has no text.
    """
    if not params:
        return ()
    items: Iterable[tuple[str, Any]] = params.items() if isinstance(params, Mapping) else params
    out: list[tuple[str, str]] = []
    for key, value in items:
        if value is None:
            continue
        values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
        out += [(key, _text(item, f"the query parameter {key!r}")) for item in values]
    return tuple(out)


_NO_VALUES = frozenset({"None", "nan", "NaN", "NaT", "<NA>"})
"""Texts that a template makes of a value that is not there."""


def _text(value: object, what: str) -> str:
    """Return a value as the text of a URL.

    :raises InputError: when it is missing, or has no text.
    """
    if type(value) is str:
        return value
    from airflow_provider.core.input.values import ABSENT, UnreadableValueError, ValueReader, read_text, shown

    try:
        read = ValueReader().read(value)
        if read is not None and read is not ABSENT:
            return read_text(read)
    except UnreadableValueError as problem:
        raise InputError(f"{what} {problem}") from None
    raise InputError(f"{what} must be a text, not {shown(value)}")


class _Unset:
    def __bool__(self) -> bool:
        return False


UNSET: Any = _Unset()
"""No body; different from a JSON ``null``."""

SUCCESS = frozenset(range(200, 300))
"""HTTP statuses that mean success, unless a call names others."""


@dataclass(frozen=True, repr=False)
class Call(Generic[T]):
    """One request to a service.

    :param method: HTTP method, upper case.
    :param path: path below the connection's base URL, segments quoted with :func:`segment`. An absolute URL
        must have the connection's own origin.
    :param params: query, see :func:`pairs`.
    :param json: body, sent as JSON.
    :param form: body, sent url-encoded.
    :param content: body as bytes, or a function that opens a fresh stream of chunks for each attempt.
    :param headers: further headers.
    :param success_statuses: HTTP statuses that mean success.
    :param repeatable: whether a repeat does no harm. A call that is not repeatable is retried only when the
        service certainly did not act on it.
    :param read: function that makes the result from the reply; raises ``ValueError`` for an unreadable reply.
    :param base: name of the base URL: ``api``, or a name that the vendor's hook defines.
    :param authenticated: whether the connection's credentials are sent along.
    :param status_only: whether the body of a successful reply is left unread, however long it is.
    :param name: the purpose, for logs and errors ("update 500 objects").
    """

    method: str
    path: str
    params: Params | None = None
    json: Any = UNSET
    form: Mapping[str, str] | None = None
    content: bytes | Callable[[], Iterator[bytes]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    success_statuses: frozenset[int] = SUCCESS
    repeatable: bool = True
    read: Callable[[Reply], T] = read_json
    base: str = "api"
    authenticated: bool = True
    status_only: bool = False
    name: str = ""

    def __repr__(self) -> str:
        # Path, query, headers and body may each hold a credential.
        return f"<Call {self.method} ({self.name or 'without a name'})>"

    def with_reader(self, read: Callable[[Reply], Any]) -> Call[Any]:
        """Return the same request with another reader of its reply."""
        return replace(self, read=read)

    def body(self) -> tuple[bytes | Iterator[bytes] | None, str | None]:
        """Return the body for one attempt, and its content type."""
        if self.json is not UNSET:
            import msgspec

            return msgspec.json.encode(self.json), "application/json"
        if self.form is not None:
            return urlencode(self.form).encode(), "application/x-www-form-urlencoded"
        if callable(self.content):
            return self.content(), None
        return self.content, None
