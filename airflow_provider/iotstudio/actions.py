"""Action submission: request an action once, and find the request again after a crash or a lost response."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.polling import bounded, shown_bound
from airflow_provider.core.redaction import redact
from airflow_provider.errors import (
    AmbiguousWriteError,
    InputError,
    NotFoundError,
    ProviderError,
    RunFailedError,
    RunTimeoutError,
    ServerError,
    clauses,
    one_line,
)
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.conditions import filter_problems, query_filters, require_name

if TYPE_CHECKING:
    from airflow_provider.core.state.submission import Submission
    from airflow_provider.iotstudio.hooks import IoTStudioHook

SEARCH_DELAYS = (0.5, 2.0, 4.0)
"""Seconds before each search for a request without a response: the service may still be storing it."""

CLOCK_SKEW = timedelta(minutes=2)
"""Maximum difference assumed between the clocks of Airflow and of the service."""

INITIAL_STATUS = "pending"
"""Status of an action that no device has reported about."""

RETAINED_REQUESTS = 100
"""Number of requests that the service retains per Thing and action name."""


class ActionRequest(NamedTuple):
    """An action of a Thing, with its input.

    :param thing_id: the Thing's id.
    :param action: the action's name.
    :param input_value: the action's input, any JSON; None sends none.
    """

    thing_id: str
    action: str
    input_value: Any = None

    def __str__(self) -> str:
        return f"action '{self.action}' of Thing {self.thing_id}"


def submit(
    hook: IoTStudioHook,
    submission: Submission,
    request: ActionRequest,
    *,
    attempted_since: datetime | None = None,
    classifier: StatusClassifier,
) -> str:
    """Request an action, or resume the request of an earlier attempt; return the action's id.

    An action cannot carry a marker. Therefore the ids of all earlier requests are stored first. A request
    that has the same input and is not among them belongs to this task.

    :param hook: the space.
    :param submission: the task's state of this request.
    :param request: the action to request.
    :param attempted_since: start of an earlier attempt that left no state, None when there was none. A
        request made since then with the same input, unless it has failed, is taken for this task's own.
    :param classifier: the statuses of a request that has failed.
    :raises AmbiguousWriteError: when two requests got no response and neither is in the action list, or when
        more newer requests exist than the service retains.
    """
    if submission.remote_id:
        hook.log.info("%s was requested by an earlier attempt: %s", request, one_line(submission.remote_id))
        return submission.remote_id
    attempted_before = submission.is_known
    if not attempted_before:
        submission.intend(_earlier_requests(hook, request, attempted_since, classifier))
        attempted_before = attempted_since is not None
    known = frozenset(submission.note or ())
    # The request of a killed attempt may still be on its way, so the search is repeated.
    if attempted_before and (found := _search(hook, request, known)):
        return _resume(hook, submission, request, found)
    return _send(hook, submission, request, known)


def _send(hook: IoTStudioHook, submission: Submission, request: ActionRequest, known: frozenset[str]) -> str:
    ambiguous: AmbiguousWriteError | None = None
    for _ in range(2):
        try:
            action_id = str(hook.invoke_action(request.thing_id, request.action, request.input_value)["id"])
        except AmbiguousWriteError as error:
            ambiguous = error
            if found := _search(hook, request, known):
                return _resume(hook, submission, request, found)
            hook.log.warning("%s: no response, and the request is not in the action list", request)
            continue
        submission.created(action_id)
        return action_id
    raise ambiguous or AssertionError("unreachable")


def _resume(hook: IoTStudioHook, submission: Submission, request: ActionRequest, action_id: str) -> str:
    hook.log.info("%s was requested already, though no response arrived: %s", request, one_line(action_id))
    submission.created(action_id)
    return action_id


def _earlier_requests(
    hook: IoTStudioHook,
    request: ActionRequest,
    attempted_since: datetime | None,
    classifier: StatusClassifier,
) -> list[str]:
    """Return the ids of requests that do not belong to this task."""
    try:
        entries = _requests(hook, request)
    except NotFoundError as error:
        error.message = clauses(error.message, _unknown_action(hook, request))
        raise
    if attempted_since is None:
        return [entry["id"] for entry in entries]
    since = attempted_since - CLOCK_SKEW
    return [
        entry["id"]
        for entry in entries
        if classifier.is_failure(str(entry.get("status"))) or _requested_at(entry) < since
    ]


def _requests(hook: IoTStudioHook, request: ActionRequest) -> list[dict[str, Any]]:
    """Return all requests of an action; a single 404 is not believed."""
    from airflow_provider.iotstudio.hooks_base import read_twice

    return read_twice(lambda: list(hook.list_actions(request.thing_id, request.action)))


def _unknown_action(hook: IoTStudioHook, request: ActionRequest) -> str:
    """Return which actions a Thing has, when it lacks the requested one; empty when it is gone, too."""
    from airflow_provider.core.input.problems import nearest

    try:
        known = [*(hook.get_thing(request.thing_id).get("actions") or {})]
    except ProviderError:
        return ""
    if request.action in known:
        return ""
    hint = nearest(request.action, known) or f"; it has {one_line(', '.join(known))[:200] or 'none'}"
    return f"the Thing does not declare the action {request.action!r}{hint}"


def _requested_at(entry: Mapping[str, Any]) -> datetime:
    try:
        return api.parse_time(entry["timeRequested"])
    except (LookupError, TypeError, ValueError):
        raise ServerError(200, "", f"action {one_line(entry['id'])} has no time of its request") from None


def _find_request(hook: IoTStudioHook, request: ActionRequest, known: frozenset[str]) -> str:
    """Return the id of the earliest request with the same input that is not known; empty when none is."""
    from airflow_provider.iotstudio.equality import same_value

    entries = _requests(hook, request)
    new = [
        entry["id"]
        for entry in entries
        if entry["id"] not in known and same_value(request.input_value, entry.get("input"))
    ]
    if not new and len(entries) >= RETAINED_REQUESTS and known.isdisjoint(entry["id"] for entry in entries):
        raise AmbiguousWriteError(
            f"{request} may have been requested already, but the service keeps the last {RETAINED_REQUESTS}"
            " requests of a name, and all of them are newer; it is not requested again, because the Thing"
            " could act twice. Start a new run of the DAG to request it again"
        )
    return min(new, default="")


def _search(hook: IoTStudioHook, request: ActionRequest, known: frozenset[str]) -> str:
    for delay in SEARCH_DELAYS:
        time.sleep(delay)
        if found := _find_request(hook, request, known):
            return found
    return ""


class StatusClassifier(NamedTuple):
    """Status classification: which statuses end an action, and with which outcome.

    Devices name their statuses freely. Upper and lower case are equal, and so are blanks around them.

    :param success: statuses of an action that was done.
    :param failure: statuses of an action that was not done.
    """

    success: tuple[str, ...]
    failure: tuple[str, ...]

    def is_final(self, status: str) -> bool:
        """Return whether a status ends the action."""
        return _plain(status) in set(map(_plain, (*self.success, *self.failure)))

    def is_failure(self, status: str) -> bool:
        """Return whether a status says that the action was not done."""
        return _plain(status) in set(map(_plain, self.failure))

    def result_or_raise(self, request: ActionRequest, entry: dict[str, Any]) -> dict[str, Any]:
        """Return a finished action as an operator's result.

        :param request: the action, for the error.
        :param entry: the action as the service returns it.
        :raises RunFailedError: when its status is one of the failures.
        """
        status, output = str(entry.get("status")), entry.get("output")
        if self.is_failure(status):
            told = truncate(redact(str(output)))
            raise RunFailedError(redact(entry["id"]), redact(status), f"{request}; output: {told}")
        return {"action_id": entry["id"], "status": status, "output": output}


def _plain(status: str) -> str:
    return status.strip().casefold()


class StatusLog:
    """Log of the statuses that end nothing: each is logged once, when it is first seen.

    :param log: gets the warnings.
    :param classifier: the statuses that end the action.
    :param request: the action.
    """

    def __init__(self, log: Any, classifier: StatusClassifier, request: ActionRequest) -> None:
        self._log = log
        self._classifier = classifier
        self._request = request
        self._seen = {_plain(INITIAL_STATUS)}

    def check(self, status: str) -> None:
        """Log a status that is neither a success nor a failure.

        :param status: the status as the service returns it.
        """
        if _plain(status) in self._seen or self._classifier.is_final(status):
            return
        from airflow_provider.core.input.problems import nearest

        self._seen.add(_plain(status))
        known = (*self._classifier.success, *self._classifier.failure)
        self._log.warning(
            "%s has the status %r, which is in neither success_statuses nor failure_statuses%s; waiting for"
            " one of %s",
            self._request,
            truncate(status, 100),
            nearest(status, known),
            truncate(", ".join(known), 200),
        )


class ActionOptions(NamedTuple):
    """The arguments of a task that requests an action, read after templating.

    :param request: the action, with its input as JSON.
    :param classifier: the statuses that end the action.
    :param wait: whether to wait for the outcome.
    :param poll_interval: maximum seconds between polls.
    :param timeout: seconds until the task stops waiting.
    :param waited: these seconds as a text, for the error.
    :param done_when: query for the condition under which the action is done, too; empty for none.
    """

    request: ActionRequest
    classifier: StatusClassifier
    wait: bool
    poll_interval: float
    timeout: float
    waited: str
    done_when: dict[str, Any]


def read_options(task: Any) -> ActionOptions:
    """Read the arguments of a task that requests an action.

    :param task: the operator.
    :raises InputError: with every problem.
    """
    from airflow_provider.core.input.scalars import Scalar, read_scalars
    from airflow_provider.iotstudio.values import read_payload

    seconds = Scalar("seconds", above=0)
    scalars = {"wait": Scalar("boolean"), "poll_interval": seconds, "timeout": seconds}
    problems = read_scalars(task, scalars)
    for name in ("thing_id", "action"):
        problems += require_name(getattr(task, name), name)
    problems += _status_problems(task)
    problems += filter_problems(task.done_when, "done_when")
    if task.done_when is not None and task.wait is False:
        problems.append("'done_when' needs wait=True")
    payload = None
    try:
        payload = read_payload(task.input, "input")
    except InputError as error:
        problems += error.problems
    raise_problems(problems)
    return ActionOptions(
        ActionRequest(task.thing_id, task.action, payload),
        StatusClassifier(tuple(task.success_statuses or ()), tuple(task.failure_statuses or ())),
        task.wait,
        task.poll_interval,
        bounded(task.timeout, task.execution_timeout),
        shown_bound(task.timeout, task.execution_timeout),
        done_query(task.thing_id, task.done_when),
    )


def _status_problems(task: Any) -> list[str]:
    problems = list_problems(task.success_statuses, "success_statuses")
    problems += list_problems(task.failure_statuses, "failure_statuses")
    if problems:
        return problems
    if not task.success_statuses and task.done_when is None:
        return ["'success_statuses' is empty"]
    success, failure = (
        set(map(_plain, given or ())) for given in (task.success_statuses, task.failure_statuses)
    )
    return [
        f"the status {status!r} is in success_statuses and in failure_statuses"
        for status in sorted(success & failure)
    ]


def done_query(thing_id: str, done_when: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the query that finds the Thing once an action's condition holds; empty without a condition.

    :param thing_id: the Thing's id.
    :param done_when: condition by property name.
    """
    if done_when is None:
        return {}
    return {**query_filters(done_when, "done_when"), "thingID[]": thing_id, "limit": 1}


def is_done(hook: IoTStudioHook, query: Mapping[str, Any]) -> bool:
    """Return whether an action's condition holds; False without one.

    :param hook: the space.
    :param query: see :func:`done_query`.
    """
    return bool(query) and next(iter(hook.list_things(params=query)), None) is not None


def missing_action_error(request: ActionRequest, action_id: str, error: NotFoundError) -> NotFoundError:
    """Return a 404 for an action that existed before, with an explanation.

    :param request: the action.
    :param action_id: id of its request.
    :param error: the service's 404.
    """
    return NotFoundError(
        error.status,
        error.code,
        f"{request}: the request {action_id} is gone. It was deleted, or it rolled off, because the service"
        f" keeps the last {RETAINED_REQUESTS} of a name; whether it was done is unknown, so it is not"
        " requested again",
        request=error.request,
        body=error.body,
    )


def read_action(hook: IoTStudioHook, request: ActionRequest, action_id: str) -> dict[str, Any]:
    """Return a requested action; a single 404 is not believed.

    :param hook: the space.
    :param request: the action.
    :param action_id: id of its request.
    :raises NotFoundError: when the request is gone.
    """
    from airflow_provider.iotstudio.hooks_base import read_twice

    try:
        return read_twice(lambda: hook.get_action(request.thing_id, request.action, action_id))
    except NotFoundError as error:
        raise missing_action_error(request, action_id, error) from None


def finish(
    submission: Submission, options: ActionOptions, entry: dict[str, Any], *, is_met: bool
) -> dict[str, Any]:
    """Return the operator's result, or raise the action's error.

    :param submission: the task's state of the request.
    :param options: the task's arguments.
    :param entry: the action as the service returns it.
    :param is_met: whether the task's own condition ends the action.
    :raises RunFailedError: when the device has reported a failure, or the action is not finished.
    """
    status = str(entry.get("status"))
    if not is_met and not options.classifier.is_final(status):
        reason = f"{options.request} was not finished after {options.waited}"
        raise RunTimeoutError(entry["id"], status, reason)
    try:
        result = options.classifier.result_or_raise(options.request, entry)
    except RunFailedError:
        submission.renew()  # a retry requests the action again
        raise
    submission.finished()
    return result


def check_condition(hook: IoTStudioHook, options: ActionOptions) -> None:
    """Log a condition that holds before the action, and one on a property that the Thing lacks.

    :param hook: the space.
    :param options: the task's arguments.
    """
    from airflow_provider.iotstudio.known_names import unknown_properties

    if is_done(hook, options.done_when):
        hook.log.warning("done_when holds before the action is requested: it will not show the outcome")
        return
    conditions = {name: one for name, one in options.done_when.items() if name.startswith("property:")}
    for problem in unknown_properties(hook, conditions, thing_ids=[options.request.thing_id]):
        hook.log.warning("done_when: %s", problem)


def attempted_since(context: Any, submission: Submission) -> datetime | None:
    """Return when an earlier attempt may have started, when no state of it can be stored.

    :param context: the task's context.
    :param submission: the task's state of the request.
    """
    if submission.remembers or int(getattr(context["ti"], "try_number", 1) or 1) <= 1:
        return None
    started = getattr(context.get("dag_run"), "start_date", None)
    return started if isinstance(started, datetime) else None
