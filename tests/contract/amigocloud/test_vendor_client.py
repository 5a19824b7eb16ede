"""Vendor's client of AmigoCloud, ``amigocloud`` 1.2.5: it works with the sandbox.

The tests cover everything that its README shows, and PUT and PATCH. Two methods that the README does not name
are left out: ``geocode_addresses``, and ``upload_gallery_photo``, which cannot work on Python 3.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.server import Sandbox
from tests.contract import client_environments

websockets_both_ways = pytest.mark.parametrize("websockets", [True, False], ids=["websockets", "plain"])


def client(sandbox: Sandbox, step: str, **options: Any) -> Any:
    """Run a step of the vendor's client."""
    given = {
        "base_url": sandbox.amigocloud.base_url,
        "token": seed.USER_TOKEN,
        "project_token": seed.CREATE_PROJECT_TOKEN,
        "websockets": False,
        **options,
    }
    sandbox.amigocloud.job_latency = 0.1
    return client_environments.run("amigocloud", Path(__file__).with_name("vendor_client.py"), step, given)


@websockets_both_ways
def test_tokens_and_urls_are_good_as_the_readme_says(sandbox: Sandbox, websockets: bool) -> None:
    seen = client(sandbox, "tokens", websockets=websockets)
    assert seen["transport"] == ("websocket" if websockets else None)
    assert seen["me"] == [seed.USER] * 3
    assert seen["datasets"] == [3] * 3
    assert seen["bad_token"] == {"status": 401, "error_code": "invalid_token", "detail": "Invalid token."}
    assert seen["another_project"]["status"] == 403


@pytest.mark.both_engines
@websockets_both_ways
def test_lists_rows_and_pictures_can_be_read(sandbox: Sandbox, websockets: bool) -> None:
    seen = client(sandbox, "reads", websockets=websockets)
    assert seen["picture"] == "PNG"
    assert seen["page"] == ["count", "next", "previous", "results"]
    assert (seen["visible"], len(seen["projects"]), seen["found"]) == (20, 25, ["Campus"])
    assert seen["first_two"] == [sandbox.amigocloud.store.datasets[n].name for n in (seed.FIRST, seed.ASSETS)]
    assert seen["columns"] == [column["name"] for column in seed.ASSET_COLUMNS]
    assert seen["rows"] == list(range(seed.ASSET_COUNT))
    assert (seen["count"], seen["exhausted"]) == (seed.ASSET_COUNT, True)
    assert seen["not_a_list"] == ["Ada"]


@pytest.mark.both_engines
@websockets_both_ways
def test_what_it_writes_is_what_the_hook_reads(sandbox: Sandbox, websockets: bool) -> None:
    seen = client(sandbox, "writes", websockets=websockets)
    assert seen["made"] == "New Project"
    assert seen["put"] == ["Renamed", "By PUT"]
    assert seen["patched"] == ["Again", "By PUT"]
    assert (seen["affected"], seen["job"], seen["deleted"]) == (8, "SUCCESS", "")
    assert seen["gone"]["status"] == 404
    assert (seen["mistake"]["status"], seen["mistake"]["detail"]) == (400, "name: this field is required.")
    with AmigoCloudHook() as hook:
        rows = hook.get_records(f"SELECT name, value FROM dataset_{seed.FIRST} ORDER BY value")
        assert rows[0] == {"name": "made elsewhere", "value": 1}
        assert [row["value"] for row in rows[1:]] == [17.5] * 8
        assert [one["name"] for one in hook.get_cursor("/me/projects")][-1] == "Again"


@pytest.mark.both_engines
@websockets_both_ways
def test_a_file_goes_up_in_one_piece_and_in_chunks(
    sandbox: Sandbox, tmp_path: Path, websockets: bool
) -> None:
    lines = [f"Sensor {n},{n / 2}" for n in range(500)]
    file = tmp_path / "sensors.csv"
    file.write_text("\n".join(["title,reading", *lines]))
    made = client(sandbox, "uploads", websockets=websockets, file=str(file))
    with AmigoCloudHook() as hook:
        for number in made:
            rows = hook.get_records(f"SELECT title, reading FROM dataset_{number}")
            assert [f"{row['title']},{row['reading']}" for row in rows] == lines
    assert sandbox.counters.total("chunked_upload") == 1 + -(-file.stat().st_size // 1000)


def once(condition: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    """Call a function from another thread, as soon as a condition holds."""

    def run() -> None:
        ends = time.monotonic() + 30
        while not condition() and time.monotonic() < ends:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("upgrades", [["websocket"], []], ids=["websocket", "polling"])
def test_it_hears_what_the_hook_does(sandbox: Sandbox, upgrades: list[str]) -> None:
    sockets = sandbox.amigocloud.sockets
    sockets.upgrades = upgrades

    def act() -> None:
        with AmigoCloudHook() as hook:
            hook.post("/me/projects", {"name": "Harbour"})
            hook.run(f"UPDATE dataset_{seed.ASSETS} SET floor = 3 WHERE number = 17")

    helper = once(lambda: bool(sockets.listeners() and sockets.listeners(seed.ASSETS)), act)
    seen = client(sandbox, "events", websockets=True)
    helper.join()
    assert seen["transport"] == (upgrades[0] if upgrades else "xhr-polling")
    created = seen["project:creation_succeeded"]
    assert (created["user_id"], created["project_id"]) == (seed.USER, max(sandbox.amigocloud.projects))
    assert seen["realtime"]["dataset_id"] == seed.ASSETS
    (thing,) = seen["realtime"]["data"]
    row = sandbox.amigocloud.store.select("SELECT amigo_id FROM dataset_2001 WHERE number = 17", 1, 0).rows[0]
    assert thing["object_id"] == row["amigo_id"]
    assert set(thing) == {"object_id", "latitude", "longitude"}
