"""Day: nights, changes and disturbances together, then a calm end and the comparison with the model."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.soak import findings, warehouse
from tests.soak.chain import Chain
from tests.soak.changes import Changes
from tests.soak.disturb import Disturber
from tests.soak.model import Model, differences
from tests.soak.nights import DEVICES, Night, first_night, next_night
from tests.soak.outsider import Outsider
from tests.soak.parts import Parts
from tests.soak.report import Result
from tests.soak.samples import Sample, folder_size, latest, take
from tests.soak.schedule import calm_seconds, disturbances
from tests.support.postgres import Database

WARM_UP_NIGHTS = 2
"""Nights before anything disturbs."""

SETTLE_SECONDS = 20.0
"""Seconds after the last task until connections and processes are counted."""

BYTES_A_RUN = 20
"""Bytes by which a watcher remembers an ended run of LeanIX, as long as the service lists it."""

CLOSE_SECONDS = 300.0
"""Maximum seconds until all watchers have seen all changes."""


@dataclass
class Day:
    """One soak.

    :param parts: the processes.
    :param database: the warehouse.
    :param metadata: Airflow's own database.
    :param seconds: length from the first disturbance to the end of the calm.
    :param seed: repeats rows and moments.
    """

    parts: Parts
    database: Database
    metadata: Database
    seconds: float
    seed: int
    say: Callable[[str], None] = print
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    model: Model = field(default_factory=Model)
    _next_minute: float = 0.0

    def prepare(self, outsider: Outsider) -> None:
        """Read what is there before the first night, and prepare what the nights need."""
        self.outsider = outsider
        outsider.store_outbound()
        warehouse.create_tables(self.database)
        self.model.untouched = findings.untouched(outsider)
        self.model.set_points = findings.set_points(outsider)
        self.night = first_night(self.seed, findings.devices(outsider, DEVICES))

    def run(self) -> Result:
        """Run the day; return what it has found."""
        self.began = time.monotonic()
        self.chain = Chain(self.parts, self.database, self.model, self.tick)
        things = sorted(self.outsider.things("Sensors"))[DEVICES:]
        meters = findings.meters(self.outsider)
        self.changes = Changes(self.outsider, self.model, self.fired, things, meters, self.seed)
        self.disturber = Disturber(self.parts, disturbances(self.seed, self.seconds), self.say)
        result = Result()
        with ExitStack() as stack:
            try:
                self._warm_up(stack)
                begin = self._calm()
                self._play()
                self._close(stack)
                self._compare(result, begin)
            except Exception as error:  # what was found until then is still worth a table
                text = "".join(traceback.format_exception(error))
                result.problems.append(f"the run has ended early: {text}")
        self._conclude(result)
        return result

    def fired(self) -> Counter[str]:
        """Return how often each change has fired."""
        return findings.identities(warehouse.watched_events(self.metadata))

    def _warm_up(self, stack: ExitStack) -> None:
        self.changes.start()  # the stores have all of their rows only once there were changes
        stack.callback(self.changes.stop)
        for _ in range(WARM_UP_NIGHTS):
            self._night()
        self._pass(SETTLE_SECONDS)

    def _play(self) -> None:
        self.say(f"Disturbances begin, {len(self.disturber.planned)} are planned")
        end = time.monotonic() + self.seconds - calm_seconds(self.seconds)
        self.disturber.start()
        try:
            while time.monotonic() < end:
                self._night()
        finally:
            self.disturber.stop()
        self.say("Calm begins")

    def _close(self, stack: ExitStack) -> None:
        """Let everything come to its end, and let a last night export what was recorded since."""
        self._pass(calm_seconds(self.seconds) / 2)
        stack.pop_all().close()
        self._night()
        deadline = time.monotonic() + CLOSE_SECONDS
        while (missing := self._unseen()) and time.monotonic() < deadline:
            self._pass(1)
        self.say(f"All changes are seen but {len(missing)}")

    def _unseen(self) -> list[str]:
        for run in self.outsider.runs():
            if run not in self.model.events:
                self.model.changed(run)
        return self.changes.all_seen()

    def _night(self) -> None:
        self.chain.run(self.night)
        self.night: Night = next_night(self.seed, self.night)

    def _calm(self) -> tuple[dict[str, Sample], dict[str, float]]:
        """Return what each part and each store holds while nothing runs."""
        self._sample()
        return latest(self.samples), self._stores()

    def _stores(self) -> dict[str, float]:
        files, _ = folder_size(self.parts.temporary)
        budgets, size = folder_size(self.parts.budgets)
        return {
            "temporary files": files,
            "files of budgets and tokens": budgets,
            "files of budgets and tokens, bytes": size,
            **warehouse.state_rows(self.metadata),
        }

    def _compare(self, result: Result, begin: tuple[dict[str, Sample], dict[str, float]]) -> None:
        self._pass(SETTLE_SECONDS)
        nights = len(self.model.nights)
        samples, stores = self._calm()
        result.parts = {name: (begin[0][name], samples[name]) for name in samples if name in begin[0]}
        result.stores = {
            name: (begin[1][name], value, _limit(name, begin[1][name], nights))
            for name, value in stores.items()
        }
        predicted = self.model.predicted()
        predicted["LeanIX, runs"] = {"finished": 2 * nights, "others": []}
        found = findings.found(self.outsider, self.model, self.database, self.metadata, self.parts.output)
        found["LeanIX, runs"] = {
            "finished": len(self.outsider.runs()),
            "others": self.outsider.unfinished_runs(),
        }
        result.differences = differences(predicted, found)
        result.rows = {name: len(rows) for name, rows in predicted.items()}
        result.problems += [
            f"a load has left the table {name}" for name in warehouse.staging_tables(self.database)
        ]

    def _conclude(self, result: Result) -> None:
        result.samples = self.samples
        result.disturbances = self.disturber.done
        result.problems += [*self.disturber.problems, *self.changes.problems]
        result.problems += [f"{name} has ended by itself" for name in self.parts.ended()]
        nights = self.chain.seconds
        minutes = (time.monotonic() - self.began) / 60
        result.head = [
            f"{minutes:.0f} minutes, {self.seconds / 60:g} planned; seed {self.seed}",
            f"{len(nights)} nights of 12 tasks with {self.chain.attempts} attempts,"
            f" {min(nights, default=0):.0f} to {max(nights, default=0):.0f} seconds each",
            f"{self.changes.number} changes by people and devices;"
            f" {sum(self.model.events.values())} events for watchers",
            f"an operator cleared {len(self.chain.cleared)} tasks"
            + "".join(f"\n  - {one}" for one in self.chain.cleared),
        ]

    # -- time

    def _pass(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tick()
            time.sleep(0.5)

    def tick(self) -> None:
        """Take a sample and print a line, once a minute."""
        now = time.monotonic()
        if now < self._next_minute:
            return
        self._next_minute = now + 60
        self._sample()
        last = latest(self.samples)
        memory = ", ".join(f"{name} {sample.memory >> 20}" for name, sample in last.items())
        fired, due = self.fired(), self.model.events  # those of runs of LeanIX are added at the end
        self.say(
            f"{(now - self.began) / 60:4.0f} min  {len(self.model.nights)} nights; {self.chain.state};"
            f" {sum(fired.get(event, 0) for event in due)} events of {sum(due.values())};"
            f" {sum(self.disturber.done.values())} disturbances; MB: {memory}"
        )

    def _sample(self) -> None:
        for name, started in dict(self.parts.started).items():
            if sample := take(name, started, self.began):
                self.samples.setdefault(name, []).append(sample)


def _limit(name: str, begin: float, nights: int) -> float:
    """Return the most that a store may hold at the end.

    Rows of finished runs grow with the nights, as Airflow keeps runs; all else is as at the begin.
    """
    if name == "xcom":
        return begin / WARM_UP_NIGHTS * nights
    if name == "task_state_store":
        return begin / WARM_UP_NIGHTS * nights
    if name == "task_state_store, bytes":  # what is stored of a run has no fixed length
        return begin / WARM_UP_NIGHTS * nights * 1.5
    if name == "asset_state_store, bytes":
        return begin * 2 + BYTES_A_RUN * 2 * nights
    if name == "files of budgets and tokens, bytes":
        return begin * 2
    if name == "connections to PostgreSQL":
        return begin + 10
    return begin
