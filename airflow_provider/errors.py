"""Exceptions of the provider, all below :class:`ProviderError`.

Messages never hold a credential: text from outside passes :mod:`airflow_provider.core.redaction` before it
becomes part of an exception. Nor do they hold control characters, whatever a service or a row has sent: a
terminal would obey them, and a line break would look like a further line of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def shorten(items: Sequence[str], limit: int) -> list[str]:
    """Return the first items of a list for a message, then "and N more" in place of the rest.

    :param limit: the number of items to keep.
    """
    rest = len(items) - limit
    return [*items[:limit], f"and {rest} more"] if rest > 0 else list(items)


def without_stop(text: str) -> str:
    """Return a text without the full stop at its end, for a sentence that continues after it.

    :param text: perhaps the words of a service, which may be a sentence or not.
    """
    text = text.rstrip()
    return text[:-1] if text.endswith(".") and not text.endswith("..") else text


def clauses(*parts: str, by: str = "; ") -> str:
    """Return one sentence of several parts, without full stops between them and without empty parts.

    :param parts: parts, such as the words of a service and what to do.
    :param by: the mark between them.
    """
    given = [part for part in parts if part and not part.isspace()]
    return by.join([*map(without_stop, given[:-1]), *given[-1:]])


def with_article(noun: str) -> str:
    """Return a noun with its article: ``a room``, ``an area``, ``a UUID``.

    :param noun: the noun.
    """
    return f"{'an' if noun.lower().startswith(tuple('aeio')) else 'a'} {noun}"


MAX_LINE = 300
"""Maximum characters of one item in a message."""

MAX_BYTES = 3900
"""Maximum bytes of a message in UTF-8: a log line with it stays below 4 KB."""

_MAX_ALONE = 1000
"""Maximum characters of a line that no list is part of."""


def cut(text: str, longest: int = MAX_LINE) -> str:
    """Return a text of limited length; what is cut off becomes an ellipsis.

    :param longest: maximum number of characters.
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_line(text: str) -> str:
    """Return a text as one harmless line of a log: control and direction characters become visible escapes.

    Airflow's UI folds log lines from a marker of a group on, wherever it stands in a line, so markers are
    broken up.

    :param text: any text, perhaps hostile.
    """
    if not text.isprintable():
        text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return re.sub(_GROUP, ": :", text) if "::" in text else text


_GROUP = r"::(?=(?:end)?group::)"


def _capped(text: str, longest: int = _MAX_ALONE) -> str:
    """Return a message with each line and the whole of limited length, without control characters."""
    # Texts from outside are one line each before they become part of a message of several lines.
    text = "\n".join(one_line(cut(line, longest)) for line in text.split("\n"))
    data = text.encode("utf-8", "replace")
    return text if len(data) <= MAX_BYTES else f"{data[: MAX_BYTES - 3].decode('utf-8', 'ignore')}…"


_ROW = r"(row|item) (\S+:)?\d+( \(.*?\))?: "

_SAMPLES = 3
"""Problems of one kind that a message lists before those of other kinds."""


def _samples(items: Sequence[str], limit: int) -> Sequence[str]:
    """Return a list whose first items are of different kinds, so that many of one kind hide no other."""
    if len(items) <= limit:
        return items
    counts: dict[str, int] = {}
    first: list[str] = []
    rest: list[str] = []
    for item in items:
        kind = " ".join(re.sub(_ROW, "", cut(item), count=1).split(" ", 4)[:4])
        counts[kind] = counts.get(kind, 0) + 1
        (first if counts[kind] <= _SAMPLES else rest).append(item)
    return [*first, *rest]


def _bullets(heading: str, items: Sequence[str], limit: int, total: int) -> str:
    """Return a list for a message: as many items as there is room for, then the number of the others."""
    lines, room = [one_line(cut(heading))], MAX_BYTES - 2 * MAX_LINE
    for item in items[:limit]:
        line = f"  - {cut(one_line(cut(item)))}"
        room -= len(line.encode("utf-8", "replace")) + 1
        if room < 0:
            break
        lines.append(line)
    rest = total + 1 - len(lines)
    return _capped("\n".join([*lines, *([f"  - and {rest} more"] if rest else [])]))


class ProviderError(Exception):
    """The base of every error that this provider raises on purpose."""

    def __str__(self) -> str:
        return _capped(one_line(super().__str__()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({cut(str(self), _MAX_ALONE)!r})"


class InputError(ProviderError, ValueError):
    """Arguments, rows, a file or a connection are invalid; no request was sent.

    :param problems: one sentence for each problem, each naming its row or field. All problems of an
        input are reported at once.
    :param subject: the invalid input, for the first line ("3 problems in <subject>").
    """

    SHOWN = 20
    """Problems that the message lists."""

    def __init__(self, problems: str | Iterable[str], subject: str = "") -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        self.subject = subject
        self.total = len(self.problems)
        super().__init__(self.problems, subject)

    def __str__(self) -> str:
        if self.total == 1:
            problem = _capped(one_line(self.problems[0]))
            return f"{one_line(cut(self.subject))}: {problem}" if self.subject else problem
        heading = f"{self.total} problems in {self.subject or 'the input'}:"
        return _bullets(heading, _samples(self.problems, self.SHOWN), self.SHOWN, self.total)


class ApiError(ProviderError):
    """The service replied with a refusal or a failure.

    :param status: the HTTP status code.
    :param code: the service's own error code, empty when the reply has none.
    :param message: the service's error message, shortened and without secrets.
    :param request: the request in one line, without its query.
    :param body: the start of the reply's body, without secrets.
    :param retry_after: seconds after which a retry may succeed; None when the service named no delay.
    :param is_page: whether the reply was a web page (HTML), not the API's.
    :param location: target of a redirect without its query; empty for other replies.
    """

    advice = ""

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        *,
        request: str = "",
        body: str = "",
        retry_after: float | None = None,
        is_page: bool = False,
        location: str = "",
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.request = request
        self.body = body
        self.retry_after = retry_after
        self.is_page = is_page
        self.location = location

    def __str__(self) -> str:
        head = f"{cut(self.request)} answered {self.status}" if self.request else f"HTTP {self.status}"
        said = ": ".join(part for part in (self.code, self.message) if part)
        text = _capped(one_line(f"{head}: {said}" if said else head))
        advice = f"it asks to wait {_seconds(self.retry_after)} s" if self.retry_after else self.advice
        return f"{without_stop(text)} ({advice})" if advice else text


def _seconds(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


class AuthenticationError(ApiError):
    """The service rejects the credentials (401, or a refused token request)."""

    advice = "check login and password of the connection"


class PermissionDeniedError(ApiError):
    """The credentials are valid but lack a permission for the request (403)."""

    advice = "the credentials are valid but lack a permission, role or scope for this"


class NotFoundError(ApiError):
    """The requested resource does not exist, or these credentials may not see it (404, 410)."""


class RequestRejectedError(ApiError):
    """The service understood the request and refuses it (400, 409, 422 and other 4xx; redirects too)."""


class RateLimitedError(ApiError):
    """The service asks for a slower rate (429), and for a longer delay than a worker should wait.

    Or the request budget that all tasks share is used up for so long, and the request was not sent.
    """

    OWN_BUDGET = "request_budget"
    """``code`` of an error that no reply of the service caused."""

    def __init__(self, status: int = 429, code: str = "", message: str = "", **details: Any) -> None:
        super().__init__(status, code, message, **details)

    def __str__(self) -> str:
        return _capped(self.message) if self.code == self.OWN_BUDGET else super().__str__()


class ServerError(ApiError):
    """The service failed (5xx) or sent an unreadable reply, in every attempt."""


class TransportError(ProviderError):
    """No response: the host could not be reached, or the connection broke, in every attempt.

    :param message: the request and the cause of the missing response.
    :param cause: ``name`` (unknown to DNS), ``refused``, ``timeout``, ``tls`` or ``proxy``; empty for others.
    :param reason: the cause alone, as a text.
    :param request: the request in one line, without its query.
    """

    def __init__(self, message: str, *, cause: str = "", reason: str = "", request: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.reason = reason
        self.request = request


class DatabaseError(ProviderError):
    """The database of a query could not be reached, or failed; a retry may succeed.

    The message has no values of rows, no parameters and no password.
    """


class AmbiguousWriteError(ProviderError):
    """A write was sent, no response came, and a retry could act twice.

    Check the state on the service before repeating the write.

    :param message: the request and its outcome.
    :param reason: the cause of the missing response alone.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class RunFailedError(ProviderError):
    """A run on the service ended without success.

    :param run_id: the run's id on the service.
    :param status: its last status.
    :param reason: the known cause, with counts and the first warnings.
    """

    def __init__(self, run_id: str, status: str, reason: str = "") -> None:
        super().__init__(run_id, status, reason)
        self.run_id = run_id
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        text = one_line(f"run {self.run_id} ended as {self.status}")
        return _capped(f"{text}: {self.reason}" if self.reason else text, MAX_LINE)


class RunTimeoutError(RunFailedError):
    """A run was not finished when the task stopped waiting for it; it may still finish on the service."""

    def __str__(self) -> str:
        text = one_line(f"run {self.run_id} timed out, its last status is {self.status}")
        return _capped(f"{text}: {self.reason}" if self.reason else text)


class IncompleteExportError(ProviderError):
    """An export does not hold the rows that the service announced; no file was written."""


class PlanRejectedError(ProviderError):
    """A plan breaks a guard, or the service's data changed since it was made; nothing was written.

    When another client changes rows while a plan is being written, the message says what was written before.
    """


class PartialWriteError(ProviderError):
    """Some rows could not be written; all others were.

    :param failures: one sentence for each failure, naming its row.
    :param counts: the rows written, by kind of write.
    """

    SHOWN = 20
    """Failures that the message lists."""

    def __init__(self, failures: Iterable[str], counts: Mapping[str, int] | None = None) -> None:
        self.failures: list[str] = list(failures)
        self.counts = dict(counts or {})
        self.total = len(self.failures)
        super().__init__(self.failures, self.counts)

    def __str__(self) -> str:
        done = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        failures = f"{self.total} {'failure' if self.total == 1 else 'failures'}"
        heading = f"{failures}{f' ({done})' if done else ''}:"
        return _bullets(heading, self.failures, self.SHOWN, self.total)


class VerificationError(ProviderError):
    """A write was accepted, but reading back shows other values.

    :param differences: one sentence for each difference: object, field, expected value, value found.
    """

    SHOWN = 20
    """Differences that the message lists."""

    def __init__(self, differences: str | Iterable[str]) -> None:
        self.differences: list[str] = [differences] if isinstance(differences, str) else list(differences)
        self.total = len(self.differences)
        super().__init__(self.differences)

    def __str__(self) -> str:
        if self.total == 1:
            return _capped(one_line(self.differences[0]))
        heading = f"{self.total} values are not as written:"
        return _bullets(heading, self.differences, self.SHOWN, self.total)
