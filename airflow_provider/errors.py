"""What can go wrong, as a tree of exceptions.

Messages never hold a credential: whoever raises one of these passes text through
:mod:`airflow_provider.core.redaction` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class ProviderError(Exception):
    """The base of every error that this provider raises on purpose."""


class InputError(ProviderError, ValueError):
    """Arguments, rows, a file or a connection cannot be used as they are; nothing was sent yet.

    :param problems: one sentence for each problem, each naming its row or field. All problems of an
        input are reported at once.
    :param what: what was looked at, for the first line ("3 problems in <what>").
    """

    SHOWN = 20

    LONGEST = 3_500
    """Characters of the listed problems, so that logs and the UI show the whole error."""

    def __init__(self, problems: str | Iterable[str], what: str = "") -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        self.what = what
        super().__init__(self.problems, what)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.what}: {self.problems[0]}" if self.what else self.problems[0]
        lines, left = [f"{len(self.problems)} problems in {self.what or 'the input'}:"], self.LONGEST
        for problem in self.problems[: self.SHOWN]:
            left -= len(problem)
            if left < 0 and len(lines) > 1:
                break
            lines.append(f"  - {problem}")
        if len(self.problems) >= len(lines):
            lines.append(f"  ... and {len(self.problems) - len(lines) + 1} more")
        return "\n".join(lines)


class ApiError(ProviderError):
    """The service answered, and the answer is a refusal or a failure.

    :param status: the HTTP status code.
    :param code: the service's own error code, empty when it gave none.
    :param message: what the service said, shortened and without secrets.
    :param request: the request in one line, without its query.
    :param body: the start of the reply's body, without secrets.
    :param retry_after: seconds after which another try makes sense; None when the service did not say.
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
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.request = request
        self.body = body
        self.retry_after = retry_after

    def __str__(self) -> str:
        head = f"{self.request} answered {self.status}" if self.request else f"HTTP {self.status}"
        said = ": ".join(part for part in (self.code, self.message) if part)
        text = f"{head}: {said}" if said else head
        advice = f"it asks to wait {_seconds(self.retry_after)} s" if self.retry_after else self.advice
        return f"{text} ({advice})" if advice else text


def _seconds(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


class AuthenticationError(ApiError):
    """The service does not accept the credentials (401, or a refused token request)."""

    advice = "check login and password of the connection"


class PermissionDeniedError(ApiError):
    """The credentials are good but not allowed to do this (403)."""

    advice = "the credentials are valid but lack a permission, role or scope for this"


class NotFoundError(ApiError):
    """What the request names does not exist, or not for these credentials (404, 410)."""


class RequestRejectedError(ApiError):
    """The service understood the request and refuses it (400, 409, 422 and other 4xx; redirects too)."""


class RateLimitedError(ApiError):
    """The service asks to slow down (429), for longer than a worker should wait."""

    def __init__(self, status: int = 429, code: str = "", message: str = "", **details: Any) -> None:
        super().__init__(status, code, message, **details)


class ServerError(ApiError):
    """The service failed (5xx), or sent a reply that cannot be read, after all tries."""


class TransportError(ProviderError):
    """No answer came: the host could not be reached, or the connection broke, after all tries."""


class AmbiguousWriteError(ProviderError):
    """A write was sent, its answer was lost, and sending it again could act twice.

    Look at the service's state before you try again.

    :param message: the request, and what happened.
    :param why: only what happened to the answer.
    """

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why


class RunFailedError(ProviderError):
    """A run on the service ended badly.

    :param run_id: the run's id on the service.
    :param status: its last status.
    :param reason: what is known of why, counts and first warnings included.
    """

    def __init__(self, run_id: str, status: str, reason: str = "") -> None:
        super().__init__(run_id, status, reason)
        self.run_id = run_id
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        text = f"run {self.run_id} ended as {self.status}"
        return f"{text}: {self.reason}" if self.reason else text


class IncompleteExportError(ProviderError):
    """An export does not hold what the service said it should; nothing was published."""


class PlanRejectedError(ProviderError):
    """A plan breaks a guard, or the world changed since it was made; nothing was written."""


class PartialWriteError(ProviderError):
    """Some rows could not be written; everything else was.

    :param failures: one sentence for each failure, naming its row.
    :param counts: what was done all the same.
    """

    SHOWN = 20

    def __init__(self, failures: Iterable[str], counts: Mapping[str, int] | None = None) -> None:
        self.failures: list[str] = list(failures)
        self.counts = dict(counts or {})
        super().__init__(self.failures, self.counts)

    def __str__(self) -> str:
        done = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        lines = [f"{len(self.failures)} failures{f' ({done})' if done else ''}:"]
        lines += [f"  - {failure}" for failure in self.failures[: self.SHOWN]]
        if len(self.failures) > self.SHOWN:
            lines.append(f"  ... and {len(self.failures) - self.SHOWN} more")
        return "\n".join(lines)


class VerificationError(ProviderError):
    """A write was accepted, but reading back shows something else.

    :param differences: one sentence for each difference: object, field, wanted, found.
    """

    SHOWN = 20

    def __init__(self, differences: str | Iterable[str]) -> None:
        self.differences: list[str] = [differences] if isinstance(differences, str) else list(differences)
        super().__init__(self.differences)

    def __str__(self) -> str:
        if len(self.differences) == 1:
            return self.differences[0]
        lines = [f"{len(self.differences)} values are not as written:"]
        lines += [f"  - {difference}" for difference in self.differences[: self.SHOWN]]
        if len(self.differences) > self.SHOWN:
            lines.append(f"  ... and {len(self.differences) - self.SHOWN} more")
        return "\n".join(lines)
