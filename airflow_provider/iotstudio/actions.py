"""Action submission: request an action once, and find the request again after a crash or a lost response."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider.errors import AmbiguousWriteError, NotFoundError, RunFailedError
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.equality import same_value

if TYPE_CHECKING:
    from airflow_provider.core.state.submission import Submission
    from airflow_provider.iotstudio.hooks import IoTStudioHook

SEARCH_DELAYS = (0.5, 2.0, 4.0)
"""Seconds before each search for a request without a response: the service may still be storing it."""

CLOCK_SKEW = timedelta(minutes=2)
"""Maximum difference assumed between the clocks of Airflow and of the service."""

RETAINED_REQUESTS = 100
"""Number of requests that the service retains per Thing and action name."""


@dataclass(frozen=True, slots=True)
class ActionRequest:
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
) -> str:
    """Request an action, or resume the request of an earlier attempt; return the action's id.

    An action cannot carry a marker. Therefore the ids of all earlier requests are stored first. A request
    that has the same input and is not among them belongs to this task.

    :param hook: the space.
    :param submission: the task's state of this request.
    :param request: the action to request.
    :param attempted_since: start of an earlier attempt that left no state, None when there was none. A
        request made since then with the same input, unless it has failed, is taken for this task's own.
    :raises AmbiguousWriteError: when two requests got no response and neither is in the action list, or when
        more newer requests exist than the service retains.
    """
    if submission.remote_id:
        hook.log.info("%s was requested by an earlier attempt: %s", request, submission.remote_id)
        return submission.remote_id
    attempted_before = submission.is_known
    if not attempted_before:
        submission.intend(_earlier_requests(hook, request, attempted_since))
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
    hook.log.info("%s was requested already, though no response arrived: %s", request, action_id)
    submission.created(action_id)
    return action_id


def _earlier_requests(
    hook: IoTStudioHook, request: ActionRequest, attempted_since: datetime | None
) -> list[str]:
    """Return the ids of requests that do not belong to this task."""
    entries = list(hook.list_actions(request.thing_id, request.action))
    if attempted_since is None:
        return [entry["id"] for entry in entries]
    since = attempted_since - CLOCK_SKEW
    resumable = {"pending", "completed"}
    return [
        entry["id"]
        for entry in entries
        if entry.get("status") not in resumable or api.parse_time(entry["timeRequested"]) < since
    ]


def _find_request(hook: IoTStudioHook, request: ActionRequest, known: frozenset[str]) -> str:
    """Return the id of the earliest request with the same input that is not known; empty when none is."""
    entries = list(hook.list_actions(request.thing_id, request.action))
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


@dataclass(frozen=True, slots=True)
class StatusClassifier:
    """Status classification: which statuses end an action, and with which outcome.

    Devices name their statuses freely. Upper and lower case are equal.

    :param success: statuses of an action that was done.
    :param failure: statuses of an action that was not done.
    """

    success: tuple[str, ...]
    failure: tuple[str, ...]

    def is_final(self, status: str) -> bool:
        """Return whether a status ends the action."""
        return status.casefold() in {known.casefold() for known in (*self.success, *self.failure)}

    def result_or_raise(self, request: ActionRequest, entry: dict[str, Any]) -> dict[str, Any]:
        """Return a finished action as an operator's result.

        :param request: the action, for the error.
        :param entry: the action as the service returns it.
        :raises RunFailedError: when its status is one of the failures.
        """
        status, output = str(entry.get("status")), entry.get("output")
        if status.casefold() in {known.casefold() for known in self.failure}:
            raise RunFailedError(entry["id"], status, f"{request}; output: {output}")
        return {"action_id": entry["id"], "status": status, "output": output}


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
