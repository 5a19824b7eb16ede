"""Planning: the moment at which the next request of a budget may leave, as a pure function.

A budget's state is a sliding log of reservations: the moments at which requests leave, past and future. All
times are whole microseconds on the clock of the store that holds the state.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

SECOND = 1_000_000

MARGIN = 1.05
"""Factor of the window's length: requests sent exactly a second apart can arrive closer together."""

LONGEST_WAIT = 60 * SECOND
"""Maximum wait for a reservation; no reservation is further ahead."""

LONGEST_PAUSE = 300 * SECOND
"""Maximum pause: a service may ask for days, and be well after a minute."""

MAX_COUNT = 1000
"""Maximum requests of a window; for higher rates the window is shorter."""

HORIZON = 2_100_000
"""Age of the oldest reservation that a rate of one request a second or more needs to know."""

_MAX_WINDOW = 10**15


class Rate(NamedTuple):
    """At most some requests in any window of some length.

    :param requests: requests of a window.
    :param window: its length, the margin included.
    """

    requests: int
    window: int

    @classmethod
    def per_second(cls, number: float, burst: int = 1) -> Rate:
        """Return the rate of some requests a second, exact for fractions: 1.67 are two in 1.2 seconds.

        :param number: requests a second, above 0.
        :param burst: requests that may leave at once after an idle time, when ``number`` is lower.
        """
        count = max(1, burst, math.ceil(min(number, MAX_COUNT)))
        return cls(count, math.ceil(min(_MAX_WINDOW, count / number * MARGIN * SECOND)))


class State(NamedTuple):
    """The state of a budget.

    :param slots: the moments of its recent reservations, in order.
    :param paused_until: the moment before which no request leaves.
    """

    slots: Sequence[int] = ()
    paused_until: int = 0


class Plan(NamedTuple):
    """The answer to one request for a reservation.

    :param state: the state after it; the same object when it was refused.
    :param slot: the earliest moment at which the request may leave.
    :param wait: the time until then.
    :param taken: whether the moment is reserved; a refusal takes nothing.
    """

    state: State
    slot: int
    wait: int
    taken: bool


def plan(state: State, now: int, rate: Rate | None, longest: int = LONGEST_WAIT) -> Plan:
    """Return the next free moment, and the state in which it is reserved.

    The caller's own rate applies to the reservations of all callers. So a changed rate applies at once.

    :param state: the state that the store holds.
    :param now: the current time.
    :param rate: the caller's rate; None for a budget that pauses only.
    :param longest: maximum wait; a moment after it is not reserved.
    """
    slots = state.slots
    if slots and slots[-1] > now + LONGEST_WAIT:
        # No reservation has such a moment: the clock was set back.
        slots = sorted(slot if slot <= now + LONGEST_WAIT else now for slot in slots)
    slot = max(now, min(state.paused_until, now + LONGEST_PAUSE))
    if rate is not None and len(slots) >= rate.requests:
        slot = max(slot, slots[-rate.requests] + rate.window)
    wait = slot - now
    if wait > min(longest, LONGEST_WAIT):
        return Plan(state, slot, wait, False)
    if rate is None:
        return Plan(state, slot, wait, True)
    oldest = now - max(HORIZON, rate.window if rate.requests > 1 else 0)
    kept = [*slots[bisect_left(slots, oldest) :]]
    insort(kept, slot)  # The last one is never old, and a rate below one a second needs no other.
    return Plan(State(kept, state.paused_until), slot, wait, True)


def paused(state: State, now: int, seconds: float) -> State:
    """Return a state in which no request leaves for some seconds.

    :param seconds: length of the pause; a longer one that runs already stays.
    """
    until = max(min(state.paused_until, now + LONGEST_PAUSE), now + pause_length(seconds))
    return State(state.slots, until)


def pause_length(seconds: float) -> int:
    """Return the length of a pause that a service asks for, :data:`LONGEST_PAUSE` at most."""
    return math.ceil(min(max(0.0, seconds), LONGEST_PAUSE / SECOND) * SECOND)


def merged(one: State, other: State) -> State:
    """Return the state of two budgets that turned out to be for the same limit of a service."""
    return State(sorted([*one.slots, *other.slots]), max(one.paused_until, other.paused_until))


def just_used(now: int, rate: Rate | None) -> State:
    """Return the state after a full window of requests, for a state that cannot be read."""
    return State([now] * rate.requests if rate else ())
