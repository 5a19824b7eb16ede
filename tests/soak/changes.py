"""Changes: what people and devices do meanwhile, noted in the model."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from tests.soak.model import Model
from tests.soak.outsider import Outsider

GAP_SECONDS = (3.0, 15.0)
"""Minimum and maximum seconds between two changes."""

SEEN_SECONDS = 240.0
"""Maximum seconds until a watcher has seen a change."""


class Changes:
    """Thread that changes a dataset, heats Things, reports events and records values of meters.

    :param outsider: client of the services.
    :param model: takes note of each change.
    :param seen: returns how often each change has fired.
    :param things: Things to heat, each once.
    :param meters: Things that record values.
    """

    def __init__(
        self,
        outsider: Outsider,
        model: Model,
        seen: Callable[[], dict[str, int]],
        things: list[str],
        meters: list[str],
        seed: int,
    ) -> None:
        self.outsider, self.model, self.seen = outsider, model, seen
        self.things, self.meters = list(things), meters
        self.problems: list[str] = []
        self.number = 0
        self._pending = ("", 0.0)
        self._dice = random.Random(f"{seed} changes")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Begin now."""
        self._thread.start()

    def stop(self) -> None:
        """Let the current change come to its end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._dice.uniform(*GAP_SECONDS)):
            self.number += 1
            try:
                self._change(self._dice.choice(["dataset", "heat", "event", "meter", "meter"]))
            except Exception as error:
                self.problems.append(f"change {self.number}: {type(error).__name__}: {error}")
                return

    def _change(self, kind: str) -> None:
        if kind == "meter":
            meter, value = self._dice.choice(self.meters), 1000 + self.number / 8
            self.outsider.meter(meter, value)
            self.model.recorded(meter, value)
        elif kind == "event":
            self.model.changed(self.outsider.report(self.number))
        elif kind == "heat" and self.things:
            self.model.changed(self.outsider.heat(self.things.pop(0), self.number))
        elif kind == "dataset" and self._is_seen():
            self._pending = (self.outsider.change_dataset(self.number), time.monotonic())
            self.model.changed(self._pending[0])

    def _is_seen(self) -> bool:
        """Return whether the last change of the dataset was seen.

        Several changes between two polls are one event, as documented; so each waits for the one before.
        """
        state, at = self._pending
        if not state or self.seen().get(state):
            return True
        if time.monotonic() - at > SEEN_SECONDS:
            self.problems.append(f"no watcher has seen state {state} within {SEEN_SECONDS:.0f} s")
            self._pending = ("", 0.0)
        return False

    def all_seen(self) -> list[str]:
        """Return the changes that no watcher has seen yet."""
        fired = self.seen()
        return [identity for identity in self.model.events if not fired.get(identity)]
