"""Switches of what the vendor's docs leave open about display types, categories, details and dates."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.errors import RequestRejectedError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox

NAMES = {"en": "Stand", "da": "Stand"}
STANDS = {"key": "STANDS", "name": NAMES}


@pytest.fixture
def service(sandbox: Sandbox) -> MapsIndoorsService:
    found: MapsIndoorsService = sandbox.mapsindoors
    return found


def test_a_key_exists_once_or_as_often_as_it_is_sent(service: MapsIndoorsService) -> None:
    with MapsIndoorsHook() as hook:
        hook.create_categories([STANDS])
        with pytest.raises(RequestRejectedError, match="once only"):
            hook.create_categories([STANDS])
        service.catalogue_unique = False
        hook.create_categories([STANDS])
        assert [one["key"] for one in hook.list_categories()].count("STANDS") == 2


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("fields", {"properties": {"a@en": "1"}, "name": NAMES}),
        ("members", {"properties": {"a@en": "1", "b@en": "2"}, "name": NAMES}),
        ("replace", None),
    ],
)
def test_an_update_of_a_category_merges_or_replaces(
    service: MapsIndoorsService, mode: Any, left: Any
) -> None:
    service.catalogue_put = mode
    with MapsIndoorsHook() as hook:
        (key,) = hook.create_categories([{**STANDS, "properties": {"b@en": "2"}}])
        change = {"id": key, "properties": {"a@en": "1"}}
        if left is None:
            with pytest.raises(RequestRejectedError, match="key: Required"):
                hook.update_categories([change])
            return
        hook.update_categories([change])
        (found,) = [one for one in hook.list_categories() if one["id"] == key]
        assert found == {"id": key, "key": "STANDS", **left}


@pytest.mark.parametrize(("mode", "made"), [("atomic", 0), ("stop-at-first", 1), ("skip-bad", 2)])
def test_a_batch_of_categories_is_written_as_one_of_geodata_is(
    service: MapsIndoorsService, mode: Any, made: int
) -> None:
    service.batch_mode = mode
    batch = [{"key": "S-1", "name": NAMES}, {"key": "S-2"}, {"key": "S-3", "name": NAMES}]
    with MapsIndoorsHook() as hook:
        with pytest.raises(RequestRejectedError, match=r"\[1\].name.en"):
            hook.create_categories(batch)
        assert sum(one["key"].startswith("S-") for one in hook.list_categories()) == made


def test_reads_of_categories_may_be_late(service: MapsIndoorsService, sandbox: Sandbox) -> None:
    service.stale_seconds = 5.0
    with MapsIndoorsHook() as hook:
        hook.create_categories([STANDS])
        assert "STANDS" not in [one["key"] for one in hook.list_categories()]
        sandbox.clock.advance(6)
        assert "STANDS" in [one["key"] for one in hook.list_categories()]


@pytest.mark.parametrize(("form", "kept"), [("as-sent", "4:00 PM"), ("24-hours", "16:00")])
def test_opening_hours_lose_their_seconds(service: MapsIndoorsService, form: Any, kept: str) -> None:
    service.opening_hours = form
    day = {"startTime": "08:00:30", "endTime": "4:00:00 PM"}
    detail = {
        "key": "hours",
        "detailType": "openinghours",
        "openingHours": {"standardOpeningHours": {"monday": day}},
    }
    with MapsIndoorsHook() as hook:
        hook.update_geodata([{"id": seed.TUTORIAL_POI, "additionalDetails": [detail]}])
    (stored,) = service.campus.geodata[seed.TUTORIAL_POI]["additionalDetails"]
    assert stored["openingHours"]["standardOpeningHours"]["monday"] == {"startTime": "08:00", "endTime": kept}
