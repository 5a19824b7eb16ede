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
from airflow_provider.amigocloud.watchers import monitor
from airflow_provider.amigocloud.watchers.monitor import Lookout
from airflow_provider.sandbox.amigocloud import world
from tests.support.state_store import FakeStateStore

from .test_realtime import SOCKET, until

SHARES = hasattr(BaseEventTrigger, "shared_stream_key")


class Watched(Lookout):
    """A lookout that tells what it has done, so that tests need not guess how long that takes."""

    every: ClassVar[list[Watched]] = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.heard = set()
        self.looks = 0
        self.every.append(self)

    async def _look(self):
        try:
            await super()._look()
        finally:
            self.looks += 1

    async def _tell(self, event):
        await super()._tell(event)
        self.heard.add(event.name)

    @property
    def is_done(self):
        """Whether it has looked, and everybody has got what it found."""
        wishes = self._wishes
        looked = wishes.due._waiters and not wishes.due.is_set()
        return looked and self._news.empty() and not any(one.waiting for one in wishes._all)

    @property
    def listens(self):
        """Whether it has asked for all events there are to ask for."""
        return self._wishes.grown._waiters and not self._wishes.grown.is_set()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(monitor, "pauses", lambda *_: iter(lambda: 0.02, None))
    monkeypatch.setattr(socket, "INTERVALS", {3: (0.0, 30.0), 4: (0.0, 30.0)})
    monkeypatch.setattr(monitor, "Lookout", Watched)
    Watched.every.clear()


def change(sandbox, dataset=1):
    return sandbox.amigocloud.store.write(f"UPDATE dataset_{dataset} SET name = name || '!'")[1][dataset]


def watcher(kind=AmigoCloudEventTrigger, state=None, **arguments):
    """Make a trigger the way the triggerer does."""
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
    """Run triggers the way the triggerer does; gives the list of what each has fired.

    :param later: of a trigger that begins when this is set; the last one.
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
        Watched.every.clear()


def watching(sandbox, many=1):
    """Tell whether so many watchers are there, and have looked."""
    there = sum(len(one._wishes._all) for one in Watched.every)
    return there == many and all(one.is_done for one in Watched.every)


async def listening(sandbox, dataset=1, many=1):
    """Wait until watchers are all set: told of the dataset's events, and have looked at it since."""
    sockets, lookouts = sandbox.amigocloud.sockets, 1 if SHARES else many
    await until(lambda: len(Watched.every) >= lookouts and watching(sandbox, many))
    await until(lambda: sockets.listeners(dataset) and all(one.listens for one in Watched.every))
    await until(lambda: watching(sandbox, many))


async def look():
    """Have all that is watched looked at now, and everybody told."""
    before = {one: one.looks for one in Watched.every}
    for one in before:
        one._wishes.due.set()
    await until(lambda: all(one.looks > looks and one.is_done for one, looks in before.items()))


markers = (f"marker:{number}" for number in count())


async def settled(sandbox, fired, expected):
    """Wait until so many events were fired, hear all that was told so far, look again, and see no more."""
    await until(lambda: len(fired) >= expected)
    sockets = sandbox.amigocloud.sockets
    if sockets.listeners() and not sockets.lose and not sockets.silent:
        marker, lines = next(markers), sockets.listeners()
        sockets.emit(marker, {})
        await until(lambda: sum(marker in one.heard for one in Watched.every) >= lines)
    await look()
    assert len(fired) == expected
    return fired


@pytest.mark.parametrize("alone", [False, True], ids=["shared", "alone"])
async def test_a_change_fires_once_with_the_new_state(sandbox, alone):
    async with running(watcher(poll_interval=0.1), alone=alone) as (fired,):
        await listening(sandbox)
        master = change(sandbox)
        (event,) = await settled(sandbox, fired, 1)
    assert (event["event"], event["dataset_id"], event["master"]) == ("realtime", 1, master)
    assert event["source"] in {"socket", "poll"}


async def test_the_socket_tells_at_once_what_the_poll_would_find_much_later(sandbox):
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        for number in (1, 2, 3):
            change(sandbox)
            await until(lambda number=number: len(fired) == number)
        told = await settled(sandbox, fired, 3)
    assert {event["source"] for event in told} == {"socket"}
    assert all(event["data_count"] == 8 and "data" not in event for event in told)


async def test_an_event_that_is_lost_on_the_way_is_found_by_the_poll(sandbox):
    async with running(watcher(poll_interval=0.2)) as (fired,):
        await listening(sandbox)
        sandbox.amigocloud.sockets.lose = 1
        master = change(sandbox)
        (event,) = await settled(sandbox, fired, 1)
    assert (event["source"], event["master"], event["event"]) == ("poll", master, "realtime")


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_change_while_the_socket_is_down_fires_once_after_it_is_up_again(sandbox, how):
    sockets = sandbox.amigocloud.sockets
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        fault = sandbox.faults.add("reset_before", method="WEBSOCKET", times=None)
        sockets.disconnect() if how == "close" else sandbox.cut_connections()
        await until(lambda: not sockets.lines)
        master, tries = change(sandbox), sandbox.counters.requests[SOCKET]
        await until(lambda: sandbox.counters.requests[SOCKET] > tries + 2)
        assert not fired
        sandbox.faults.remove(fault)
        await until(lambda: fired)
        await listening(sandbox)
        (event,) = await settled(sandbox, fired, 1)
        assert (event["source"], event["master"]) == ("poll", master)
        change(sandbox)
        assert (await settled(sandbox, fired, 2))[1]["source"] == "socket"
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
        await settled(sandbox, fired, 1)


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
        await settled(sandbox, fired, 1)


async def test_a_session_request_that_fails_is_tried_again(sandbox):
    sandbox.faults.add("status", path="/me/start_websocket_session", status=503, times=3)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await settled(sandbox, fired, 1)


async def test_a_session_request_that_is_sent_elsewhere_is_not_followed(sandbox):
    place = f"{sandbox.amigocloud.around.storage_origin}/elsewhere"
    path = "/me/start_websocket_session"
    fault = sandbox.faults.add("redirect", path=path, location=place, times=3)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await settled(sandbox, fired, 1)
    assert fault.hits == 3
    assert not sandbox.counters.total("storage")


async def test_a_token_that_is_refused_for_a_while_costs_no_change(sandbox):
    service = sandbox.amigocloud
    async with running(watcher(poll_interval=0.1)) as (fired,):
        await listening(sandbox)
        revoked = service.tokens.pop(world.USER_TOKEN)
        service.sockets.disconnect()
        change(sandbox)
        await look()
        assert not fired
        service.tokens[world.USER_TOKEN] = revoked
        await until(lambda: fired)
        await listening(sandbox)
        await settled(sandbox, fired, 1)


async def test_a_new_token_is_taken_from_the_connection_once_the_old_one_is_refused(sandbox, connect):
    service = sandbox.amigocloud
    conn_id = connect()
    async with running(watcher(amigocloud_conn_id=conn_id, poll_interval=0.1)) as (fired,):
        await listening(sandbox)
        del service.tokens[world.USER_TOKEN]
        service.sockets.disconnect()
        connect(password=world.AWKWARD_TOKEN)
        change(sandbox)
        await until(lambda: fired)
        await listening(sandbox)
        await settled(sandbox, fired, 1)


async def test_a_dataset_that_cannot_be_watched_does_not_stop_the_others(sandbox):
    gone, there = (watcher(dataset=number, poll_interval=0.1) for number in (999, 1))
    async with running(gone, there) as (nothing, fired):
        await listening(sandbox, many=2)
        change(sandbox)
        await settled(sandbox, fired, 1)
        assert not nothing


async def test_without_websockets_installed_changes_are_looked_for(sandbox, monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    async with running(watcher(poll_interval=0.1)) as (fired,):
        await until(lambda: Watched.every and watching(sandbox))
        change(sandbox)
        await settled(sandbox, fired, 1)
    assert not sandbox.amigocloud.sockets.opened


async def test_a_server_that_was_upgraded_is_spoken_to_in_its_own_protocol(sandbox):
    sandbox.amigocloud.sockets.protocol, sandbox.amigocloud.sockets.old_clients = 4, False
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await settled(sandbox, fired, 1)


async def test_with_a_project_token_changes_are_looked_for(sandbox, connect):
    conn_id = connect(password=world.READ_PROJECT_TOKEN)
    async with running(watcher(amigocloud_conn_id=conn_id, poll_interval=0.1)) as (fired,):
        await until(lambda: Watched.every and watching(sandbox))
        change(sandbox)
        assert (await settled(sandbox, fired, 1))[0]["source"] == "poll"


@pytest.mark.parametrize("kind", [AmigoCloudEventTrigger, AmigoCloudDatasetTrigger])
async def test_a_restart_loses_nothing_and_repeats_nothing(sandbox, kind):
    state = FakeStateStore()
    arguments = {"dataset": 1, "poll_interval": 0.1}
    async with running(watcher(kind, state, **arguments)) as (fired,):
        await until(lambda: state)
        change(sandbox)
        await settled(sandbox, fired, 1)
    async with running(watcher(kind, state, **arguments)) as (fired,):
        await until(lambda: Watched.every and watching(sandbox))
        await settled(sandbox, fired, 0)
    master = change(sandbox)
    async with running(watcher(kind, state, **arguments)) as (fired,):
        assert (await settled(sandbox, fired, 1))[0]["master"] == master
    assert world.USER_TOKEN not in json.dumps(state)


async def test_two_watchers_of_one_dataset_both_fire_once(sandbox):
    async with running(watcher(poll_interval=0.1), watcher(poll_interval=0.1)) as lists:
        await listening(sandbox, many=2)
        change(sandbox)
        for fired in lists:
            await settled(sandbox, fired, 1)


async def test_the_state_of_every_asset_remembers_when_several_share_a_watcher(sandbox):
    class Accessors:
        """What the triggerer lends: one accessor an asset, and no single one."""

        def __init__(self):
            self._by_name = {"a": FakeStateStore(), "b": FakeStateStore()}

    made = watcher(poll_interval=0.05)
    made.asset_state_store = Accessors()
    async with running(made):
        await until(lambda: all(made.asset_state_store._by_name.values()))


async def test_a_watcher_that_is_cancelled_at_any_moment_ends(sandbox):
    for _ in range(20):  # each ends at another moment of its first look
        made = watcher(state=FakeStateStore(), poll_interval=0.05)
        async with running(made, alone=True):
            await until(lambda made=made: made.asset_state_store)


@pytest.mark.skipif(not SHARES, reason="shared streams came with Airflow 3.3")
async def test_200_watchers_of_one_connection_cost_one_socket_and_one_poll(sandbox):
    many = [watcher(dataset=number, poll_interval=3600) for number in (1, world.ZONES)] * 100
    async with running(*many) as lists:
        await until(lambda: sandbox.amigocloud.sockets.listeners(world.ZONES))
        await listening(sandbox, many=200)
        before = sandbox.counters.total()
        await settled(sandbox, lists[0], 0)
        assert sandbox.counters.total() == before + 2  # a look at each of the two datasets
        assert sandbox.amigocloud.sockets.opened == sandbox.counters.requests[SOCKET] == 1
        change(sandbox, world.ZONES)
        await until(lambda: sum(map(bool, lists)) == 100)


async def test_a_dataset_that_somebody_begins_to_watch_later_is_listened_to_at_once(sandbox):
    late = watcher(dataset=world.ZONES, poll_interval=3600)
    later = asyncio.Event()
    async with running(watcher(poll_interval=3600), late, later=later) as (_, fired):
        await listening(sandbox)
        later.set()
        await listening(sandbox, world.ZONES, many=2)
        change(sandbox, world.ZONES)
        await settled(sandbox, fired, 1)
        assert sandbox.amigocloud.sockets.opened == (1 if SHARES else 2)


def create(name="New"):
    return AmigoCloudHook().post("datasets/create", {"name": name, "schema": json.dumps([])})["id"]


async def test_new_and_deleted_datasets_fire_once_also_when_the_socket_was_down(sandbox):
    service = sandbox.amigocloud
    service.job_latency = 0.05
    async with running(watcher(events=["dataset:*"], dataset=None, poll_interval=0.2)) as (fired,):
        await listening(sandbox, None)
        first = await asyncio.to_thread(create)
        await settled(sandbox, fired, 1)
        service.sockets.lose = 99
        second = await asyncio.to_thread(create)
        await settled(sandbox, fired, 2)
        await asyncio.to_thread(AmigoCloudHook().delete, f"datasets/{second}")
        await settled(sandbox, fired, 3)
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
    """Start a watcher and then a job, and wait until the watcher has heard of it; gives the job's id."""
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await listening(sandbox, None)
        job = await asyncio.to_thread(upload, tmp_path)
        await until(lambda: job in json.dumps(state))
        await settled(sandbox, fired, 0)
    return job


async def test_the_end_of_a_job_whose_beginning_was_told_is_found_when_it_is_lost(sandbox, tmp_path):
    sockets = sandbox.amigocloud.sockets
    sandbox.amigocloud.job_latency, sandbox.amigocloud.job_failures = 3600, ["no such column"]
    state = FakeStateStore()
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await listening(sandbox, None)
        job = await asyncio.to_thread(upload, tmp_path)
        await until(lambda: job in json.dumps(state))
        sockets.lose = 99
        sandbox.clock.advance(3601)
        (event,) = await settled(sandbox, fired, 1)
    assert (event["event"], event["source"]) == ("project:process_datasource_failed", "poll")
    assert (event["job"], event["filename"]) == (job, "rooms.csv")


async def test_a_job_that_ends_while_the_triggerer_is_down_fires_once(sandbox, tmp_path):
    sandbox.amigocloud.job_latency = 3600
    state = FakeStateStore()
    job = await begun(sandbox, tmp_path, state)
    sandbox.clock.advance(3601)
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        (event,) = await settled(sandbox, fired, 1)
    assert (event["event"], event["job"], event["source"]) == (ENDS["events"][0], job, "poll")
    assert event["filename"] == "rooms.csv"
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await until(lambda: Watched.every and watching(sandbox))
        await settled(sandbox, fired, 0)


async def test_a_job_that_the_service_forgot_is_not_asked_for_again(sandbox, tmp_path):
    sandbox.amigocloud.job_latency = 3600
    state = FakeStateStore()
    job = await begun(sandbox, tmp_path, state)
    sandbox.amigocloud.jobs.all.clear()
    async with running(watcher(state=state, poll_interval=0.1, **ENDS)) as (fired,):
        await until(lambda: job not in json.dumps(state))
        before = sandbox.counters.total("/jobs/")
        await settled(sandbox, fired, 0)
        assert sandbox.counters.total("/jobs/") == before


async def test_nobody_looks_at_jobs_whose_end_nobody_wants(sandbox, tmp_path):
    sandbox.amigocloud.job_latency = 3600
    started = watcher(events=["project:process_file_started"], dataset=None, poll_interval=0.1)
    async with running(started) as (fired,):
        await listening(sandbox, None)
        await asyncio.to_thread(upload, tmp_path)
        await settled(sandbox, fired, 1)
        assert not sandbox.counters.total("/jobs/")


async def test_the_poll_alone_needs_no_socket_and_few_requests(sandbox):
    made = [watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=3600) for _ in range(20)]
    async with running(*made) as lists:
        await until(lambda: len(Watched.every) == (1 if SHARES else 20) and watching(sandbox, 20))
        before, master = sandbox.counters.total("/master"), change(sandbox)
        await look()
        for fired in lists:
            assert fired == [
                {"event": "dataset:changed", "dataset_id": 1, "master": master, "source": "poll"}
            ]
        assert sandbox.counters.total("/master") == before + len(Watched.every)
    assert sandbox.amigocloud.sockets.opened == 0


async def test_bad_answers_to_looks_are_outlived(sandbox):
    made = watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=0.1)
    async with running(made) as (fired,):
        await until(lambda: Watched.every and watching(sandbox))
        sandbox.faults.add("html", times=4)
        sandbox.faults.add("reset_before", times=2)
        sandbox.faults.add("status", status=401, times=1)
        change(sandbox)
        await settled(sandbox, fired, 1)


async def test_a_burst_of_events_reaches_every_watcher(sandbox):
    many = 1500  # Airflow ends a watcher for whom 1,024 events wait
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
    text = "x" * 190 + world.USER_TOKEN + "y" * 10_000
    payload = {
        "event": "forged",
        "source": "forged",
        "note": text,
        "list": list(range(7)),
        "object": {"a": 1},
        "nothing": None,
        **{f"name {number} {world.USER_TOKEN}": number for number in range(100)},
    }
    async with running(watcher(events=["weird:*"], dataset=None, poll_interval=3600)) as (fired,):
        await listening(sandbox, None)
        sandbox.amigocloud.sockets.emit("weird:" + "z" * 5000, payload)
        (event,) = await settled(sandbox, fired, 1)
    assert len(json.dumps(event)) < 5000
    assert world.USER_TOKEN[:10] not in json.dumps(event)
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
        for line in list(sockets.lines):
            line.put(frame)
        await settled(sandbox, fired, 0)
        change(sandbox)
        await settled(sandbox, fired, 1)
    assert sockets.opened == 1


async def test_a_message_that_is_too_large_costs_no_change(sandbox, monkeypatch):
    monkeypatch.setattr(socket, "LARGEST", 2000)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        master = change(sandbox)
        sandbox.amigocloud.sockets.emit("realtime", {"dataset_id": 1, "data": ["x" * 3000]}, 1)
        await until(lambda: sandbox.amigocloud.sockets.opened > 1)
        await listening(sandbox)
        assert (await settled(sandbox, fired, 1))[0]["master"] == master


async def test_a_list_that_changes_while_it_is_read_tells_nothing_wrong(sandbox, monkeypatch):
    pages, follow = monitor.api.list_page, monitor.follow
    numbers = [await asyncio.to_thread(create, f"New {number}") for number in range(3)]
    monkeypatch.setattr(monitor.api, "list_page", lambda url, _: pages(url, 2))
    async with running(watcher(events=["dataset:deleted"], dataset=None, poll_interval=3600)) as (fired,):
        await listening(sandbox, None)
        sandbox.amigocloud.sockets.lose = 99
        listed = sorted(sandbox.amigocloud.store.datasets)
        gone = [listed[0]]

        def delete_first(call, link):
            if gone:
                AmigoCloudHook().delete(f"datasets/{gone.pop()}")
            return follow(call, link)

        monkeypatch.setattr(monitor, "follow", delete_first)
        await settled(sandbox, fired, 0)
        assert not gone
        await look()
        await settled(sandbox, fired, 1)
    assert fired[0]["dataset_id"] == listed[0]
    assert len(numbers) == 3


def test_a_serialised_watcher_holds_no_secret():
    for made in (watcher(), watcher(AmigoCloudDatasetTrigger, dataset=1)):
        assert world.USER_TOKEN not in json.dumps(made.serialize())
