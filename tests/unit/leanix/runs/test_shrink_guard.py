"""A full run whose content is much smaller than the last one's is refused."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider.errors import InputError
from airflow_provider.leanix.runs.shrink_guard import LastItemCount
from tests.support.per_asset import PerAsset
from tests.support.state_store import FakeStateStore

ASSET = Asset("leanix")


def guard(
    store: Any, connector: str = "a/b", outlets: tuple[Any, ...] = ("no asset", ASSET)
) -> LastItemCount:
    return LastItemCount({"asset_state_store": store}, outlets, connector)


def test_a_content_may_shrink_by_its_share_and_no_more() -> None:
    store = PerAsset(FakeStateStore)
    guard(store).raise_if_shrunk(0, 0.5)
    guard(store).record(100)
    guard(store, "other").record(7)
    assert store[ASSET] == {"leanix_full_run_items": {"a/b": 100, "other": 7}}
    guard(store).raise_if_shrunk(50, 0.5)
    guard(store).raise_if_shrunk(200, 0.0)
    guard(store).raise_if_shrunk(0, 1.0)
    guard(store).raise_if_shrunk(30, 0.7)  # Neither 0.7 nor 1 - 0.7 is a binary fraction.
    with pytest.raises(InputError) as caught:
        guard(store).raise_if_shrunk(49, 0.5)
    assert str(caught.value) == (
        "the LDIF: the content has 49 items, the last full run had 100; a full run deletes what it does not"
        " contain, so a decrease of more than 50% is rejected ('max_shrink'; 1 or None accepts any content)"
    )
    guard(store, "third").raise_if_shrunk(0, 0.0)


def test_without_a_store_or_an_asset_nothing_is_refused() -> None:
    without = guard(None)
    without.record(100)
    without.raise_if_shrunk(0, 0.0)
    no_asset = guard(PerAsset(FakeStateStore), outlets=("no asset",))
    no_asset.record(100)
    no_asset.raise_if_shrunk(0, 0.0)
    assert without._counts() == no_asset._counts() == {}


def test_a_damaged_count_refuses_nothing() -> None:
    store = PerAsset(FakeStateStore)
    for damaged in ("text", {"a/b": "100"}):
        store[ASSET].set("leanix_full_run_items", damaged)
        guard(store).raise_if_shrunk(0, 0.0)
    guard(store).record(5)
    assert store[ASSET]["leanix_full_run_items"]["a/b"] == 5
