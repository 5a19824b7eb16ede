"""Watchers over real TCP: no change is lost, none fires twice, whatever the socket does."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager, suppress

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider.amigocloud import lookout, triggers
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.triggers import AmigoCloudDatasetTrigger, AmigoCloudEventTrigger
from airflow_provider.sandbox.amigocloud import world

from .test_realtime import SOCKET, until

SHARES = hasattr(BaseEventTrigger, "shared_stream_key")


class State(dict):
    """An asset's state store, as Airflow 3.3 lends it to a trigger."""

    async def aget(self, key, default=None):
        return json.loads(self[key]) if key in self else default

    async def aset(self, key, value):
        self[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(lookout, "pauses", lambda *_: iter(lambda: 0.02, None))


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


async def listening(sandbox, dataset=1, looks=1):
    """Wait until watchers are all set: told of the dataset's events, and have looked at it since."""
    sockets, counters = sandbox.amigocloud.sockets, sandbox.counters
    await until(lambda: sockets.listeners(dataset) and counters.total("/master") >= looks)
    before = -1
    for _ in range(10):
        if before == counters.total() and counters.in_flight <= len(sockets.lines):
            break
        before = counters.total()
        await asyncio.sleep(0.1)


async def settled(fired, count, seconds=0.25):
    """Wait until so many events were fired, and see that no more come."""
    await until(lambda: len(fired) >= count)
    await asyncio.sleep(seconds)
    assert len(fired) == count
    return fired


@pytest.mark.parametrize("alone", [False, True], ids=["shared", "alone"])
async def test_a_change_fires_once_within_a_second_with_the_new_state(sandbox, alone):
    async with running(watcher(poll_interval=0.1), alone=alone) as (fired,):
        await listening(sandbox)
        began = time.monotonic()
        master = change(sandbox)
        await until(lambda: fired)
        assert time.monotonic() - began < 1
        (event,) = await settled(fired, 1)
    assert (event["event"], event["dataset_id"], event["master"]) == ("realtime", 1, master)
    assert event["source"] in {"socket", "poll"}


async def test_the_socket_tells_at_once_what_the_poll_would_find_much_later(sandbox):
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        for _ in range(3):
            change(sandbox)
            await asyncio.sleep(0.05)
        events = await settled(fired, 3)
    assert {event["source"] for event in events} == {"socket"}
    assert all(event["data_count"] == 8 and "data" not in event for event in events)


async def test_an_event_that_is_lost_on_the_way_is_found_by_the_poll(sandbox):
    async with running(watcher(poll_interval=0.2)) as (fired,):
        await listening(sandbox)
        sandbox.amigocloud.sockets.lose = 1
        master = change(sandbox)
        (event,) = await settled(fired, 1)
    assert (event["source"], event["master"], event["event"]) == ("poll", master, "realtime")


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_change_while_the_socket_is_down_fires_once_after_it_is_up_again(sandbox, how):
    sockets = sandbox.amigocloud.sockets
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        fault = sandbox.faults.add("reset_before", method="WEBSOCKET", times=None)
        sockets.disconnect() if how == "close" else sandbox.cut_connections()
        await until(lambda: not sockets.listeners(1))
        master = change(sandbox)
        await asyncio.sleep(0.1)
        assert not fired
        sandbox.faults.remove(fault)
        (event,) = await settled(fired, 1)
        assert (event["source"], event["master"]) == ("poll", master)
        await listening(sandbox)
        change(sandbox)
        assert (await settled(fired, 2))[1]["source"] == "socket"
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
        await settled(fired, 1)


async def test_a_session_request_that_fails_is_tried_again(sandbox):
    sandbox.faults.add("status", path="/me/start_websocket_session", status=503, times=3)
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await settled(fired, 1)


async def test_a_token_that_is_refused_for_a_while_costs_no_change(sandbox):
    service = sandbox.amigocloud
    async with running(watcher(poll_interval=0.1)) as (fired,):
        await listening(sandbox)
        revoked = service.tokens.pop(world.USER_TOKEN)
        service.sockets.disconnect()
        change(sandbox)
        await asyncio.sleep(0.2)
        assert not fired
        service.tokens[world.USER_TOKEN] = revoked
        await settled(fired, 1)


async def test_a_new_token_is_taken_from_the_connection_once_the_old_one_is_refused(sandbox, connect):
    service = sandbox.amigocloud
    conn_id = connect()
    async with running(watcher(amigocloud_conn_id=conn_id, poll_interval=0.1)) as (fired,):
        await listening(sandbox)
        del service.tokens[world.USER_TOKEN]
        service.sockets.disconnect()
        connect(password=world.AWKWARD_TOKEN)
        change(sandbox)
        await settled(fired, 1)
        await until(lambda: service.sockets.listeners(1))


async def test_a_dataset_that_cannot_be_watched_does_not_stop_the_others(sandbox):
    gone, there = (watcher(dataset=number, poll_interval=0.1) for number in (999, 1))
    async with running(gone, there) as (nothing, fired):
        await until(lambda: sandbox.amigocloud.sockets.listeners(1))
        await asyncio.sleep(0.3)
        change(sandbox)
        await settled(fired, 1)
        assert not nothing


async def test_without_websockets_installed_changes_are_looked_for(sandbox, monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    async with running(watcher(poll_interval=0.1)) as (fired,):
        await until(lambda: sandbox.counters.total("/master"))
        await asyncio.sleep(0.05)
        change(sandbox)
        await settled(fired, 1)
    assert not sandbox.amigocloud.sockets.opened


async def test_a_server_that_was_upgraded_is_spoken_to_in_its_own_protocol(sandbox):
    sandbox.amigocloud.sockets.protocol, sandbox.amigocloud.sockets.old_clients = 4, False
    async with running(watcher(poll_interval=3600)) as (fired,):
        await listening(sandbox)
        change(sandbox)
        await settled(fired, 1)


async def test_with_a_project_token_changes_are_looked_for(sandbox, connect):
    conn_id = connect(password=world.READ_PROJECT_TOKEN)
    async with running(watcher(amigocloud_conn_id=conn_id, poll_interval=0.1)) as (fired,):
        await until(lambda: sandbox.counters.total("/master"))
        await asyncio.sleep(0.05)
        change(sandbox)
        assert (await settled(fired, 1))[0]["source"] == "poll"


@pytest.mark.parametrize("kind", [AmigoCloudEventTrigger, AmigoCloudDatasetTrigger])
async def test_a_restart_loses_nothing_and_repeats_nothing(sandbox, kind):
    state = State()
    arguments = {"dataset": 1, "poll_interval": 0.1}
    async with running(watcher(kind, state, **arguments)) as (fired,):
        await until(lambda: state)
        change(sandbox)
        await settled(fired, 1)
    async with running(watcher(kind, state, **arguments)) as (fired,):
        await asyncio.sleep(0.3)
        assert not fired
    master = change(sandbox)
    async with running(watcher(kind, state, **arguments)) as (fired,):
        assert (await settled(fired, 1))[0]["master"] == master
    assert world.USER_TOKEN not in json.dumps(state)


async def test_two_watchers_of_one_dataset_both_fire_once(sandbox):
    async with running(watcher(poll_interval=0.1), watcher(poll_interval=0.1)) as lists:
        await until(lambda: sandbox.amigocloud.sockets.listeners(1) == (1 if SHARES else 2))
        await asyncio.sleep(0.3)
        change(sandbox)
        for fired in lists:
            await settled(fired, 1)


async def test_the_state_of_every_asset_remembers_when_several_share_a_watcher(sandbox):
    class Accessors:
        """What the triggerer lends: one accessor an asset, and no single one."""

        def __init__(self):
            self._by_name = {"a": State(), "b": State()}

    made = watcher(poll_interval=0.05)
    made.asset_state_store = Accessors()
    async with running(made):
        await until(lambda: all(made.asset_state_store._by_name.values()))


async def test_a_watcher_that_is_cancelled_at_any_moment_ends(sandbox):
    for _ in range(20):  # each ends at another moment of its first look
        made = watcher(state=State(), poll_interval=0.05)
        async with running(made, alone=True):
            await until(lambda made=made: made.asset_state_store)


@pytest.mark.skipif(not SHARES, reason="shared streams came with Airflow 3.3")
async def test_200_watchers_of_one_connection_cost_one_socket_and_one_poll(sandbox):
    many = [watcher(dataset=number, poll_interval=3600) for number in (1, world.ZONES)] * 100
    async with running(*many) as lists:
        await until(lambda: sandbox.amigocloud.sockets.listeners(world.ZONES))
        await listening(sandbox)
        await asyncio.sleep(0.3)
        before = sandbox.counters.total()
        await asyncio.sleep(0.5)
        assert sandbox.counters.total() == before
        assert sandbox.amigocloud.sockets.opened == sandbox.counters.requests[SOCKET] == 1
        change(sandbox, world.ZONES)
        await until(lambda: sum(map(bool, lists)) == 100)


async def test_a_dataset_that_somebody_begins_to_watch_later_is_listened_to_at_once(sandbox):
    late = watcher(dataset=world.ZONES, poll_interval=3600)
    later = asyncio.Event()
    async with running(watcher(poll_interval=3600), late, later=later) as (_, fired):
        await listening(sandbox)
        later.set()
        await listening(sandbox, world.ZONES, 2 if SHARES else 4)
        change(sandbox, world.ZONES)
        await settled(fired, 1)
        assert sandbox.amigocloud.sockets.opened == (1 if SHARES else 2)


async def test_new_and_deleted_datasets_fire_once_also_when_the_socket_was_down(sandbox):
    hook, service = AmigoCloudHook(), sandbox.amigocloud
    service.job_latency = 0.05

    def create():
        return hook.post("datasets/create", {"name": "New", "schema": json.dumps([])})["id"]

    async with running(watcher(events=["dataset:*"], dataset=None, poll_interval=0.2)) as (fired,):
        await until(lambda: service.sockets.listeners() and sandbox.counters.total("GET") > 3)
        await asyncio.sleep(0.3)
        first = await asyncio.to_thread(create)
        await settled(fired, 1, 0.3)
        service.sockets.lose = 99
        second = await asyncio.to_thread(create)
        await settled(fired, 2, 0.3)
        await asyncio.to_thread(hook.delete, f"datasets/{second}")
        await settled(fired, 3, 0.3)
    assert [(event["event"], event["dataset_id"]) for event in fired] == [
        ("dataset:creation_succeeded", first),
        ("dataset:creation_succeeded", second),
        ("dataset:deleted", second),
    ]


async def test_the_end_of_a_job_whose_beginning_was_told_is_found_when_it_is_lost(sandbox, tmp_path):
    path = tmp_path / "rooms.csv"
    path.write_text("name\nA\n")
    sockets = sandbox.amigocloud.sockets
    sandbox.amigocloud.job_latency, sandbox.amigocloud.job_failures = 0.3, ["no such column"]
    events = ["project:process_datasource_failed"]
    async with running(watcher(events=events, dataset=None, poll_interval=0.1)) as (fired,):
        await until(lambda: sockets.listeners())
        job = await asyncio.to_thread(AmigoCloudHook().upload_file, str(path))
        await asyncio.sleep(0.1)
        sockets.lose = 99
        (event,) = await settled(fired, 1)
    assert (event["job"], event["filename"], event["source"]) == (job, "rooms.csv", "poll")


async def test_the_poll_alone_needs_no_socket_and_few_requests(sandbox):
    made = [watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=0.2) for _ in range(20)]
    async with running(*made) as lists:
        await until(lambda: sandbox.counters.total("/master"))
        await asyncio.sleep(0.1)
        master = change(sandbox)
        for fired in lists:
            await until(lambda fired=fired: fired)
            assert fired == [
                {"event": "dataset:changed", "dataset_id": 1, "master": master, "source": "poll"}
            ]
    assert sandbox.amigocloud.sockets.opened == 0
    assert not SHARES or sandbox.counters.total("/master") < 10


async def test_bad_answers_to_looks_are_outlived(sandbox):
    made = watcher(AmigoCloudDatasetTrigger, dataset=1, poll_interval=0.1)
    async with running(made) as (fired,):
        await until(lambda: sandbox.counters.total("/master"))
        await asyncio.sleep(0.1)
        sandbox.faults.add("html", times=4)
        sandbox.faults.add("reset_before", times=2)
        sandbox.faults.add("status", status=401, times=1)
        change(sandbox)
        await settled(fired, 1)


async def test_a_burst_of_events_reaches_every_watcher(sandbox):
    async with running(
        *[watcher(events=["*"], dataset=None, poll_interval=3600) for _ in range(20)]
    ) as lists:
        await until(lambda: sandbox.amigocloud.sockets.listeners() == (1 if SHARES else 20))
        for number in range(100):
            sandbox.amigocloud.sockets.emit(
                "dataset:style_updated", {"dataset_id": number, "data": [1] * 500}
            )
        await until(lambda: all(len(fired) == 100 for fired in lists))


def test_a_serialised_watcher_holds_no_secret():
    for made in (watcher(), watcher(AmigoCloudDatasetTrigger, dataset=1)):
        assert world.USER_TOKEN not in json.dumps(made.serialize())
