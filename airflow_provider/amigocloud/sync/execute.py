"""Execution: write the changes of a plan as change sets, each exactly once, also after lost responses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider.amigocloud import api_datasets
from airflow_provider.amigocloud.conditions import JobIsDone, check
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.sync.progress import Progress
from airflow_provider.amigocloud.sync.status import CHANGED, StateWatch, StatusCheck
from airflow_provider.amigocloud.sync.store import DELETE, Change, SyncStore
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.polling import clock, wait_for
from airflow_provider.errors import (
    AmbiguousWriteError,
    NotFoundError,
    PermissionDeniedError,
    PlanRejectedError,
    RequestRejectedError,
    RunFailedError,
    one_line,
    shorten,
)

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

wait = time.sleep

READ_DELAYS = (0.0, 1.0, 3.0, 6.0)
"""Seconds before each read after a write: no document says how soon a read shows a write."""

RESEND_DELAYS = (*READ_DELAYS, 10.0, 20.0, 20.0)
"""Seconds before each read after a lost response, before new rows are sent again: their job may be slow."""

MAX_SILENCE = 60.0
"""Maximum seconds without an effect of a change set whose job cannot be read, until it counts as rejected."""

MAX_SILENT = 16
"""Change sets in a row without an effect that are waited for: more than halving a batch takes."""

MAX_BYTES = 8_000_000
"""Maximum bytes of a change set. The service's limit is not documented; a client's option has 15 MiB."""

MAX_UNANSWERED = 3
"""Maximum requests of a batch without a response."""

MAX_REJECTED = 10
"""Maximum rejected rows that are looked for when the first one ends the sync."""

_REJECTIONS = frozenset({400, 409, 413, 422})
"""Statuses with which the service rejects the content of a change set."""

_ACTIONS = {"create": "INSERT", "update": "UPDATE", "delete": "DELETE"}


@dataclass(frozen=True)
class WriteOptions:
    """Limits of writes and waits.

    :param batch_size: maximum rows of a change set.
    :param poll_interval: maximum seconds between polls of a job.
    :param timeout: seconds after which a job counts as stuck.
    """

    batch_size: int = 1000
    poll_interval: float = 5.0
    timeout: float = 3600.0


class JobWait:
    """The wait for jobs, also with a token that may not read them.

    :param hook: hook of the connection.
    :param options: the interval of polls, and the limit of the wait.
    :param log: says when the job cannot be read.
    """

    def __init__(self, hook: AmigoCloudHook, options: WriteOptions, log: Logger) -> None:
        self._hook, self._options, self._log = hook, options, log
        self._may_read = True

    def ended(self, job: str) -> bool:
        """Wait for a job, and return whether its end is known; False when it cannot be read.

        :raises RunFailedError: when the job has failed.
        :raises TimeoutError: when it is not done in time.
        """
        if not self._may_read:
            return False
        try:
            self._poll(lambda: check(self._hook, JobIsDone(job)), f"job {job} was not done")
        except (PermissionDeniedError, NotFoundError) as error:
            self._log.info(
                "Job %s cannot be read with this token (%s); the dataset's rows are read instead", job, error
            )
            self._may_read = False
        return self._may_read

    def until(self, is_done: Any, what: str) -> None:
        """Wait until a function returns true.

        :raises TimeoutError: when it is not in time.
        """
        self._poll(lambda: is_done() or None, what)

    def _poll(self, poll: Any, what: str) -> None:
        try:
            wait_for(
                poll,
                deadline=clock() + self._options.timeout,
                poll_interval=self._options.poll_interval,
                log=self._log,
            )
        except TimeoutError:
            raise TimeoutError(
                f"{what} after {self._options.timeout:g} s; the next attempt resumes"
            ) from None


class Execution:
    """The execution of the changes in a store.

    :param hook: hook of the connection.
    :param watch: notices what other clients write.
    :param store: the changes.
    :param status: reads whether they are done.
    :param options: how they are written.
    :param progress: records what is written.
    :param log: says how far the execution is.
    """

    def __init__(
        self,
        hook: AmigoCloudHook,
        watch: StateWatch,
        store: SyncStore,
        status: StatusCheck,
        options: WriteOptions,
        progress: Progress,
        log: Logger,
    ) -> None:
        self._hook, self._watch, self._store, self._status = hook, watch, store, status
        self._dataset = watch.dataset
        self._options, self._progress, self._log = options, progress, log
        self._jobs = JobWait(hook, options, log)
        self._last = self._silent = 0

    def run(self, *, skip_bad: bool) -> None:
        """Write all changes that are not done yet.

        :param skip_bad: continue when the service rejects a row; otherwise stop after the batch of the row.
        :raises RequestRejectedError: with the rejected rows and the number of written changes.
        :raises PlanRejectedError: when another client has changed rows that are not written yet.
        """
        total = self._assign_batches()
        for batch in range(1, self._last + 1):
            self._write(batch, skip_bad=skip_bad)
            done = self._store.count("changes", "batch > 0 AND status = 'done'")
            self._log.info("%d of %d changes written", done, total)
            if not skip_bad and self._store.count("changes", "status = 'failed'"):
                raise self._rejection_error()

    def _assign_batches(self) -> int:
        """Number the batches of the changes to write, and return the number of changes."""
        rows = size = total = 0
        with self._store.transaction():
            for n, change in self._store.changes("status = 'before'"):
                length = len(msgspec.json.encode(change.body)) + 64
                if not self._last or rows >= self._options.batch_size or size + length > MAX_BYTES:
                    self._last, rows, size = self._last + 1, 0, 0
                self._store.db.execute("UPDATE changes SET batch = ? WHERE n = ?", (self._last, n))
                rows, size, total = rows + 1, size + length, total + 1
        return total

    def _write(self, batch: int, *, skip_bad: bool) -> None:
        """Write a batch; rows that the service rejects are found by halving it."""
        pending, unanswered, part = [batch], 0, self._last + batch * 1_000_000
        while pending:
            if not skip_bad and self._store.count("changes", "status = 'failed'") >= MAX_REJECTED:
                return
            current = pending.pop()
            if not self._is_to_send(current):
                continue
            try:
                reason = self._send(current)
            except AmbiguousWriteError:
                unanswered += 1
                if unanswered > MAX_UNANSWERED:
                    raise
                self._log.warning("The request that changes %d rows has no response", self._size(current))
                if self._left(current, with_delays=True):
                    pending.append(current)
                continue
            if reason is None or not (left := self._left(current)):
                continue
            if len(left) == 1:
                self._fail(left[0], reason)
                continue
            self._log.warning(
                "A change set of %d rows was rejected; halving it: %s", len(left), one_line(reason)
            )
            part += 1
            half = [(part, n) for n in left[: len(left) // 2]]
            self._store.db.executemany("UPDATE changes SET batch = ? WHERE n = ?", half)
            pending += [current, part]

    def _is_to_send(self, batch: int) -> bool:
        """Check, right before a batch is sent, that its rows are as they were compared.

        :return: whether changes of it are left to send.
        """
        if self._watch.is_quiet():
            return True
        where = f"batch = {batch}"
        self._status.read(self._watch.state, where, is_written=False)
        changed = f"{where} AND {CHANGED}"
        if count := self._store.count("changes", changed):
            raise PlanRejectedError(
                f"another client has changed {count} rows of the plan while it was written:"
                f" {'; '.join(self._status.first(changed, count))} {self._written()}. Make a new plan, or"
                " retry the task"
            )
        return bool(self._size(batch))

    def _send(self, batch: int) -> str | None:
        """Send a batch and wait for its job; return the service's reason when it rejects it."""
        try:
            changes = self._changeset(batch)
            job = self._hook.send(api_datasets.submit_changeset(changes))
        except RequestRejectedError as error:
            if error.status not in _REJECTIONS:
                raise
            return str(error)
        self._progress.started(job)
        try:
            if not self._jobs.ended(job) and (reason := self._wait_for_rows(batch)):
                return reason
        except RunFailedError as error:
            return error.reason or str(error)
        self._finish(f"batch = {batch} AND status = 'before'")
        self._watch.add_own(len(changes))
        return None

    def _changeset(self, batch: int) -> list[dict[str, Any]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for _, change in self._store.changes("batch = ? AND status = 'before'", (batch,)):
            found.setdefault(change.operation, []).append(_record(change))
        return [
            api_datasets.change(self._dataset, _ACTIONS[operation], data) for operation, data in found.items()
        ]

    def _wait_for_rows(self, batch: int) -> str:
        """Wait until the dataset shows a batch; return a reason when nothing more of it shows for a while."""
        total = left = self._size(batch)
        seen, since = "", clock()
        silence = min(MAX_SILENCE, self._options.timeout / 4)

        def is_over() -> bool:
            nonlocal seen, left, since
            state = self._hook.get_master(self._dataset)
            if state != seen:
                seen = state
                self._status.read(state, f"batch = {batch}")
                now = self._store.count("changes", f"batch = {batch} AND status <> 'done'")
                if now < left:
                    left, since = now, clock()
            return not left or clock() - since >= silence

        try:
            self._jobs.until(is_over, "the dataset did not show a change set")
        finally:
            self._store.db.execute(
                "UPDATE changes SET status = 'before' WHERE batch = ? AND status <> 'failed'", (batch,)
            )
        self._silent = self._silent + 1 if left == total else 0
        if self._silent * silence > max(self._options.timeout, MAX_SILENT * silence):
            raise TimeoutError(
                f"the dataset did not show any of the last {self._silent} change sets, {silence:g} s each"
                f" {self._written()}; the next attempt resumes"
            )
        return f"no effect within {silence:g} s; this token may not read the job, which has the cause" * bool(
            left
        )

    def _left(self, batch: int, *, with_delays: bool = False) -> list[int]:
        """Return the changes of a batch that are not done, after a request of which that is not known."""
        creates = self._store.count("changes", f"batch = {batch} AND operation = 'create'")
        delays = RESEND_DELAYS if with_delays and creates else (0.0,)
        if len(delays) > 1:
            self._log.info(
                "Reading for up to %d s whether %d new rows are written, before they are sent again",
                sum(delays),
                creates,
            )
        seen = ""
        for delay in delays:
            wait(delay)
            if (state := self._hook.get_master(self._dataset)) == seen:
                continue
            seen = state
            self._status.read(state, f"batch = {batch}")
            if not self._store.count("changes", f"batch = {batch} AND status <> 'done'"):
                self._watch.add_own(sum(map(bool, self._store.counts(f"batch = {batch}").values())))
                break
        self._progress.ended(self._store.counts(f"batch = {batch} AND status = 'done'"))
        self._store.db.execute(
            "UPDATE changes SET status = 'before' WHERE batch = ? AND status <> 'done'", (batch,)
        )
        sql = "SELECT n FROM changes WHERE batch = ? AND status = 'before' ORDER BY step, n"
        return [n for (n,) in self._store.db.execute(sql, (batch,))]

    def _finish(self, where: str) -> None:
        self._progress.ended(self._store.counts(where))
        self._store.db.execute(f"UPDATE changes SET status = 'done' WHERE {where}")  # noqa: S608

    def _fail(self, n: int, reason: str) -> None:
        self._store.db.execute(
            "UPDATE changes SET status = 'failed', detail = ?, batch = -1 WHERE n = ?", (reason, n)
        )
        for _, change in self._store.changes("n = ?", (n,)):
            self._store.add_failed(change.row, change.key, [reason])

    def _size(self, batch: int) -> int:
        return self._store.count("changes", f"batch = {batch} AND status = 'before'")

    def _rejection_error(self) -> RequestRejectedError:
        failures = [
            f"row {change.row} ({change.key}): {self._reason(n)}"
            for n, change in self._store.changes("status = 'failed'")
        ]
        return RequestRejectedError(
            400,
            message=f"{len(failures)} rows were refused: {'; '.join(shorten(failures, 10))}"
            f" {self._written()}",
        )

    def _written(self) -> str:
        """Return what is written, and how much is left, for an error."""
        counts = self._store.counts("batch > 0 AND status = 'done'")
        done = ", ".join(f"{count} {name}d" for name, count in counts.items() if count) or "nothing"
        left = self._store.count("changes", "status IN ('before', 'drifted')")
        return f"[written: {done}; not sent: {left}]"

    def _reason(self, n: int) -> str:
        return str(self._store.db.execute("SELECT detail FROM changes WHERE n = ?", (n,)).fetchone()[0])


def _record(change: Change) -> dict[str, Any]:
    record: dict[str, Any] = {KEY: change.id}
    if change.operation != DELETE:
        record["new"] = change.body
    return record
