"""Property writer: concurrent writes to many Things, verified by reading back."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider.core.http.reply import truncate
from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import hides_values, shown_value
from airflow_provider.errors import (
    AuthenticationError,
    InputError,
    ProviderError,
    RateLimitedError,
    ServerError,
    TransportError,
    one_line,
)
from airflow_provider.iotstudio.equality import same_value
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.properties.bulk_read import ReadNotes, read_descriptions, read_values
from airflow_provider.iotstudio.properties.result import WriteFailure, WriteResult, count_values
from airflow_provider.iotstudio.properties.writes import Write, in_blocks

MAX_CONCURRENCY = 32
"""Maximum number of requests at the same time."""

BREAKER_THRESHOLD = 5
"""Consecutive failures that open the circuit breaker; as many as there are threads when these are more."""

SHOWN_CHARACTERS = 200
"""Maximum characters of a value in a message."""


class PropertyWriter:
    """Write with a bounded pool of threads that share the hook's keep-alive connections.

    :param hook: the space to write to.
    :param concurrency: number of requests at the same time, 1 to 32; the vendor names no limit.
    :param update_history: False keeps the values out of the history.
    :param only_changed: read first, and leave out values that are already stored.
    :param verify: read back in bulk afterwards, and compare.
    """

    def __init__(
        self,
        hook: IoTStudioHook,
        *,
        concurrency: int = 8,
        update_history: bool = True,
        only_changed: bool = False,
        verify: bool = True,
    ) -> None:
        if not 1 <= concurrency <= MAX_CONCURRENCY:
            raise InputError(f"concurrency must be 1 to {MAX_CONCURRENCY}, not {concurrency}")
        self._names = _SimilarNames(hook)
        self.hook = hook
        self.concurrency = concurrency
        self.update_history = update_history
        self.only_changed = only_changed
        self.verify = verify
        self._breaker = _CircuitBreaker(max(BREAKER_THRESHOLD, concurrency))

    def write(self, writes: Iterable[Write]) -> dict[str, int]:
        """Write all that can be written; return the numbers of values written, skipped and verified.

        The writes are read, sent and read back in blocks, so that memory does not grow with their number.

        :param writes: one write per Thing.
        :raises VerificationError: naming each value that differs from the written value.
        :raises PartialWriteError: naming each row that failed, after all others were written. When no
            write succeeded and all errors are of one class, the first of these errors is raised instead.
        """
        self.hook.transport  # noqa: B018 - opened here once, before threads share it
        result = WriteResult()
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="write-properties")
        try:
            for block in in_blocks(writes, lambda write: write):
                self._write_block(block, pool, result)
        finally:
            # When the task is killed, writes that have not started are cancelled.
            pool.shutdown(cancel_futures=True)
        if unsent := result.unsent_line(self._breaker.reason):
            result.lines += self._log_all([unsent])
        self._names.read_and_check(result.refused)
        self.hook.log.info(
            "Values: %d written, %d skipped, %d verified; %d Things failed; %d requests",
            *(result.counts[name] for name in ("written", "skipped", "verified")),
            *(result.failed, self.hook.requests),
        )
        result.raise_if_failed(self.hook.space)
        return result.counts

    def _write_block(self, block: Sequence[Write], pool: ThreadPoolExecutor, result: WriteResult) -> None:
        todo = block
        if self.only_changed and not self._breaker.reason:
            try:
                todo = self._changed(block)
            except ProviderError as error:
                if not result.has_begun:
                    raise
                self._breaker.reason = f"the current values could not be read: {error}"
                result.add_error(error)
        done = []
        for write, outcome in zip(todo, pool.map(self._send_one, todo), strict=True):
            if outcome is None:
                done.append(write)
            else:
                self._log_all(result.add_failure(outcome))
        result.add_counts(written=count_values(done), skipped=count_values(block) - count_values(todo))
        if self.verify and done and result.unread is None:
            self._read_back(done, result)

    def _changed(self, writes: Sequence[Write]) -> list[Write]:
        notes = ReadNotes()
        current = read_values(self.hook, [write.thing_id for write in writes], notes)
        self._names.check(writes, notes.declared, current)
        todo = []
        for write in writes:
            now = current.get(write.thing_id, {})
            new = {
                name: value
                for name, value in write.properties.items()
                if name not in now or not same_value(value, now[name])
            }
            if new:
                todo.append(Write(write.rows, write.thing_id, new))
        return todo

    def _send_one(self, write: Write) -> WriteFailure | None:
        if self._breaker.reason:
            return WriteFailure(write, None)
        try:
            self.hook.set_properties(write.thing_id, write.properties, update_history=self.update_history)
        except ProviderError as error:
            self._breaker.record_failure(error)
            return WriteFailure(write, error)
        self._breaker.record_success()
        return None

    def _read_back(self, done: Sequence[Write], result: WriteResult) -> None:
        """Add the number of values that are as written, and the differences of the others."""
        try:
            differences = self._differences(done)
        except ProviderError as error:
            # The other blocks are written nevertheless, and the rows that failed must be named.
            result.unread = error
            return
        result.add_counts(verified=count_values(done) - len(differences))
        result.differences += self._log_all(differences)

    def _differences(self, done: Sequence[Write]) -> list[str]:
        notes = ReadNotes()
        current = read_values(self.hook, [write.thing_id for write in done], notes)
        self._names.check(done, notes.declared, current)
        differences = []
        for write in done:
            now = current.get(write.thing_id)
            differences += [
                f"Thing {write.thing_id}, property '{name}': wanted {_json(value)}, found {_found(now, name)}"
                for name, value in write.properties.items()
                if now is None or not same_value(value, now.get(name))
            ]
        return differences

    def _log_all(self, lines: list[str]) -> list[str]:
        """Log every line, because an error shows the first lines only; return the lines."""
        for line in lines:
            self.hook.log.error("%s", one_line(line))
        return lines


class _SimilarNames:
    """Warnings about written properties that a Thing does not declare, while it declares a similar name.

    The service may accept such a write as a new property, and the device never sees it.

    :param hook: the space; its log gets the warnings.
    """

    def __init__(self, hook: IoTStudioHook) -> None:
        self._hook = hook
        self._warned: set[tuple[str, str]] = set()

    def check(
        self,
        writes: Sequence[Write],
        declared: Mapping[str, Mapping[str, Any]],
        current: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Warn once for each name.

        :param writes: the writes.
        :param declared: the declared properties by Thing; Things without any are left out.
        :param current: the current values by Thing. A description that is not among the declared ones is read
            when another value of the Thing has a similar name.
        """
        for write in writes:
            if write.thing_id in declared:
                self._compare(write, declared[write.thing_id])
            elif self._has_similar_value(write, current.get(write.thing_id) or {}):
                self.read_and_check([write])

    @staticmethod
    def _has_similar_value(write: Write, current: Mapping[str, Any]) -> bool:
        others = current.keys() - write.properties.keys()
        return any(nearest(name, others) for name in write.properties)

    def _compare(self, write: Write, known: Mapping[str, Any]) -> None:
        for name in write.properties.keys() - known.keys() if known else ():
            if (hint := nearest(name, known)) and (name, hint) not in self._warned:
                self._warned.add((name, hint))
                self._hook.log.warning(
                    "Thing %s does not declare the property %r%s", one_line(write.thing_id), name[:60], hint
                )

    def read_and_check(self, writes: Sequence[Write]) -> None:
        """Read the descriptions of Things, and warn about their writes."""
        if not writes:
            return
        try:
            _, notes = read_descriptions(self._hook, [write.thing_id for write in writes])
        except ProviderError as error:
            self._hook.log.info("the declared properties could not be read: %s", error)
        else:
            self.check(writes, notes.declared, {})


class _CircuitBreaker:
    """Circuit breaker: end a run early when the service is down or the credentials are not accepted.

    Without it, each of thousands of rows would be retried for minutes.

    :param limit: number of consecutive failures after which the breaker opens.
    """

    def __init__(self, limit: int) -> None:
        self.reason = ""
        self._limit = limit
        self._consecutive = 0
        self._lock = threading.Lock()

    def record_success(self) -> None:
        with self._lock:
            self._consecutive = 0

    def record_failure(self, error: ProviderError) -> None:
        with self._lock:
            if isinstance(error, AuthenticationError):
                self.reason = "the credentials are not accepted any more"
            if isinstance(error, (TransportError, ServerError, RateLimitedError)):
                self._consecutive += 1
                if self._consecutive >= self._limit:
                    self.reason = f"{self._consecutive} consecutive writes failed after all their attempts"
            else:
                self._consecutive = 0


def _found(values: Mapping[str, Any] | None, name: str) -> str:
    if values is None:
        return "no such Thing"
    return _json(values[name]) if name in values else "nothing"


def _json(value: Any) -> str:
    import msgspec

    if hides_values():
        return shown_value(value)
    return truncate(msgspec.json.encode(value).decode(), SHOWN_CHARACTERS)
