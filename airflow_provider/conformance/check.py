"""Checks as data: the requests of a check, the assumption behind it, and the reader of the replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider.core.http.reply import Reply

Level = Literal["public", "read", "scratch"]

LEVELS: tuple[Level, ...] = ("public", "read", "scratch")
"""Levels of checks; each level includes those before it."""

BAD_TOKEN = "conformance-bad-token"  # noqa: S105 - a token that no service has issued
"""Token of requests that must be refused."""

ANY_STATUS = frozenset(range(200, 600))
SUCCESS = frozenset(range(200, 300))


@dataclass(frozen=True)
class Answer:
    """A reply as a reader sees it.

    :param reply: the reply.
    :param seconds: seconds from the first request of the step to this reply.
    :param others: the further replies of a step that sends several requests.
    """

    reply: Reply
    seconds: float = 0.0
    others: tuple[Reply, ...] = ()

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by name, in any case."""
        return self.reply.headers

    def json(self) -> Any:
        """Return the decoded body."""
        return self.reply.json()


Facts = dict[str, Any]
"""Values of placeholders by name, as ``{key}``; they never leave the process."""

Extract = Callable[[Answer, Mapping[str, Any]], Any]
"""Function that finds the value of a placeholder in a reply; returns None when the reply has none."""


@dataclass(frozen=True)
class Step:
    """A request as a template: ``{name}`` stands for a value of the connection, or of an earlier reply.

    :param method: HTTP method.
    :param path: path below the base URL.
    :param base: name of the base URL, as the service's hook defines it.
    :param params: query.
    :param json: body as JSON; None sends none.
    :param form: body as a form.
    :param files: file of a form as name and content; ``form`` has its further fields.
    :param headers: further headers.
    :param bare: whether the headers that the hook adds are left out.
    :param login: ``own`` sends the connection's credentials, ``bad`` a token that no service knows, and
        ``none`` nothing; ``token`` is the connection's own request for a token.
    :param accepts: statuses that the reader understands; others leave the check open.
    :param fresh: whether the request is sent, although an equal one was answered before.
    :param once: whether the request is sent once in a run, and its reply is used by further checks.
    :param makes: kind of the object that the request makes, see :class:`Creation`.
    :param removes: kind of the object that the request removes.
    :param needs: further placeholders that must have a value before it is sent.
    :param until: condition for the end of a poll; None sends one request.
    :param at_most: maximum seconds of a poll.
    :param every: seconds between the requests of a poll; None for the usual distance.
    :param times: number of requests of a series.
    :param burst: whether the series is sent as fast as possible.
    :param status_only: whether the body of a successful reply is left unread, however long it is.
    :param after_write: whether the request reads what was written, so that it waits for slow services.
    :param pause: seconds to wait before it is sent, or the name of the placeholder that has them.
    """

    method: str
    path: str
    base: str = "api"
    params: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    files: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    login: Literal["own", "bad", "none", "token"] = "own"
    bare: bool = False
    accepts: frozenset[int] = SUCCESS
    fresh: bool = False
    once: bool = False
    makes: str = ""
    removes: str = ""
    needs: tuple[str, ...] = ()
    until: Extract | None = None
    at_most: float = 60.0
    every: float | None = None
    times: int = 1
    burst: bool = False
    status_only: bool = False
    after_write: bool = False
    pause: float | str = 0.0

    @property
    def template(self) -> str:
        """The request in one line, with its placeholders."""
        query = "&".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class Finder:
    """A request that finds the value of a placeholder.

    :param step: the request.
    :param extract: function that finds the value in its reply.
    :param missing: what the account lacks when there is no value.
    """

    step: Step
    extract: Extract
    missing: str


@dataclass(frozen=True)
class Creation:
    """A kind of object that checks make and remove; its name is ``{run}-`` and the kind.

    :param about: what is made, for the question before it.
    :param finder: the request that makes it, and the function that reads its id.
    :param remove: the request that removes it; ``{id}`` stands for its id. None for what cannot be removed.
    :param search: the request that finds it by its name, when the reply to its creation did not arrive.
    :param found: function that returns the ids of the objects with the name ``{name}``.
    :param look: the request that reads one object by its id, and the field that has its name; None where
        ``search`` lists all objects.
    """

    about: str
    finder: Finder
    remove: Step | None
    search: Step
    found: Callable[[Answer, str], list[str]]
    look: tuple[Step, str] | None = None


class OpenQuestionError(Exception):
    """A reader's statement that the replies do not answer the question.

    :param reason: why, without values of replies.
    """


class SkippedError(Exception):
    """The statement that a check cannot run here.

    :param reason: why.
    """


@dataclass(frozen=True)
class Observed:
    """The behaviour that a reader has seen.

    :param value: the value of the check's switch that stands for it.
    :param text: the behaviour in words, without values of replies.
    :param further: values of further switches.
    """

    value: Any
    text: str
    further: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[Sequence[Answer], Mapping[str, Any]], Observed]
"""Function from replies, and the values of the placeholders, to the observed behaviour."""


@dataclass(frozen=True)
class Check:
    """A question to a live service.

    :param id: the group of the plan and a name: ``M3.keys``.
    :param level: the least level at which it runs.
    :param question: what it finds out.
    :param steps: its requests.
    :param switch: the sandbox's switch for the assumption, without the service's name.
    :param assumed: the switch's default.
    :param assumption: the assumption in words.
    :param client: the module of the provider that relies on it.
    :param read: reader of the replies.
    :param danger: whether data can be lost or wrong where the assumption does not hold.
    :param opt_in: whether it runs on request only, because it sends many requests.
    :param waits: how long it waits, and what for; such a check runs on request only. Empty for no wait.
    :param condition: what the account must be like, where the sandbox's default is not; without it the check
        is skipped.
    :param refusal: what a 401 or 403 to a request without a wrong token means: a missing permission (empty),
        the ``answer`` to the question, or the answer unless the sign-in is ``compared`` and refused, too.
    :param moot: switches that leave nothing to ask when they are flipped, with the reason.
    """

    id: str
    level: Level
    question: str
    steps: tuple[Step, ...]
    switch: str
    assumed: Any
    assumption: str
    client: str
    read: Reader
    danger: bool = False
    opt_in: bool = False
    waits: str = ""
    condition: str = ""
    refusal: Literal["", "answer", "compared"] = ""
    moot: Mapping[str, str] = field(default_factory=dict)

    @property
    def option(self) -> str:
        """The option of the command line that asks for it; empty for none."""
        return "--wait" if self.waits else "--burst" if self.opt_in else ""

    @property
    def group(self) -> str:
        """The group, such as ``M3``."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class ServiceChecks:
    """All checks of a service.

    :param name: connection type, and name of the sandbox's service.
    :param checks: the checks, in the order in which they run.
    :param sign_in: a small request that shows whether credentials are accepted.
    :param finders: finders of placeholders by name.
    :param creations: objects that scratch checks make, by kind.
    :param fields: names of fields in replies that the vendor documents; a report names no others.
    :param token_path: path of the token endpoint, and the name of its base URL.
    :param default_hosts: pattern of host names that are the vendor's own.
    :param lag_step: the poll that finds out how long a write takes to be seen.
    :param note: what stays after scratch checks; empty for nothing.
    """

    name: str
    checks: tuple[Check, ...]
    sign_in: Step
    finders: Mapping[str, Finder] = field(default_factory=dict)
    creations: Mapping[str, Creation] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    token_path: tuple[str, str] = ("", "")
    default_hosts: str = ""
    lag_step: Step | None = None
    note: str = ""


def problem_of(reply: Reply) -> str:
    """Return the status of a reply in words, for a result."""
    return {401: "the token is refused (401)", 403: "a permission is missing (403)"}.get(
        reply.status, f"the service answers {reply.status}"
    )
