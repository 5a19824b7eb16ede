"""Runner: run checks one after another, and compare what they observe with what the provider assumes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from airflow_provider.conformance.check import (
    SUCCESS,
    Answer,
    Check,
    Facts,
    Observed,
    OpenQuestionError,
    ServiceChecks,
    SkippedError,
    Step,
    problem_of,
)
from airflow_provider.conformance.created import Created, CreatedObjects, own_id, usable_id
from airflow_provider.conformance.guard import READS
from airflow_provider.conformance.meter import SpentError
from airflow_provider.conformance.wire import ServiceBusyError, Wire, placeholders
from airflow_provider.core.http.reply import Reply
from airflow_provider.errors import AuthenticationError, ProviderError, RateLimitedError

Outcome = Literal["same", "differs", "differs!", "unsettled", "skipped"]

READER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""Exceptions of readers for replies of an unexpected form."""


REFUSALS = "the service refuses further requests (429)"

_REFUSED = frozenset({401, 403})
_GONE = frozenset({404, 410})
_NOT_MADE = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422})
"""Statuses by which a service says that it has made no object; after others it is searched for."""

_ROUNDS = 3
"""Maximum rounds of a removal, each of which ends with a search for what is left."""

_SEARCHES = 4
_SEARCH_SECONDS = 2.0
"""Seconds between the searches for an object that a service may be making still."""


@dataclass(frozen=True)
class Exchange:
    """A request of a check, and its reply.

    :param step: the request's template.
    :param reply: the reply.
    :param seconds: seconds from the first request of a poll.
    """

    step: Step
    reply: Reply
    seconds: float


@dataclass(frozen=True)
class Result:
    """The result of a check.

    :param check: the check.
    :param outcome: ``same``, ``differs``, ``differs!`` (data can be lost or wrong), ``unsettled`` or
        ``skipped``.
    :param text: what was found, or why nothing was.
    :param observed: the behaviour; None without one.
    :param exchanges: requests that were sent for it.
    :param seconds: its duration.
    """

    check: Check
    outcome: Outcome
    text: str
    observed: Observed | None = None
    exchanges: tuple[Exchange, ...] = ()
    seconds: float = 0.0

    @property
    def switches(self) -> dict[str, object]:
        """Values of the service's switches that stand for what was observed, where it differs."""
        if self.observed is None or self.outcome not in {"differs", "differs!"}:
            return {}
        return {self.check.switch: self.observed.value, **self.observed.further}


@dataclass
class Runner:
    """Runs the checks of a service.

    :param service: the service's checks.
    :param wire: sends requests.
    :param facts: values of placeholders.
    :param created: objects that the run makes; None at levels that make none.
    :param answered: number of replies so far.
    :param is_forbidden: whether the credentials lack the permission for the sign-in's small request.
    """

    service: ServiceChecks
    wire: Wire
    facts: Facts
    created: CreatedObjects | None = None
    answered: int = 0
    is_forbidden: bool = False
    _answers: dict[str, Answer] = field(default_factory=dict)
    _lag: Answer | None = None
    _exchanges: list[Exchange] = field(default_factory=list)
    _refused: int = 0

    def run(self, checks: Iterable[Check]) -> Iterator[Result]:
        """Yield the result of each check."""
        for check in checks:
            yield self._result_of(check)

    def _result_of(self, check: Check) -> Result:
        now = self.wire.meter.clock.now
        started, self._exchanges = now(), []
        observed, outcome, text = self._observe(check)
        if observed is not None:
            differs: Outcome = "differs!" if check.danger else "differs"
            outcome = "same" if _equal(observed.value, check.assumed) else differs
        return Result(check, outcome, text, observed, tuple(self._exchanges), now() - started)

    def _observe(self, check: Check) -> tuple[Observed | None, Outcome, str]:
        try:
            answers = [self._answer_for(check, step) for step in check.steps]
            observed = check.read(answers, self.facts)
        except (SkippedError, SpentError) as error:
            return None, "skipped", str(error)
        except OpenQuestionError as error:
            return None, "unsettled", str(error)
        except AuthenticationError:
            return None, "skipped", "the token is refused (401)"
        except (RateLimitedError, ServiceBusyError):
            return None, "unsettled", REFUSALS
        except ProviderError as error:
            return None, "unsettled", f"no usable answer ({type(error).__name__})"
        except READER_ERRORS:
            return None, "unsettled", "the reply has an unexpected form"
        return observed, "same", observed.text

    def _answer_for(self, check: Check, step: Step) -> Answer:
        """Return the answer to a step of a check.

        :raises SkippedError: for a refusal that shows a missing permission, and no behaviour.
        """
        answer = self._answer(step)
        is_answer = check.refusal == "answer" or (check.refusal == "compared" and not self.is_forbidden)
        if answer.status in _REFUSED and step.login != "bad" and not is_answer:
            raise SkippedError(problem_of(answer.reply))
        return answer

    def _answer(self, step: Step) -> Answer:
        """Send a step, unless an equal one was answered.

        :raises OpenQuestionError: for a status that the check's reader does not understand.
        :raises SkippedError: for a missing permission, or a value that the account does not have.
        """
        if step.base == "project" and "project" not in self.facts:
            raise SkippedError("the connection names no project")
        paused = {step.pause} if isinstance(step.pause, str) else set()
        for name in sorted(placeholders(_templates(step)) | paused | {*step.needs}):
            self._obtain(name)
        key = _key(step)
        answer = None if step.fresh or step.after_write else self._answers.get(key)
        if answer is None:
            answer = self._make(step) if step.makes else self._send(step)
            if step is self.service.lag_step or _has_one_answer(step):
                self._answers[key] = answer
        elif answer.status in step.accepts:
            self._exchanges.append(Exchange(step, answer.reply, answer.seconds))
        if answer.status not in step.accepts:
            kind = SkippedError if answer.status in _REFUSED else OpenQuestionError
            raise kind(problem_of(answer.reply))
        return answer

    def _obtain(self, name: str) -> None:
        if name in self.facts:
            return
        finder = self.service.finders.get(name)
        if finder is None and name in self.service.creations:
            finder = self.service.creations[name].finder
        if finder is None:
            raise SkippedError(f"the connection has no {name}")
        answer = self._answer(finder.step)
        value = self.facts.get(name) if finder.step.makes else finder.extract(answer, self.facts)
        if value is None:
            raise SkippedError(finder.missing)
        self.facts[name] = value

    def _send(self, step: Step) -> Answer:
        if self._refused >= 2:  # Two checks have waited for a service that refuses all requests.
            raise SkippedError(REFUSALS)
        if step.after_write:
            self._wait_for_writes()
        clock = self.wire.meter.clock
        if step.pause:
            clock.sleep(float(self.facts[step.pause] if isinstance(step.pause, str) else step.pause))
        started = clock.now()
        if step.times > 1:
            replies = self.wire.send_series(step, self.facts)
            answer = Answer(replies[0], clock.now() - started, tuple(replies[1:]))
        else:
            answer = self._poll(step, started)
        self.answered += 1
        self._exchanges.append(Exchange(step, answer.reply, answer.seconds))
        if step.removes and answer.status in SUCCESS:
            self._note_removal(step.removes)
        return answer

    def _poll(self, step: Step, started: float) -> Answer:
        clock = self.wire.meter.clock
        while True:
            sent_at = clock.now()
            try:
                answer = Answer(self.wire.send(step, self.facts), sent_at - started)
            except (RateLimitedError, ServiceBusyError):
                self.answered += 1
                self._refused += 1
                raise
            if step.until is None or step.until(answer, self.facts):
                return answer
            if clock.now() - started >= step.at_most:
                raise OpenQuestionError(f"nothing changed within {step.at_most:g} s")
            if step.every:
                clock.sleep(step.every)

    def _wait_for_writes(self) -> None:
        if self.service.lag_step is None:
            return
        if self._lag is None:
            self._lag = self._answer(self.service.lag_step)
        if self._lag.seconds:
            self.wire.meter.clock.sleep(self._lag.seconds + 1)

    def _make(self, step: Step) -> Answer:
        """Send a step that makes an object; its name is written down before, and its id afterwards."""
        if self.created is None:
            raise SkippedError("it makes an object, which is not allowed at this level")
        if any(created.kind == step.makes for created in self.created.objects):
            raise SkippedError("an object that it needs could not be made")
        created = self.created.intend(step.makes, f"{self.created.run}-{step.makes}")
        answer = self._send_creation(step, created)
        if answer.status in _NOT_MADE:
            self.created.removed(created)
        elif answer.status in step.accepts:
            id_ = self._new_id(answer, step.makes)
            if id_:
                self.created.made(created, id_)
                self.facts[step.makes] = id_
        return answer

    def _send_creation(self, step: Step, created: Created) -> Answer:
        """Send the request that makes an object; once more after a 429, unless the object is there."""
        can_be_found = self.service.creations[created.kind].remove is not None
        try:
            return self._send(step)
        except (RateLimitedError, ServiceBusyError):
            if not can_be_found or self._search(created):
                raise
        created.repeated = True
        return self._send(step)

    def _new_id(self, answer: Answer, kind: str) -> str:
        """Return the id of an object that was made; empty for what is no id, or that of an older object.

        Without an id the object is searched for by its name, so that nothing else is removed.
        """
        value = usable_id(self.service.creations[kind].finder.extract(answer, self.facts))
        known = {id_ for earlier in self._answers.values() for id_ in _listed_ids(earlier)}
        return "" if own_id(kind, value) in known else value

    def _note_removal(self, kind: str) -> None:
        for created in self.created.left if self.created else ():
            if created.kind == kind and self.created:
                self.created.removed(created)

    # -- removal of what was made ------------------------------------------------------------------

    def clean_up(self, *, is_later: bool = False) -> list[Created]:
        """Remove the objects of the run, newest first; return those that may be there still.

        :param is_later: whether the run was over before, so that an object that is not found does not appear
            any more; right after an unanswered request it may.
        """
        if self.created is None:
            return []
        self._refused = 0
        for created in reversed(self.created.left):
            self._remove(created, self.created, is_later)
        return self.created.left

    def _remove(self, created: Created, objects: CreatedObjects, is_later: bool) -> None:
        creation = self.service.creations.get(created.kind)
        if creation is None or creation.remove is None:
            objects.removed(created)  # It cannot be removed, as the question before the run has said.
            return
        try:
            ids = self._ids_of(created, is_later)
            if self._are_gone(created, creation.remove, ids, is_later) if ids else is_later:
                objects.removed(created)
        except (ProviderError, ServiceBusyError, OpenQuestionError, SkippedError, SpentError, *READER_ERRORS):
            return

    def _are_gone(self, created: Created, remove: Step, ids: list[str], is_later: bool) -> bool:
        """Delete objects, and search for what may be left of their name; return whether nothing is.

        A 404 is not believed at once: a service may send one for an object that is there.
        """
        gone: set[str] = set()
        for _ in range(_ROUNDS):
            gone |= {id_ for id_ in ids if self._delete(created, remove, id_)}
            is_certain = gone.issuperset(ids)
            if is_certain and not (is_later or created.repeated):
                return True
            ids = [id_ for id_ in self._search(created, 1 if is_certain else _SEARCHES) if id_ not in gone]
            if not ids:
                return True
        return False

    def _ids_of(self, created: Created, is_later: bool) -> list[str]:
        """Return the ids of an object to remove; after a run, those alone whose objects have its name.

        The file may have been changed since, so its ids alone are not believed.
        """
        if created.id and not is_later:
            return [created.id]
        look = self.service.creations[created.kind].look
        if not (created.id and look):
            return self._search(created)
        step, field_name = look
        for name in placeholders(_templates(step)) - self.facts.keys() - {"id"}:
            self._obtain(name)
        reply = self.wire.send(step, {**self.facts, "id": created.id})
        if reply.status in _GONE:
            return self._search(created)
        if reply.status not in step.accepts or reply.json().get(field_name) != created.name:
            raise OpenQuestionError("the object has another name")
        return [created.id]

    def _search(self, created: Created, attempts: int = _SEARCHES) -> list[str]:
        """Return the ids of all objects of a name, which the service may have made without an answer."""
        creation = self.service.creations[created.kind]
        facts = {**self.facts, "name": created.name}
        step = replace(creation.search, fresh=True)
        for name in placeholders(_templates(step)) - facts.keys():
            self._obtain(name)
        for attempt in range(attempts):
            if attempt:
                self.wire.meter.clock.sleep(_SEARCH_SECONDS)
            reply = self.wire.send(step, {**self.facts, **facts})
            if reply.status not in step.accepts:
                raise OpenQuestionError(problem_of(reply))
            if ids := [id_ for id_ in map(usable_id, creation.found(Answer(reply), created.name)) if id_]:
                return ids
        return []

    def _delete(self, created: Created, step: Step, id_: str) -> bool:
        """Delete an object; return False when the service says that there is none."""
        if self.created is not None:
            self.created.made(created, id_)
        reply = self.wire.send(step, {**self.facts, "id": id_})
        if reply.status not in step.accepts | _GONE:
            raise OpenQuestionError(problem_of(reply))
        return reply.status not in _GONE


def _listed_ids(answer: Answer) -> Iterator[str]:
    """Yield the ids of the objects in a list."""
    try:
        body = answer.json()
    except ValueError:
        return
    rows = body.get("data", body.get("results")) if isinstance(body, dict) else body
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            yield usable_id(row.get("uid", row.get("id")))


def _equal(value: object, assumed: object) -> bool:
    return value == assumed and isinstance(value, bool) == isinstance(assumed, bool)


def _templates(step: Step) -> list[object]:
    return [step.path, step.params, step.headers, step.json, step.form, step.files]


def _key(step: Step) -> str:
    return json.dumps(
        [step.method, step.base, step.login, step.makes, step.times, step.bare, *_templates(step)],
        default=dict,
    )


def _has_one_answer(step: Step) -> bool:
    """Return whether a run sends a step once, and uses its reply for all checks."""
    if step.makes or step.removes or step.once:
        return True
    is_plain = step.until is None and not step.fresh and not step.after_write
    return is_plain and (step.method in READS or step.login == "token")
