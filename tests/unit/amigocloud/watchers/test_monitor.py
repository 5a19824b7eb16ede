"""Watchers over real TCP: no change is lost, none fires twice, whatever the socket does."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import ClassVar

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider.amigocloud import triggers
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.realtime import socket
from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger, AmigoCloudEventTrigger
from airflow_provider.amigocloud.watchers import monitor as module
from airflow_provider.amigocloud.watchers.monitor import ConnectionMonitor
from airflow_provider.amigocloud.watchers.observations import (
    EventObservation,
    ObservedState,
    StateObservation,
)
from airflow_provider.amigocloud.watchers.registry import WatchRegistry
from airflow_provider.sandbox.amigocloud import seed
from tests.support.state_store import FakeStateStore
from tests.unit.amigocloud.realtime.test_socket import SOCKET, until

SHARES = hasattr(BaseEventTrigger, "shared_stream_key")


class ObservedMonitor(ConnectionMonitor):
    """A monitor that records its work, so that tests need not guess how long it takes."""

    instances: ClassVar[list[ObservedMonitor]] = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard = set()
        self.polls = 0
        self.instances.append(self)

    async def _poll(self):
        try:
            await super()._poll()
        finally:
            self.polls += 1

    async def _publish(self, event):
        await super()._publish(event)
        self.heard.add(event.name)

    @property
    def is_done(self):
        """True if the monitor has polled, and all watchers have read the result."""
        registry = self._registry
        polled = registry.poll_due._waiters and not registry.poll_due.is_set()
        return polled and self._queue.empty() and not any(request.unread for request in registry._requests)

    @property
    def is_subscribed(self):
        """True if the monitor has subscribed to all events."""
        return self._registry.watcher_added._waiters and not self._registry.watcher_added.is_set()


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    monkeypatch.setattr(module, "backoff_delays", lambda *_: iter(lambda: 0.02, None))
    monkeypatch.setattr(socket, "PING_LIMITS", {3: (0.0, 30.0), 4: (0.0, 30.0)})
    monkeypatch.setattr(module, "ConnectionMonitor", ObservedMonitor)
    ObservedMonitor.instances.clear()


def change(sandbox, dataset=1):
    return sandbox.amigocloud.store.write(f"UPDATE dataset_{dataset} SET name = name || '!'")[1][dataset]


def watcher(kind=AmigoCloudEventTrigger, state=None, **arguments):
    """Return a trigger, made the way the triggerer does."""
    if kind is AmigoCloudEventTrigger:
        arguments = {"events": ["realtime"], "dataset": 1, **arguments}
    path, kwargs = kind(**arguments).serialize()
    module, name = path.rsplit(".", 1)
    assert module == triggers.__name__
    made = getattr(triggers, name)(**json.loads(json.dumps(kwargs)))
    made.asset_state_store = state
    return made


@asynccontextmanager
async def running(*made, alone=False, later=None):
    """Run triggers the way the triggerer does, and yield the list of each trigger's events.

    :param later: the last trigger starts when this is set.
    """
    manager = None
    if SHARES and not alone:
        from airflow.triggers.shared_stream import SharedStreamManager

        manager = SharedStreamManager()

    async def run(number, trigger, fired):
        if later and trigger is made[-1]:
            await later.wait()
        events = trigger.run()
        if manager:
            stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
            events = trigger.filter_shared_stream(stream)
        async for event in events:
            fired.append(json.loads(json.dumps(event.payload)))

    lists = [[] for _ in made]
    pairs = zip(made, lists, strict=True)
    tasks = [asyncio.create_task(run(n, trigger, fired)) for n, (trigger, fired) in enumerate(pairs)]
    try:
        yield lists
        assert not [task.exception() for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        if manager:
            await manager.stop_all()
        ObservedMonitor.instances.clear()


def watching(sandbox, many=1):
    """Return whether as many watchers as expected run, and have polled."""
    there = sum(len(monitor._registry._requests) for monitor in ObservedMonitor.instances)
    return there == many and all(monitor.is_done for monitor in ObservedMonitor.instances)


async def listening(sandbox, dataset=1, many=1):
    """Wait until all watchers have subscribed to the dataset's events, and have polled it since."""
    sockets, monitors = sandbox.amigocloud.sockets, 1 if SHARES else many
    await until(lambda: len(ObservedMonitor.instances) >= monitors and watching(sandbox, many))
    await until(
        lambda: (
            sockets.listeners(dataset) and all(monitor.is_subscribed for monitor in ObservedMonitor.instances)
        )
    )
    await until(lambda: watching(sandbox, many))


async def poll_now():
    """Poll everything that is watched now, and wait until all watchers have read the result."""
    before = {monitor: monitor.polls for monitor in ObservedMonitor.instances}
    for monitor in before:
        monitor._registry.poll_due.set()
    await until(lambda: all(monitor.polls > polls and monitor.is_done for monitor, polls in before.items()))


markers = (f"marker:{number}" for number in count())


async def all_heard(sockets):
    """Wait until all monitors have read what was sent to them until now.

    The line of a monitor that has ended may still be there, and hears nothing: when lines change, ask again.
    """
    marker, lines, there = next(markers), sockets.listeners(), set(sockets.connections)
    sockets.emit(marker, {})

    def is_heard():
        return sum(marker in monitor.heard for monitor in ObservedMonitor.instances) >= lines

    await until(lambda: is_heard() or set(sockets.connections) != there)
    if not is_heard():
        await all_heard(sockets)


async def fired_exactly(sandbox, fired, expected):
    """Wait until as many events as expected have fired, and check that further polls fire no more."""
    await until(lambda: len(fired) >= expected)
    sockets = sandbox.amigocloud.sockets
    if sockets.listeners() and not sockets.lose and not sockets.silent:
        await all_heard(sockets)
    await poll_now()
    assert len(fired) == expected
    return fired


@pytest.mark.parametrize("alone", [False, True], ids=["shared", "alone"])
async def test_a_change_fires_once_with_the_new_state(sandbox, alone):
    async with running(watcher(poll_interval=0.1), alone=alone) as (fired,):
        await listening(sandbox)
        master = change(sandbox)
        (event,) = await fired_exactly(sandbox, fired, 1)
    assert (event["event"], event["dataset_id"], event["master"]) == ("realtime", 1, master)
    assert event["source"] in {"socket", "poll"}


async def test_the_socket_reports_changes_long_before_the_poll(sandbox):
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        for number in (1, 2, 3):
            change(sandbox)
            await until(lambda number=number: len(fired) == number)
        told = await fired_exactly(sandbox, fired, 3)
    assert {event["source"] for event in told} == {"socket"}
    assert all(event["data_count"] == 8 and "data" not in event for event in told)


async def test_the_change_of_a_lost_event_is_found_by_the_poll(sandbox):
    async with running(watcher(poll_interval=0.2)) as (fired,):
        await listening(sandbox)
        sandbox.amigocloud.sockets.lose = 1
        master = change(sandbox)
        (event,) = await fired_exactly(sandbox, fired, 1)
    assert (event["source"], event["master"], event["event"]) == ("poll", master, "realtime")


async def test_a_change_whose_state_cannot_be_read_is_polled_for_at_once(sandbox):
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        sandbox.faults.add("status", status=403, path="/master", times=1)
        master = change(sandbox)
        await until(lambda: fired)
        (event,) = await fired_exactly(sandbox, fired, 1)
    assert (event["source"], event["master"]) == ("poll", master)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_change_while_the_socket_is_down_fires_once_after_it_is_up_again(sandbox, how):
    sockets = sandbox.amigocloud.sockets
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        fault = sandbox.faults.add("reset_before", method="WEBSOCKET", times=None)
        sockets.disconnect() if how == "close" else sandbox.cut_connections()
        await until(lambda: not sockets.connections)
        master, tries = change(sandbox), sandbox.counters.requests[SOCKET]
        await until(lambda: sandbox.counters.requests[SOCKET] > tries + 2)
        assert not fired
        sandbox.faults.remove(fault)
        await until(lambda: fired)
        await listening(sandbox)
        (event,) = await fired_exactly(sandbox, fired, 1)
        assert (event["source"], event["master"]) == ("poll", master)
        change(sandbox)
        assert (await fired_exactly(sandbox, fired, 2))[1]["source"] == "socket"
    assert sockets.opened == 2


async def test_a_silent_connection_is_replaced_and_what_it_missed_fires(sandbox):
    sockets = sandbox.amigocloud.sockets
    sockets.ping_interval = 100
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        sockets.silent = True
        change(sandbox)
        await until(lambda: not sockets.listeners(1))
        sockets.silent = False
        await until(lambda: fired)
        await listening(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_a_single_heartbeat_that_is_missed_costs_no_change(sandbox):
    sockets = sandbox.amigocloud.sockets
    sockets.ping_interval = 100
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        sockets.lose_pongs = 1
        await until(lambda: not sockets.lose_pongs)
        answered = sockets.heartbeats
        await until(lambda: sockets.heartbeats > answered)
        await listening(sandbox)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_a_failed_session_request_is_retried(sandbox):
    sandbox.faults.add("status", path="/me/start_websocket_session", status=503, times=3)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_a_session_request_that_is_sent_elsewhere_is_not_followed(sandbox):
    place = f"{sandbox.amigocloud.around.storage_origin}/elsewhere"
    path = "/me/start_websocket_session"
    fault = sandbox.faults.add("redirect", path=path, location=place, times=3)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)
    assert fault.hits == 3
    assert not sandbox.counters.total("storage")


@pytest.mark.parametrize("how", ["broken", "cancelled"])
async def test_a_connection_that_ends_leaves_no_work_behind(sandbox, how):
    class Breaking:
        waits = asyncio.Event()

        async def authenticate(self, *_):
            if how == "broken":
                self.waits.set()

        async def receive(self):
            await self.waits.wait()
            raise ConnectionError("broken")

    monitor = ConnectionMonitor(lambda: AmigoCloudHook(), WatchRegistry(), with_socket=True)
    before = asyncio.all_tasks()
    listening = asyncio.ensure_future(monitor._listen(Breaking()))
    if how == "cancelled":
        while not monitor._registry.watcher_added._waiters:
            await asyncio.sleep(0.001)
        listening.cancel()
    with pytest.raises((ConnectionError, asyncio.CancelledError)):
        await listening
    assert asyncio.all_tasks() == before


async def test_a_token_that_is_refused_for_a_while_costs_no_change(sandbox):
    service = sandbox.amigocloud
    async with running(watcher(poll_interval=0.1)) as (fired,):
        await listening(sandbox)
        revoked = service.tokens.pop(seed.USER_TOKEN)
        service.sockets.disconnect()
        change(sandbox)
        await poll_now()
        assert not fired
        service.tokens[seed.USER_TOKEN] = revoked
        await until(lambda: fired)
        await listening(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_a_new_token_is_read_from_the_connection_when_the_old_token_is_refused(sandbox, connect):
    service = sandbox.amigocloud
    conn_id = connect()
    async with running(watcher(amigocloud_conn_id=conn_id, poll_interval=0.1)) as (fired,):
        await listening(sandbox)
        del service.tokens[seed.USER_TOKEN]
        service.sockets.disconnect()
        connect(password=seed.AWKWARD_TOKEN)
        change(sandbox)
        await until(lambda: fired)
        await listening(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_a_failed_poll_is_made_again_long_before_the_next_one_is_due(sandbox):
    fault = sandbox.faults.add("status", status=401, path="/master")
    made = watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=3600)
    async with running(made):
        await until(lambda: fault.hits and sandbox.counters.total("/master") > fault.hits)


async def test_a_poll_reads_a_new_token_too(sandbox, connect):
    conn_id = connect()
    made = watcher(AmigoCloudDatasetTrigger, amigocloud_conn_id=conn_id, dataset=1, poll_interval=0.1)
    async with running(made) as (fired,):
        await until(lambda: ObservedMonitor.instances and watching(sandbox))
        del sandbox.amigocloud.tokens[seed.USER_TOKEN]
        connect(password=seed.AWKWARD_TOKEN)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_the_event_of_a_change_that_a_poll_has_found_fires_no_second_time():
    observed = ObservedState(["realtime"], 1)
    decide, state = triggers._Decider(observed, None), None
    event = EventObservation("realtime", {"dataset_id": 1}, "b")
    fired = []
    for observation in (StateObservation(1, "a"), StateObservation(1, "b"), event, event):
        decide.observation = observation
        payloads, changed = decide(state)
        state = state if changed is None else changed
        fired.append([payload["source"] for payload in payloads])
    assert fired == [[], ["poll"], [], ["socket"]]


async def test_a_dataset_that_cannot_be_watched_does_not_stop_the_others(sandbox):
    gone, there = (watcher(dataset=number, poll_interval=0.1) for number in (999, 1))
    async with running(gone, there) as (nothing, fired):
        await listening(sandbox, many=2)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)
        assert not nothing


async def test_without_websockets_installed_changes_are_polled(sandbox, monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    async with running(watcher(poll_interval=0.1)) as (fired,):
        await until(lambda: ObservedMonitor.instances and watching(sandbox))
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)
    assert not sandbox.amigocloud.sockets.opened


async def test_a_server_that_was_upgraded_is_spoken_to_in_its_own_protocol(sandbox):
    sandbox.amigocloud.sockets.protocol, sandbox.amigocloud.sockets.old_clients = 4, False
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_with_a_project_token_changes_are_polled(sandbox, connect):
    conn_id = connect(password=seed.READ_PROJECT_TOKEN)
    async with running(watcher(amigocloud_conn_id=conn_id, poll_interval=0.1)) as (fired,):
        await until(lambda: ObservedMonitor.instances and watching(sandbox))
        change(sandbox)
        assert (await fired_exactly(sandbox, fired, 1))[0]["source"] == "poll"


@pytest.mark.parametrize("kind", [AmigoCloudEventTrigger, AmigoCloudDatasetTrigger])
async def test_a_restart_loses_nothing_and_repeats_nothing(sandbox, kind):
    state = FakeStateStore()
    arguments = {"dataset": 1, "poll_interval": 0.1}
    async with running(watcher(kind, state, **arguments)) as (fired,):
        await until(lambda: state)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)
    async with running(watcher(kind, state, **arguments)) as (fired,):
        await until(lambda: ObservedMonitor.instances and watching(sandbox))
        await fired_exactly(sandbox, fired, 0)
    master = change(sandbox)
    async with running(watcher(kind, state, **arguments)) as (fired,):
        assert (await fired_exactly(sandbox, fired, 1))[0]["master"] == master
    assert seed.USER_TOKEN not in json.dumps(state)


async def test_two_watchers_of_one_dataset_both_fire_once(sandbox):
    async with running(watcher(poll_interval=0.1), watcher(poll_interval=0.1)) as lists:
        await listening(sandbox, many=2)
        change(sandbox)
        for fired in lists:
            await fired_exactly(sandbox, fired, 1)


async def test_the_state_of_every_asset_remembers_when_several_share_a_watcher(sandbox):
    class Accessors:
        """The triggerer's accessors for several assets: one per asset, and no single one."""

        def __init__(self):
            self._by_name = {"a": FakeStateStore(), "b": FakeStateStore()}

    made = watcher(poll_interval=0.05)
    made.asset_state_store = Accessors()
    async with running(made):
        await until(lambda: all(made.asset_state_store._by_name.values()))


async def test_a_watcher_that_is_cancelled_at_any_moment_ends(sandbox):
    for _ in range(20):  # each ends at another moment of its first poll
        made = watcher(state=FakeStateStore(), poll_interval=0.05)
        async with running(made, alone=True):
            await until(lambda made=made: made.asset_state_store)


@pytest.mark.skipif(not SHARES, reason="shared streams came with Airflow 3.3")
async def test_200_watchers_of_one_connection_cost_one_socket_and_one_poll(sandbox):
    many = [watcher(dataset=number, poll_interval=3600) for number in (1, seed.ZONES)] * 100
    async with running(*many) as lists:
        await until(lambda: sandbox.amigocloud.sockets.listeners(seed.ZONES))
        await listening(sandbox, many=200)
        before = sandbox.counters.total()
        await fired_exactly(sandbox, lists[0], 0)
        assert sandbox.counters.total() == before + 2  # a poll of each of the two datasets
        assert sandbox.amigocloud.sockets.opened == sandbox.counters.requests[SOCKET] == 1
        change(sandbox, seed.ZONES)
        await until(lambda: sum(map(bool, lists)) == 100)


async def test_a_dataset_that_is_watched_later_is_subscribed_to_at_once(sandbox):
    late = watcher(dataset=seed.ZONES, poll_interval=3600)
    later = asyncio.Event()
    async with running(watcher(poll_interval=3600), late, later=later) as (_, fired):
        await listening(sandbox)
        later.set()
        await listening(sandbox, seed.ZONES, many=2)
        change(sandbox, seed.ZONES)
        await fired_exactly(sandbox, fired, 1)
        assert sandbox.amigocloud.sockets.opened == (1 if SHARES else 2)


def create(name="New"):
    return AmigoCloudHook().post("datasets/create", {"name": name, "schema": json.dumps([])})["id"]


async def test_new_and_deleted_datasets_fire_once_also_when_the_socket_was_down(sandbox):
    service = sandbox.amigocloud
    service.job_latency = 0.05
    async with running(watcher(events=["dataset:*"], dataset=None, poll_interval=0.2)) as (fired,):
        await listening(sandbox, None)
        first = await asyncio.to_thread(create)
        await fired_exactly(sandbox, fired, 1)
        service.sockets.lose = 99
        second = await asyncio.to_thread(create)
        await fired_exactly(sandbox, fired, 2)
        await asyncio.to_thread(AmigoCloudHook().delete, f"datasets/{second}")
        await fired_exactly(sandbox, fired, 3)
    assert [(event["event"], event["dataset_id"]) for event in fired] == [
        ("dataset:creation_succeeded", first),
        ("dataset:creation_succeeded", second),
        ("dataset:deleted", second),
    ]


ENDS = {"events": ["project:process_file_finished", "project:process_datasource_failed"], "dataset": None}


def upload(tmp_path):
    path = tmp_path / "rooms.csv"
    path.write_text("name\nA\n")
    return AmigoCloudHook().upload_file(str(path))


async def begun(sandbox, tmp_path, state):
    """Start a watcher and a job, wait until the watcher has received its start, and return the job's id."""
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await listening(sandbox, None)
        job = await asyncio.to_thread(upload, tmp_path)
        await until(lambda: job in json.dumps(state))
        await fired_exactly(sandbox, fired, 0)
    return job


async def test_the_end_of_a_started_job_is_polled_when_its_event_is_lost(sandbox, tmp_path):
    sockets = sandbox.amigocloud.sockets
    sandbox.amigocloud.job_latency, sandbox.amigocloud.job_failures = 3600, ["no such column"]
    state = FakeStateStore()
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await listening(sandbox, None)
        job = await asyncio.to_thread(upload, tmp_path)
        await until(lambda: job in json.dumps(state))
        sockets.lose = 99
        sandbox.clock.advance(3601)
        (event,) = await fired_exactly(sandbox, fired, 1)
    assert (event["event"], event["source"]) == ("project:process_datasource_failed", "poll")
    assert (event["job"], event["filename"]) == (job, "rooms.csv")


async def test_a_job_that_ends_while_the_triggerer_is_down_fires_once(sandbox, tmp_path):
    sandbox.amigocloud.job_latency = 3600
    state = FakeStateStore()
    job = await begun(sandbox, tmp_path, state)
    sandbox.clock.advance(3601)
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        (event,) = await fired_exactly(sandbox, fired, 1)
    assert (event["event"], event["job"], event["source"]) == (ENDS["events"][0], job, "poll")
    assert event["filename"] == "rooms.csv"
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await until(lambda: ObservedMonitor.instances and watching(sandbox))
        await fired_exactly(sandbox, fired, 0)


async def test_a_job_that_the_service_no_longer_knows_is_not_polled_again(sandbox, tmp_path):
    sandbox.amigocloud.job_latency = 3600
    state = FakeStateStore()
    job = await begun(sandbox, tmp_path, state)
    sandbox.amigocloud.jobs.all.clear()
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await until(lambda: job not in json.dumps(state))
        before = sandbox.counters.total("/jobs/")
        await fired_exactly(sandbox, fired, 0)
        assert sandbox.counters.total("/jobs/") == before


async def test_jobs_whose_end_is_not_wanted_are_not_polled(sandbox, tmp_path):
    sandbox.amigocloud.job_latency = 3600
    started = watcher(events=["project:process_file_started"], dataset=None, poll_interval=0.1)
    async with running(started) as (fired,):
        await listening(sandbox, None)
        await asyncio.to_thread(upload, tmp_path)
        await fired_exactly(sandbox, fired, 1)
        assert not sandbox.counters.total("/jobs/")


async def test_the_poll_alone_needs_no_socket_and_few_requests(sandbox):
    made = [watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=3600) for _ in range(20)]
    async with running(*made) as lists:
        await until(lambda: len(ObservedMonitor.instances) == (1 if SHARES else 20) and watching(sandbox, 20))
        before, master = sandbox.counters.total("/master"), change(sandbox)
        await poll_now()
        for fired in lists:
            assert fired == [
                {"event": "dataset:changed", "dataset_id": 1, "master": master, "source": "poll"}
            ]
        assert sandbox.counters.total("/master") == before + len(ObservedMonitor.instances)
    assert sandbox.amigocloud.sockets.opened == 0


async def test_failed_polls_lose_no_change(sandbox):
    made = watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=0.1)
    async with running(made) as (fired,):
        await until(lambda: ObservedMonitor.instances and watching(sandbox))
        sandbox.faults.add("html", times=4)
        sandbox.faults.add("reset_before", times=2)
        sandbox.faults.add("status", status=401, times=1)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)


async def test_a_burst_of_events_reaches_every_watcher(sandbox):
    many = 1500  # Airflow ends a watcher with 1,024 unread events
    made = [watcher(events=["dataset:*"], state=Slow(), dataset=None, poll_interval=3600) for _ in range(2)]
    async with running(*made) as lists:
        await listening(sandbox, None, many=2)
        for number in range(many):
            sandbox.amigocloud.sockets.emit("dataset:x", {"job": f"job {number}"})
        await until(lambda: all(len(fired) == many for fired in lists), 60)


class Slow(FakeStateStore):
    """A store that takes a moment to write, as the real one does."""

    async def aset(self, key, value):
        await asyncio.sleep(0)
        await super().aset(key, value)


async def test_an_event_is_fired_short_and_without_secrets(sandbox):
    text = "x" * 190 + seed.USER_TOKEN + "y" * 10_000
    payload = {
        "event": "forged",
        "source": "forged",
        "note": text,
        "list": list(range(7)),
        "object": {"a": 1},
        "nothing": None,
        **{f"name {number} {seed.USER_TOKEN}": number for number in range(100)},
    }
    async with running(watcher(events=["weird:*"], dataset=None, poll_interval=3600)) as (fired,):
        await listening(sandbox, None)
        sandbox.amigocloud.sockets.emit("weird:" + "z" * 5000, payload)
        (event,) = await fired_exactly(sandbox, fired, 1)
    assert len(json.dumps(event)) < 5000
    assert seed.USER_TOKEN[:10] not in json.dumps(event)
    assert (event["list_count"], event["source"], event["event"][:7]) == (7, "socket", "weird:z")
    assert not {"object", "nothing", "list"} & event.keys()


@pytest.mark.parametrize(
    "frame",
    [
        '42/amigosocket,["realtime",' + "[" * 200_000,
        '42/amigosocket,["realtime",{"dataset_id":["1"]}]',
        '42/amigosocket,["realtime",{"dataset_id":{"a":1},"job":{}}]',
        '42/amigosocket,["realtime",{"dataset_id":"1","job":true}]',
        '42/amigosocket,["project:process_file_started",{"job":"../../x"}]',
        "42/amigosocket,[null,null]",
        "\x00",
        "9" * 100_000,
    ],
)
async def test_a_frame_that_makes_no_sense_breaks_nothing(sandbox, frame):
    sockets = sandbox.amigocloud.sockets
    async with running(watcher(events=["*e*"], dataset=1, poll_interval=3600)) as (fired,):
        await listening(sandbox)
        for line in list(sockets.connections):
            line.put(frame)
        await fired_exactly(sandbox, fired, 0)
        change(sandbox)
        await fired_exactly(sandbox, fired, 1)
    assert sockets.opened == 1


async def test_a_message_that_is_too_large_costs_no_change(sandbox, monkeypatch):
    monkeypatch.setattr(socket, "MAX_MESSAGE_BYTES", 2000)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        master = change(sandbox)
        sandbox.amigocloud.sockets.emit("realtime", {"dataset_id": 1, "data": ["x" * 3000]}, 1)
        await until(lambda: sandbox.amigocloud.sockets.opened > 1)
        await listening(sandbox)
        assert (await fired_exactly(sandbox, fired, 1))[0]["master"] == master


async def test_a_list_that_changes_while_it_is_read_fires_no_false_event(sandbox, monkeypatch):
    pages, follow = module.api.list_page, module.follow
    numbers = [await asyncio.to_thread(create, f"New {number}") for number in range(3)]
    monkeypatch.setattr(module.api, "list_page", lambda url, _: pages(url, 2))
    async with running(watcher(events=["dataset:deleted"], dataset=None, poll_interval=3600)) as (fired,):
        await listening(sandbox, None)
        sandbox.amigocloud.sockets.lose = 99
        listed = sorted(sandbox.amigocloud.store.datasets)
        gone = [listed[0]]

        def delete_first(call, link):
            if gone:
                AmigoCloudHook().delete(f"datasets/{gone.pop()}")
            return follow(call, link)

        monkeypatch.setattr(module, "follow", delete_first)
        await fired_exactly(sandbox, fired, 0)
        assert not gone
        await poll_now()
        await fired_exactly(sandbox, fired, 1)
    assert fired[0]["dataset_id"] == listed[0]
    assert len(numbers) == 3


def test_a_serialised_watcher_holds_no_secret():
    for made in (watcher(), watcher(AmigoCloudDatasetTrigger, dataset=1)):
        assert seed.USER_TOKEN not in json.dumps(made.serialize())
