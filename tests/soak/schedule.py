"""Schedule: what disturbs the run and when, from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SERVICES = ("mapsindoors", "amigocloud", "iotstudio", "leanix")
CALM_SHARE, CALM_SECONDS = 0.12, 90.0
"""Share of the run, and minimum seconds of it, at whose end nothing disturbs."""

KILLS_SHARE = 0.5
"""Share of the run in which scheduler and triggerer are killed; afterwards their memory is judged."""


@dataclass(frozen=True)
class Disturbance:
    """Something that happens once.

    :param at: seconds since the begin of the disturbances.
    :param kind: a key of :data:`INTERVALS`.
    :param about: what it needs, such as the service and the seconds.
    """

    at: float
    kind: str
    about: Mapping[str, Any]

    def __str__(self) -> str:
        about = ", ".join(f"{name} {_short(value)}" for name, value in self.about.items())
        return f"{self.kind} ({about})" if about else self.kind


def _short(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


INTERVALS: Mapping[str, float] = {
    "fault": 12,
    "storm of 429": 110,
    "limit of requests": 170,
    "restart of the services": 200,
    "pause of the services": 240,
    "kill of a task": 60,
    "pause of a task": 75,
    "pause of the scheduler": 260,
    "pause of the triggerer": 200,
    "pause of the API server": 330,
    "kill of the scheduler": 380,
    "kill of the triggerer": 280,
}
"""Mean seconds between two disturbances of a kind."""

KILLS = {"kill of the scheduler", "kill of the triggerer"}


def calm_seconds(seconds: float) -> float:
    """Return the seconds at the end of a run in which nothing disturbs.

    :param seconds: length of the run.
    """
    return max(CALM_SECONDS, seconds * CALM_SHARE)


def disturbances(seed: int, seconds: float) -> list[Disturbance]:
    """Return what happens in a run, in order.

    :param seed: equal seeds make equal disturbances.
    :param seconds: length of the run, with its calm end.
    """
    end = seconds - calm_seconds(seconds)
    found = [
        Disturbance(at, kind, _about(kind, random.Random(f"{seed} {kind} {number}")))
        for kind, mean in INTERVALS.items()
        for number, at in enumerate(_moments(random.Random(f"{seed} {kind}"), mean))
        if at < (end * KILLS_SHARE if kind in KILLS else end)
    ]
    return sorted(found, key=lambda one: (one.at, one.kind))


def _moments(dice: random.Random, mean: float) -> Iterator[float]:
    """Yield moments within a day, at most twice and at least half the mean apart."""
    at = dice.uniform(0, mean)
    while at < 86_400:
        yield at
        at += dice.uniform(0.5, 1.5) * mean


def _about(kind: str, dice: random.Random) -> dict[str, Any]:
    service = dice.choice(SERVICES)
    if kind == "fault":
        return {"service": service, **_fault(dice)}
    if kind == "storm of 429":
        return {"service": service, "times": dice.randrange(10, 40), "wait": dice.randrange(1, 4)}
    if kind == "limit of requests":
        return {"service": service, "rate": dice.choice([0.05, 0.1, 0.2]), "seconds": dice.uniform(8, 20)}
    if kind == "kill of a task":
        return {"worker": dice.random() < 0.2, "after": dice.uniform(0, 3)}
    if kind in KILLS:
        return {}
    longest = {"restart of the services": 8.0, "pause of a task": 15.0}.get(kind, 20.0)
    return {"seconds": dice.uniform(1, longest)}


def _fault(dice: random.Random) -> dict[str, Any]:
    """Return a fault of the sandbox after which a client can find out what its request did."""
    kind = dice.choice(["reset_before", "reset_after", "truncate", "slow", "delay", "html", "status"])
    options: dict[str, Any] = {"kind": kind, "times": dice.randrange(1, 4), "after": dice.randrange(0, 4)}
    if kind == "status":
        options["status"] = dice.choice([500, 502, 503, 504])
        if dice.random() < 0.5:
            options["headers"] = {"Retry-After": str(dice.randrange(1, 4))}
    if kind in {"slow", "delay"}:
        options["seconds"] = dice.uniform(0.5, 4)
    return options
