"""Types of twins, as mypy and editors see them; ``make types`` checks them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, assert_type

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import AsyncCursor, Cursor
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook


def workers(iot: IoTStudioHook, maps: MapsIndoorsHook, amigo: AmigoCloudHook, leanix: LeanIXHook) -> None:
    assert_type(iot.get_thing("id"), dict[str, Any])
    assert_type(iot.list_things(category="Sensors"), Iterator[dict[str, Any]])
    assert_type(iot.delete_things(thing_ids=["id"]), list[str])
    assert_type(iot.close(), None)
    assert_type(iot.test_connection(), tuple[bool, str])
    assert_type(maps.create_geodata([{}]), list[str])
    assert_type(amigo.get_cursor("datasets"), Cursor)
    assert_type(amigo.run("UPDATE t SET a = 1"), int)
    assert_type(leanix.start_run("id", test=True), bool)
    iot.get_thing(thing_id=1)  # type: ignore[arg-type]
    iot.get_thing()  # type: ignore[call-arg]


async def loops(iot: IoTStudioHook, maps: MapsIndoorsHook, amigo: AmigoCloudHook, leanix: LeanIXHook) -> None:
    assert_type(await iot.aget_thing("id"), dict[str, Any])
    assert_type(iot.alist_things(category="Sensors"), AsyncGenerator[dict[str, Any]])
    assert_type(await iot.alist_events("id"), list[dict[str, Any]])
    assert_type(await iot.adelete_things(thing_ids=["id"]), list[str])
    assert_type(await iot.aclose(), None)
    assert_type(await iot.atest_connection(), tuple[bool, str])
    assert_type(await maps.acreate_geodata([{}]), list[str])
    assert_type(amigo.aget_cursor("datasets"), AsyncCursor)
    assert_type(await amigo.arun("UPDATE t SET a = 1"), int)
    assert_type(await leanix.astart_run("id", test=True), bool)
    fields: Mapping[str, Any] = {}
    assert_type(await iot.aupdate_thing("id", fields), dict[str, Any])
    await iot.aget_thing(thing_id=1)  # type: ignore[arg-type]
    await iot.aget_thing()  # type: ignore[call-arg]
