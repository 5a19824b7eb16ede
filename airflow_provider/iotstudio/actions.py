"""Requests an action once, and finds it again when the answer was lost or the task began anew."""

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
"""Seconds before each look for an action whose answer was lost: the service may still be storing it."""

CLOCK_SKEW = timedelta(minutes=2)

RETAINED_REQUESTS = 100
"""Requests of one name that the service keeps of a Thing."""


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """What a Thing is to do.

    :param input_value: the action's input; None sends none.
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
    """Request an action, or take up the request of an earlier try; gives its id.

    An action cannot carry a marker. So the ids of all earlier requests are remembered first, and a request
    with the same input that is not among them is ours.

    :param attempted_since: when there is no memory, but an earlier try: what was requested since then with
        the same input, and has not failed, is taken for ours.
    :raises AmbiguousWriteError: when two answers were lost and no request has come to light, or when so many
        others have come since that ours may have rolled off.
    """
    if submission.remote_id:
        hook.log.info("%s was requested by an earlier try: %s", request, submission.remote_id)
        return submission.remote_id
    attempted_before = submission.is_known
    if not attempted_before:
        submission.intend(_earlier_requests(hook, request, attempted_since))
        attempted_before = attempted_since is not None
    known = frozenset(submission.note or ())
    # The request of a try that died may be on its way still, so that one look is not enough.
    if attempted_before and (found := _search(hook, request, known)):
        return _resume(hook, submission, request, found)
    return _send(hook, submission, request, known)


def _send(hook: IoTStudioHook, submission: Submission, request: ActionRequest, known: frozenset[str]) -> str:
    lost: AmbiguousWriteError | None = None
    for _ in range(2):
        try:
            action_id = str(hook.invoke_action(request.thing_id, request.action, request.input_value)["id"])
        except AmbiguousWriteError as error:
            lost = error
            if found := _search(hook, request, known):
                return _resume(hook, submission, request, found)
            hook.log.warning("%s: the answer was lost, and no request has come to light", request)
            continue
        submission.created(action_id)
        return action_id
    raise lost or AssertionError("unreachable")


def _resume(hook: IoTStudioHook, submission: Submission, request: ActionRequest, action_id: str) -> str:
    hook.log.info("%s was requested already, though no answer came: %s", request, action_id)
    submission.created(action_id)
    return action_id


def _earlier_requests(
    hook: IoTStudioHook, request: ActionRequest, attempted_since: datetime | None
) -> list[str]:
    entries = list(hook.list_actions(request.thing_id, request.action))
    if attempted_since is None:
        return [entry["id"] for entry in entries]
    since = attempted_since - CLOCK_SKEW
    ours = {"pending", "completed"}
    return [
        entry["id"]
        for entry in entries
        if entry.get("status") not in ours or api.parse_time(entry["timeRequested"]) < since
    ]


def _find_request(hook: IoTStudioHook, request: ActionRequest, known: frozenset[str]) -> str:
    entries = list(hook.list_actions(request.thing_id, request.action))
    new = [
        entry["id"]
        for entry in entries
        if entry["id"] not in known and same_value(request.input_value, entry.get("input"))
    ]
    if not new and len(entries) >= RETAINED_REQUESTS and known.isdisjoint(entry["id"] for entry in entries):
        raise AmbiguousWriteError(
            f"{request} may have been requested already, but the service keeps the last {RETAINED_REQUESTS}"
            " requests of a name, and all of them are newer; it is not requested again, because the Thing could"
            " act twice. A new run of the DAG requests it anew"
        )
    return min(new, default="")


def _search(hook: IoTStudioHook, request: ActionRequest, known: frozenset[str]) -> str:
    for pause in SEARCH_DELAYS:
        time.sleep(pause)
        if found := _find_request(hook, request, known):
            return found
    return ""


@dataclass(frozen=True, slots=True)
class StatusClassifier:
    """Which statuses end an action, and how; devices are free to call them what they like.

    :param success: it was done.
    :param failure: it was not.
    """

    success: tuple[str, ...]
    failure: tuple[str, ...]

    def is_final(self, status: str) -> bool:
        """Tell whether nothing more is to be expected; upper and lower case are the same."""
        return status.casefold() in {known.casefold() for known in (*self.success, *self.failure)}

    def result_or_raise(self, request: ActionRequest, entry: dict[str, Any]) -> dict[str, Any]:
        """Give an action that is over as an operator's result.

        :raises RunFailedError: when the device says that it failed.
        """
        status, output = str(entry.get("status")), entry.get("output")
        if status.casefold() in {known.casefold() for known in self.failure}:
            raise RunFailedError(entry["id"], status, f"{request}; output: {output}")
        return {"action_id": entry["id"], "status": status, "output": output}


def missing_action_error(request: ActionRequest, action_id: str, error: NotFoundError) -> NotFoundError:
    """Say what a 404 for an action means that was there before."""
    return NotFoundError(
        error.status,
        error.code,
        f"{request}: the request {action_id} is gone. It was deleted, or it rolled off, because the service"
        " keeps the last 100 of a name; whether it was done is unknown, so it is not requested again",
        request=error.request,
        body=error.body,
    )
