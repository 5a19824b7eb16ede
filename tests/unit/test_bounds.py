"""Bounds of the services' modules are written out, as those of core: to change one is a decision."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from importlib import import_module
from inspect import signature
from typing import Any

from airflow_provider.amigocloud import pagination
from airflow_provider.amigocloud import triggers as amigocloud_triggers
from airflow_provider.amigocloud.export import checkpoint, key_order, keyset, readers
from airflow_provider.amigocloud.sync import status
from airflow_provider.amigocloud.watchers import monitor, observations, registry
from airflow_provider.core import shared_polls, trigger_events, triggers
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.sync import drawing, failures, page, summary
from airflow_provider.iotstudio import triggers as iotstudio_triggers
from airflow_provider.iotstudio.events import fleet
from airflow_provider.iotstudio.events import watch as event_watch
from airflow_provider.iotstudio.push import watch as push_watch
from airflow_provider.leanix import triggers as leanix_triggers
from airflow_provider.leanix.as_code import plan as configuration_plan
from airflow_provider.leanix.ldif import content, document, header, stream_parser, validation
from airflow_provider.leanix.runs import outcome, shared_poll, shrink_guard, submit, wait
from airflow_provider.mapsindoors.plan import dependencies, moves, resolution, restore
from airflow_provider.mapsindoors.plan import document as map_plan

MIB = 1024 * 1024


def test_bounds_of_reading_a_dataset_of_amigocloud() -> None:
    assert (checkpoint.PART_ROWS, checkpoint.PART_BYTES) == (50_000, 32 * MIB)
    assert checkpoint._STORE_KEY == "amigocloud_export_parts"
    assert (key_order._EVIDENCE, keyset._DIGITS) == (16, 13)
    assert readers.ReadOptions() == readers.ReadOptions(1000, 1)
    texts = (
        "string",
        "uuid",
        "unknown(19)",
        "unknown(25)",
        "unknown(1042)",
        "unknown(1043)",
        "unknown(2950)",
    )
    assert set(texts) == keyset._HEX_TYPES
    floats = {"float", "real", "double", "double precision", "unknown(700)", "unknown(701)"}
    assert {one for one, why in keyset._NO_KEYS.items() if why is keyset._FLOAT} == floats
    others = {"geometry", "json", "jsonb", "unknown(114)", "unknown(3802)"}
    assert {one for one, why in keyset._NO_KEYS.items() if why is keyset._NO_ORDER} == others
    assert {"boolean", "unknown(16)"} == pagination.BOOLEAN_TYPES
    numbers = ("integer", "bigint", "real", "double", "double precision", "float", "numeric", "number")
    ids = (20, 21, 23, 700, 701, 1700)
    assert {*numbers, *(f"unknown({one})" for one in ids)} == pagination.NUMBER_TYPES
    assert (pagination.MAX_EMPTY_PAGES, pagination._LISTS) == (20, ("results", "data"))
    assert pagination._CARRIED_PARAMS == ("query", "state", "dataset_id", "limit")


def test_bounds_of_ldif() -> None:
    assert content._READ_BYTES == MIB // 4
    assert (document._SEND_BYTES, stream_parser._MAX_BUFFERED_BYTES) == (MIB // 16, 64 * MIB)
    assert header.DEFAULTS == {"lxVersion": "1.0.0", "processingMode": "partial"}
    assert header._ANY_CASE == ("processingDirection", "processingMode", "lxWorkspace")
    assert (
        *("connectorType", "connectorId", "connectorVersion", "processingDirection", "processingMode"),
        *("lxVersion", "lxWorkspace", "description", "customFields", "chunkInformation", "content"),
    ) == validation.KNOWN_FIELDS
    assert {"type", "data", "id"} == validation._ITEM_FIELDS
    assert validation.CHUNK_FIELDS == ("firstDataObject", "lastDataObject", "maxDataObject")
    assert (validation._MAX_PROBLEMS, validation._MAX_UNKNOWN, validation._MAX_TEXT) == (10_000, 100, 300)
    assert validation.TRIGGER == {"type": "", "id": "", "data": {}}


def test_bounds_of_runs() -> None:
    assert (outcome.MAX_MESSAGES, outcome._MAX_WARNINGS) == (10, 2000)
    assert (shared_poll._MAX_SINGLE_POLLS, shared_poll._ROWS_PER_RUN) == (4, 500)
    assert (shared_poll._MAX_LIST_ROWS, shared_poll._STATUS_POLLS_PER_SECOND) == (50_000, 15)
    assert (shared_poll._HOOK_MAX_AGE, shared_poll.RunWaiter("r", 5.0).pause) == (60, 0)
    assert {"CREATED", "IN_PROGRESS", "PENDING", "SEQUENTIALIZED"} == shared_poll._NOT_ENDED
    assert (shrink_guard._NAME, submit.SUPERSEDED_SECONDS) == ("leanix_full_run_items", 60)
    assert (wait._STOP_SECONDS, wait._STOP_INTERVAL, wait._UNKNOWN) == (3, 0.5, "UNKNOWN")
    assert (wait.RESULTS_SECONDS, wait._MIN_RESULTS_SECONDS, wait._MAX_RESULTS_INTERVAL) == (60, 5, 5)


def test_bounds_of_watchers() -> None:
    assert (monitor.STABLE_SECONDS, monitor.MAX_QUEUED, registry.MAX_UNREAD) == (10, 100, 500)
    assert (observations.DUPLICATE_SECONDS, observations.MAX_RECENT) == (10, 200)
    assert (observations.CHANGED, observations.STARTED) == ("dataset:changed", "project:process_file_started")
    assert (
        *("realtime", "dataset:changed", "dataset:change_succeeded", "dataset:revert_succeeded"),
    ) == observations.CHANGES
    assert (shared_polls._UNUSED_SECONDS, shared_polls.WOKEN_AT_ONCE) == (600, 50)
    assert (observations.CREATED, observations.DELETED) == ("dataset:creation_succeeded", "dataset:deleted")
    ends = ("project:process_file_finished", "project:process_datasource_failed")
    assert ends == (observations.FINISHED, observations.FAILED)
    assert (observations.MAX_JOBS, observations.MAX_JOBS_BYTES) == (100, 30_000)
    assert (monitor.MAX_TEXT, monitor.MAX_ENTRIES) == (200, 20)
    assert RetryLimits(attempts=2, cap=2.0, total=20.0) == monitor.RETRY_LIMITS
    assert (trigger_events._MAX_BYTES, fleet.CONCURRENCY) == (3000, 8)
    assert (event_watch.MARK_BYTES, event_watch.MAX_STATE, event_watch.MAX_UNREAD) == (6, 48_000, 200)
    assert (event_watch._PER_MARK, event_watch._PER_SECOND) == (8, 24)
    assert (timedelta(minutes=15), timedelta(hours=2)) == (event_watch.MARGIN, event_watch.CLOCK_LEEWAY)
    assert (push_watch.ASK_SECONDS, push_watch.TAKE_SECONDS, push_watch.FLOOD_SECONDS) == (1, 0.2, 2)
    assert (push_watch.MAX_ASKED, push_watch.MAX_ID, push_watch.OFFLINE_SECONDS) == (200, 200, 30)


def defaults(function: Any) -> dict[str, Any]:
    return {
        name: one.default
        for name, one in signature(function).parameters.items()
        if one.default is not one.empty and one.default is not None
    }


def test_what_is_left_out_of_a_trigger() -> None:
    assert defaults(amigocloud_triggers.AmigoCloudTrigger) == {"poll_interval": 10}
    own = {"amigocloud_conn_id": "amigocloud_default", "poll_interval": 60}
    assert defaults(amigocloud_triggers.AmigoCloudEventTrigger) == own
    assert defaults(amigocloud_triggers.AmigoCloudDatasetTrigger) == own
    sockets = (amigocloud_triggers.AmigoCloudEventTrigger, amigocloud_triggers.AmigoCloudDatasetTrigger)
    assert [kind.with_socket for kind in sockets] == [True, False]
    assert defaults(iotstudio_triggers.IoTStudioActionTrigger) == {}
    own = {"iotstudio_conn_id": "iotstudio_default", "poll_interval": 30}
    assert defaults(iotstudio_triggers.IoTStudioThingTrigger) == {**own, "mqtt": False}
    assert defaults(iotstudio_triggers.IoTStudioEventTrigger) == own
    assert iotstudio_triggers.IoTStudioThingTrigger.timing == {"poll_interval", "mqtt"}
    assert defaults(leanix_triggers.LeanIXRunTrigger) == {"poll_interval": 5, "results_seconds": 0}
    own = {"leanix_conn_id": "leanix_default", "description": "*", "statuses": ("FINISHED",)}
    assert defaults(leanix_triggers.LeanIXRunEndedTrigger) == {**own, "poll_interval": 30}
    assert not leanix_triggers.LeanIXRunEndedTrigger.first_poll_fires


def test_what_a_watcher_and_an_observation_begin_with() -> None:
    kind = triggers.NewItemsTrigger
    assert (kind.fresh_from, kind._known_at, kind.first_poll_fires) == (-math.inf, -math.inf, True)
    assert kind.timing == {"poll_interval"}
    assert triggers.PollTrigger.late_modules == ()
    event = observations.EventObservation("x", {})
    assert (event.master, event.source, event.asked) == (None, "socket", math.inf)
    assert observations.StateObservation(1, "m").asked == math.inf
    assert observations.ListObservation(frozenset()).asked == math.inf
    assert fleet.Fleet() == fleet.Fleet(None, None, None)
    assert event_watch.Place(datetime.max, {}) == event_watch.Place(datetime.max, {}, frozenset(), None)
    assert defaults(event_watch.Place.advance) == {"stays": False}
    for function in (fleet.map_concurrently, fleet.amap_concurrently):
        assert defaults(function) == {"concurrency": 8}


def test_the_modules_that_a_poll_needs_are_there() -> None:
    kinds = (
        amigocloud_triggers.AmigoCloudTrigger,
        iotstudio_triggers.IoTStudioEventPollTrigger,
        iotstudio_triggers.IoTStudioSilenceTrigger,
    )
    assert [len([*map(import_module, kind.late_modules)]) for kind in kinds] == [2, 1, 2]


def test_bounds_and_names_of_plans() -> None:
    assert (drawing.MOST_SHAPES, page.MOST_ROWS, failures.MAX_LOGGED) == (2000, 2000, 20)
    shapes = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")
    assert dict(zip(shapes, (0, 1, 1, 2, 2, 3), strict=True)) == drawing._DEPTHS
    assert (summary.MOST_CHANGES, summary.MOST_FIELDS, summary.MOST_TEXT) == (10, 5, 80)
    assert (summary.SUMMARY_XCOM, summary._JOINER) == ("plan_summary", "\u2060")
    kinds = ("create", "moved", "update", "deactivate", "delete")
    assert dict(zip(kinds, ("new", "moved", "changed", "deactivated", "deleted"), strict=True)) == page.WORDS
    assert (dependencies._MAP, dependencies.FAILED, dependencies._SHOWN) == ("map", "failed", 10)
    assert (map_plan.VERSION, map_plan.ACTIVE, moves.PARENT) == (1, 1, "parentId")
    assert (resolution._NEED_TYPE, restore._ALWAYS) == (("room", "poi"), ("baseType", "datasetId"))
    assert configuration_plan.OPERATIONS == ("create", "update", "unchanged")
    assert (configuration_plan._ROUNDS, status.SHOWN) == (10_000, 10)
