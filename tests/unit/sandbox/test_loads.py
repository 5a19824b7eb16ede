"""Generated data: the same in every process, from the command line, over HTTP and in a test."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import pytest
import requests

from airflow_provider.sandbox.amigocloud.loads import asset_query
from airflow_provider.sandbox.amigocloud.seed import ASSETS, USER_TOKEN, ZONES
from airflow_provider.sandbox.iotstudio.loads import ComputedSeries
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.switches import SwitchError
from tests.support.sandbox_command import command, running

pytestmark = pytest.mark.slow


def post(sandbox: Sandbox, path: str, body: Any) -> requests.Response:
    return requests.post(f"{sandbox.url}/_sandbox/{path}", json=body, timeout=60)


def rows(url: str, sql: str) -> list[dict[str, Any]]:
    path = f"{url}/amigocloud/api/v1/users/123/projects/1234/sql"
    answer = requests.get(path, params={"query": sql, "token": USER_TOKEN}, timeout=30)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def fingerprint(found: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def test_a_dataset_is_generated_over_http(sandbox: Sandbox) -> None:
    answer = post(sandbox, "amigocloud/rows", {"dataset": 3001, "rows": 2500})
    assert answer.status_code == 201, answer.text
    assert answer.json() == {
        "dataset": 3001,
        "table": "dataset_3001",
        "rows": 2500,
        "state": sandbox.amigocloud.store.master(3001),
    }
    assert rows(sandbox.url, "SELECT count(*) AS n, count(DISTINCT amigo_id) AS ids FROM dataset_3001") == [
        {"n": 2500, "ids": 2500}
    ]
    sandbox.reset()
    assert 3001 not in sandbox.amigocloud.store.datasets


def test_a_new_dataset_has_the_next_id(sandbox: Sandbox) -> None:
    found = [post(sandbox, "amigocloud/rows", {"rows": 10}).json()["dataset"] for _ in range(2)]
    assert found == [ZONES + 1, ZONES + 2]


def test_generated_rows_are_like_the_seeded_assets(sandbox: Sandbox) -> None:
    sandbox.load("amigocloud.rows", rows=3000, dataset=3001)
    seeded = rows(sandbox.url, f"SELECT * FROM dataset_{ASSETS} WHERE number = 7")
    loaded = rows(sandbox.url, "SELECT * FROM dataset_3001 WHERE number = 7")
    assert list(loaded[0]) == list(seeded[0])
    both = [
        (one, other)
        for one, other in zip(loaded[0].values(), seeded[0].values(), strict=True)
        if one and other
    ]
    assert [type(one) for one, _ in both] == [type(other) for _, other in both]
    (spread,) = rows(
        sandbox.url,
        "SELECT count(DISTINCT building) AS buildings, count(DISTINCT floor) AS floors, min(price) AS low,"
        " count(*) - count(wkb_geometry) AS nowhere, count(DISTINCT building || floor) AS pairs,"
        " count(DISTINCT updated_at) AS moments FROM dataset_3001",
    )
    assert (spread["buildings"], spread["floors"], spread["moments"]) == (7, 7, 3000)
    assert spread["pairs"] > 40
    assert spread["low"] >= 20
    assert spread["nowhere"] == 29


def test_generated_points_are_on_the_campus(sandbox: Sandbox) -> None:
    sandbox.load("amigocloud.rows", rows=500, dataset=3001)
    for row in rows(sandbox.url, "SELECT wkb_geometry FROM dataset_3001 WHERE wkb_geometry IS NOT NULL"):
        x, y = struct.unpack("<2d", bytes.fromhex(row["wkb_geometry"])[9:])
        assert abs(x - 12.57) <= 0.01
        assert abs(y - 55.78) <= 0.005


def test_rows_of_an_existing_dataset_are_added_in_a_new_state(sandbox: Sandbox) -> None:
    before = sandbox.amigocloud.store.master(ASSETS)
    added = sandbox.load("amigocloud.rows", rows=50, dataset=ASSETS)
    assert added["rows"] == 3050
    assert added["state"] == sandbox.amigocloud.store.master(ASSETS) != before
    page = sandbox.amigocloud.store.select(f"SELECT * FROM dataset_{ASSETS}", 1, 0, (ASSETS, before))
    assert page.count == 3000


def test_rows_depend_on_seed_and_number_alone(sandbox: Sandbox) -> None:
    sandbox.load("amigocloud.rows", rows=300, dataset=3001)
    sandbox.load("amigocloud.rows", rows=100, dataset=3002)
    sandbox.load("amigocloud.rows", rows=200, dataset=3002)
    sandbox.load("amigocloud.rows", rows=300, dataset=3003, seed=1)
    found = [
        rows(sandbox.url, f"SELECT * FROM dataset_{number} ORDER BY number") for number in (3001, 3002, 3003)
    ]
    assert found[0] == found[1]
    assert not {row["amigo_id"] for row in found[0]} & {row["amigo_id"] for row in found[2]}


def test_the_query_of_rows_stays_exact_for_the_last_of_ten_million(sandbox: Sandbox) -> None:
    found = sandbox.amigocloud.store.db.execute(asset_query(1, 1_000_000, 9_999_999)).fetchall()
    assert len(found) == 1
    assert isinstance(found[0][4], int)


def test_rows_are_the_same_in_every_process() -> None:
    prints, lines = [], []
    for name in ("rows", "dataset"):
        with running("--load", f"amigocloud.{name}=1500,dataset=3001,seed=7") as url:
            prints.append(fingerprint(rows(url, "SELECT * FROM dataset_3001 ORDER BY amigo_id LIMIT 1000")))
            requests.post(f"{url}/_sandbox/reset", timeout=30)
            lines += rows(url, "SELECT count(*) AS n FROM dataset_3001")
    assert prints[0] == prints[1]
    assert lines == [{"n": 1500}] * 2


def test_the_command_prints_what_it_has_loaded() -> None:
    with command("--port", "0", "--load", "amigocloud.dataset=12") as process:
        assert process.stdout is not None
        found = [process.stdout.readline() for _ in range(2)]
        process.terminate()
        process.communicate(timeout=20)
    assert found[1].startswith('# amigocloud.dataset: {"dataset": 2003, "table": "dataset_2003", "rows": 12,')


def test_things_have_a_history(sandbox: Sandbox) -> None:
    answer = post(sandbox, "iotstudio/things", {"things": 300, "values": 5000, "interval": 1})
    assert answer.status_code == 201
    assert {key: answer.json()[key] for key in ("things", "values")} == {"things": 300, "values": 1_500_000}
    space = sandbox.iotstudio.space
    last = space.things[answer.json()["last"]]
    series = last.history["temperature"]
    assert len(series) == 5000
    assert [at for at, _ in series[:3]] == [1_767_225_600_000, 1_767_225_601_000, 1_767_225_602_000]
    assert last.status["temperature"] == series[-1][1]
    assert len({thing.uid for thing in space.things.values()}) == 264 + 300
    again = sandbox.load("iotstudio.things", things=2)
    assert len(space.things) == 264 + 302
    assert again["first"] > answer.json()["last"]


def test_a_history_is_read_over_http(sandbox: Sandbox) -> None:
    uid = sandbox.load("iotstudio.things", things=1, values=2500)["first"]
    form = {"grant_type": "client_credentials", "scope": "thing", **client()}
    token = requests.post(f"{sandbox.url}/iotstudio/oauth2/token", data=form, timeout=5).json()[
        "access_token"
    ]
    url = f"{sandbox.url}/iotstudio/spaces/my-iot-project/things/{uid}/properties-history/temperature"
    found: list[Any] = []
    cursor = "first"
    while cursor:
        params = {"limit": 1000} if cursor == "first" else {"limit": 1000, "next_cursor": cursor}
        answer = requests.get(
            url, params=params, headers={"Authorization": f"Bearer {token}"}, timeout=5
        ).json()
        found += answer["data"]
        cursor = answer["paging"]["next_cursor"]
    assert len(found) == len({row["at"] for row in found}) == 2500


def client() -> dict[str, str]:
    from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET

    return {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def test_a_computed_series_is_a_sequence() -> None:
    series = ComputedSeries(5, 1000, 3)
    assert list(series) == [series[at] for at in range(5)] == series[:]
    assert series[-1] == series[4]
    assert series[1:3] == [series[1], series[2]]
    with pytest.raises(IndexError):
        series[5]


def test_rooms_are_added_to_the_campus(sandbox: Sandbox) -> None:
    before = len(sandbox.mapsindoors.campus.geodata)
    answer = post(sandbox, "mapsindoors/rooms", {"rooms": 700})
    assert answer.status_code == 201
    assert answer.json() == {"rooms": 700, "objects": before + 700}
    assert sandbox.load("mapsindoors.rooms", rooms=5)["objects"] == before + 705
    names = {item.get("externalId") for item in sandbox.mapsindoors.campus.geodata.values()}
    assert {"G-000000", "G-000704"} <= names


def test_applications_are_exported(sandbox: Sandbox) -> None:
    before = len(sandbox.leanix.fact_sheets)
    assert post(sandbox, "leanix/applications", {"applications": 40}).json() == {
        "applications": 40,
        "fact_sheets": before + 40,
    }
    sandbox.load("leanix.applications", applications=2)
    assert "load-0000041" in sandbox.leanix.fact_sheets


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("amigocloud/rows", {}, "rows is required"),
        ("amigocloud/rows", {"rows": 0}, "rows must be a whole number from 1 to 10000000"),
        ("amigocloud/rows", {"rows": 10**9}, "rows must be a whole number from 1 to 10000000"),
        ("amigocloud/rows", {"rows": "5"}, "rows must be a whole number"),
        ("amigocloud/rows", {"rows": True}, "rows must be a whole number"),
        ("amigocloud/rows", {"rows": 5, "datset": 1}, "there is no argument datset; the nearest is dataset"),
        ("amigocloud/rows", {"rows": 5, "dataset": ZONES}, f"dataset {ZONES} has other columns"),
        ("amigocloud/row", {"rows": 5}, "there is no such load; the nearest is amigocloud.rows"),
        ("iotstudio/things", {"things": 5, "values": -1}, "values must be a whole number from 0"),
        ("leanix/factsheets", {"rows": 5}, "there is no such load"),
        ("elsewhere/rows", {"rows": 5}, "there is no such load"),
        ("amigocloud/rows", [], "must be a JSON object"),
    ],
)
def test_a_load_that_is_not_understood_is_refused(
    sandbox: Sandbox, path: str, body: Any, expected: str
) -> None:
    answer = post(sandbox, path, body)
    assert answer.status_code == 400
    assert expected in answer.json()["detail"]


def test_all_problems_of_a_load_are_named_at_once(sandbox: Sandbox) -> None:
    answer = post(sandbox, "iotstudio/things", {"values": "x", "seeds": 1})
    assert len(answer.json()["problems"]) == 3
    with pytest.raises(SwitchError, match="things is required"):
        sandbox.load("iotstudio.things")


def test_all_loads_are_listed(sandbox: Sandbox) -> None:
    found = requests.get(f"{sandbox.url}/_sandbox/loads", timeout=5).json()
    assert set(found) == {
        "amigocloud.rows",
        "amigocloud.photos",
        "iotstudio.things",
        "mapsindoors.rooms",
        "leanix.applications",
    }
    assert found["amigocloud.rows"]["seed"] == {
        "default": 0,
        "type": "a whole number from 0 to 1000000",
        "about": "equal seeds make equal rows.",
    }


def test_the_command_names_all_problems_of_its_loads_and_switches() -> None:
    loads = ("amigocloud.rows", "amigocloud.rows=many", "amigocloud.rowz=5", "iotstudio.things=5,valus=1")
    arguments = [part for text in loads for part in ("--load", text)]
    with command("--set", "leanix.x=1", *arguments) as process:
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    for expected in (
        "leanix.x: there is no such switch",
        "amigocloud.rows: must be SERVICE.KIND=COUNT",
        "amigocloud.rows: rows must be a whole number from 1 to 10000000, not 'many'",
        "amigocloud.rowz: there is no such load; the nearest is amigocloud.rows",
        "iotstudio.things: there is no argument valus; the nearest is values",
    ):
        assert expected in errors
    assert "Traceback" not in errors
