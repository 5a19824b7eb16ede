"""Fuzz targets of what comes back: values of state stores, events of triggers, parts of plans from XCom."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow_provider.amigocloud.export.checkpoint import Checkpoint
from airflow_provider.amigocloud.export.incremental import WatermarkStore
from airflow_provider.amigocloud.export.parts.part import read_part
from airflow_provider.amigocloud.sync.progress import Progress
from airflow_provider.amigocloud.watchers.observations import EventObservation, ObservedState
from airflow_provider.core.polling import Tolerance
from airflow_provider.core.sensor import PollSensor
from airflow_provider.core.state.submission import Submission
from airflow_provider.core.state.watermark import Watermark
from airflow_provider.core.trigger_events import raise_for
from airflow_provider.core.triggers import NewItemsTrigger, by_hash
from airflow_provider.errors import ProviderError, TransportError
from airflow_provider.iotstudio.events import watch
from airflow_provider.iotstudio.events.incremental import EventsWatermark
from airflow_provider.iotstudio.events.reader import Found
from airflow_provider.iotstudio.events.records import Event
from airflow_provider.iotstudio.export.history import Span
from airflow_provider.iotstudio.export.incremental import HistoryWatermark
from airflow_provider.leanix.runs.shrink_guard import LastItemCount
from airflow_provider.leanix.sync_log.increment import Increment
from airflow_provider.leanix.sync_log.increment import Progress as SyncLogProgress
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import Target

_LOG = logging.getLogger("airflow_provider.fuzz")
_LOG.disabled = True
_REQUEST = "request"
_END = datetime(2026, 1, 1, tzinfo=UTC)
"""End of spans, so long ago that no export waits for its last values."""


class _Store:
    """State store in which each name has the same value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self, _: str, default: Any = None) -> Any:
        """Return the value."""
        return default if self.value is None else json.loads(json.dumps(self.value))

    def set(self, _: str, value: Any, **__: Any) -> None:
        """Check that a value is JSON."""
        json.dumps(value)

    def delete(self, _: str) -> None:
        """Delete nothing."""


class _Stores:
    def __init__(self, value: Any) -> None:
        self.store = _Store(value)

    def __getitem__(self, _: Any) -> _Store:
        return self.store


def _context(value: Any) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, max_tries=1, try_number=1)
    return {"ti": ti, "task_state_store": _Store(value), "asset_state_store": _Stores(value)}


def _named(value: Any, **fields: Any) -> Any:
    """Return a stored value with the fingerprints by which its reader knows it."""
    return {**value, **fields} if isinstance(value, dict) else value


def _state(data: bytes) -> None:
    """Pass a stored value to all classes that read such values."""
    value = _json(data)
    for step in _STEPS:
        try:
            step(value)
        except ProviderError:
            continue


def _submission(value: Any) -> None:
    from airflow_provider.core.state.identity import fingerprint

    known = _named(value, request=fingerprint(_REQUEST))
    for given in (value, known):
        found = Submission(_context(given), _REQUEST, _LOG)
        repr(found.marker)
        found.created("id", found.note)
        found.finished()


def _checkpoint(value: Any) -> None:
    Checkpoint(_Store(value), "/nowhere/out.jsonl", {}, _LOG)


def _progress(value: Any) -> None:
    from airflow_provider.core.state.identity import fingerprint

    found = Progress(_context(_named(value, request=fingerprint(_REQUEST))), _REQUEST, _LOG)
    found.log_earlier()
    found.ended({"create": 1})


def _item_count(value: Any) -> None:
    from airflow.sdk import Asset

    found = LastItemCount(_context(value), [Asset("a")], "c")
    found.raise_if_shrunk(10, 0.5)
    found.record(10)


def _watcher(value: Any) -> None:
    state = ObservedState(("*",), None, value)
    state.events(EventObservation("project:process_file_started", {"job": "1", "dataset_id": 1}, "m"), 1.0)
    json.dumps(state.changed_state())


def _mark(value: Any, source: Any, name: str) -> tuple[dict[str, Any], Watermark]:
    from airflow_provider.core.state.identity import fingerprint

    context = _context(_named(value, source=fingerprint(source)))
    return context, Watermark(context, ["asset"], source, _LOG, name=name, argument="incremental")


def _dataset_mark(value: Any) -> None:
    from airflow_provider.core.state.identity import fingerprint

    source = {"column": "updated"}
    context = _context(_named(value, source=fingerprint(source)))
    WatermarkStore(context, ["asset"], source, _LOG).load()  # type: ignore[list-item]


def _marks(value: Any) -> None:
    for kind in (HistoryWatermark, EventsWatermark):
        _, watermark = _mark(value, "things", "state")
        kind(watermark, _LOG, timedelta(days=1)).span(Span(end=_END))


def _sync_log(value: Any) -> None:
    from airflow_provider.core.state.identity import fingerprint

    context = _context(_named(value, source=fingerprint("all")))
    Increment(None, SyncLogProgress(context, ["asset"], "all", _LOG), _LOG)


def _failures(value: Any) -> None:
    """Count a failed poll of a sensor in mode ``reschedule``."""
    tolerance = Tolerance(_LOG)
    PollSensor._restore_failures(tolerance, _context(value))  # type: ignore[arg-type]
    with suppress(TransportError), tolerance:
        raise TransportError("no response")


class _Items(NewItemsTrigger):
    """Watcher of a list, in which one item is new."""

    def arguments(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    async def list_items(self) -> dict[str, Any]:
        """Return the items."""
        return {"a": None}

    def events(self, new: Any, now: Any) -> list[dict[str, Any]]:
        """Return the new ones."""
        return [{"new": list(new)}]


def _items(value: Any) -> None:
    json.dumps(_Items()._news({"a": None}, by_hash(["a"]), value))


def _events(value: Any) -> None:
    event = Event(_END, "id", "thing", "name", None)
    found = Found([event], [])
    watch.since(value, _END)
    watch.overrun(found, _END, value)
    json.dumps(watch.decide(found, _END, _END, value))


_STEPS = (
    *(_items, _events),
    _failures,
    _submission,
    _checkpoint,
    _progress,
    _item_count,
    _watcher,
    _dataset_mark,
    _marks,
    _sync_log,
)


def _event(data: bytes) -> None:
    """Raise the error that a trigger's event carries."""
    value = _json(data)
    if isinstance(value, dict):
        raise_for(_named(value, status="error"))


def _part(data: bytes) -> None:
    """Read a part of a planned export, as XCom returns it."""
    repr(read_part(_json(data)).label)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


def _target(name: str, run: Any, *instrumented: str) -> Target:
    modules = tuple(f"airflow_provider.{one}" for one in instrumented)
    return Target(name, run, modules, mutate=mutate_json, max_bytes=30_000)


TARGETS = [
    _target("state", _state, "core.state", "amigocloud", "iotstudio", "leanix"),
    _target("event", _event, "core.trigger_events", "errors"),
    _target("part", _part, "amigocloud.export.parts", "core.files.paths.parts"),
]
