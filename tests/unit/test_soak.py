"""The soak's own parts: equal seeds make equal runs, and model and limits find what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sdk = pytest.importorskip("airflow.sdk")
if not hasattr(sdk, "RetryPolicy"):
    pytest.skip("the DAGs of the soak need Airflow 3.3", allow_module_level=True)

from tests.soak.chain import stuck_tasks  # noqa: E402
from tests.soak.disturb import Disturber  # noqa: E402
from tests.soak.model import NIGHT_FILES, Model, differences  # noqa: E402
from tests.soak.nights import Night, first_night, next_night  # noqa: E402
from tests.soak.outsider import Outsider, ServiceAwayError  # noqa: E402
from tests.soak.parts import Parts  # noqa: E402
from tests.soak.report import Result, markdown  # noqa: E402
from tests.soak.samples import Sample, growth_an_hour, slope  # noqa: E402
from tests.soak.schedule import INTERVALS, KILLS, Disturbance, calm_seconds, disturbances  # noqa: E402

DEVICES = ["one", "two", "three"]


def nights(seed: int, count: int) -> list[Night]:
    found = [first_night(seed, DEVICES)]
    while len(found) < count:
        found.append(next_night(seed, found[-1]))
    return found


def modelled(count: int = 3) -> Model:
    model = Model(set_points=dict.fromkeys(DEVICES, 0.0))
    for night in nights(7, count):
        model.night_done(night)
    return model


def test_equal_seeds_make_equal_nights_and_disturbances() -> None:
    assert nights(5, 4) == nights(5, 4) != nights(6, 4)
    assert disturbances(5, 3600) == disturbances(5, 3600) != disturbances(6, 3600)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = disturbances(5, 1800), disturbances(5, 7200)
    frequent = [one for one in long if one.kind not in KILLS and one.at < 1500]
    assert [one for one in short if one.kind not in KILLS and one.at < 1500] == frequent


def test_every_kind_happens_in_an_hour_and_none_in_the_calm() -> None:
    planned = disturbances(1, 3600)
    assert {one.kind for one in planned} == set(INTERVALS)
    assert max(one.at for one in planned) < 3600 - calm_seconds(3600)
    assert max(one.at for one in planned if one.kind in KILLS) < 1800


def test_a_run_that_is_only_calm_has_no_disturbance() -> None:
    assert disturbances(1, 60) == []


def test_each_night_has_new_changed_and_missing_rows_in_every_table() -> None:
    first, second = nights(3, 2)
    for rows in ("desks", "assets", "components"):
        before, after = getattr(first, rows), getattr(second, rows)
        assert set(before) - set(after)
        assert set(after) - set(before)
        assert [key for key in set(before) & set(after) if before[key] != after[key]]
    assert first.set_points != second.set_points
    assert second.changed_assets == {n: row for n, row in second.assets.items() if row[2] == 1} != {}


def test_the_model_predicts_the_last_nights_rows_and_all_nights_files() -> None:
    model = modelled()
    predicted = model.predicted()
    last = model.nights[-1]
    assert predicted["MapsIndoors"] == last.desks
    assert predicted["LeanIX"] == predicted["warehouse, copy of LeanIX"] == last.components
    assert [predicted[f"files of night {n}"]["names"] for n in range(3)] == [sorted(NIGHT_FILES)] * 3
    assert len(predicted["files of night 0"]["changes.jsonl"]) == len(model.nights[0].assets)


def test_a_set_point_is_written_once_for_each_change_of_it() -> None:
    night = replace(first_night(1, []), set_points={"a": 20.0, "b": 5.0})
    model = Model(set_points={"a": 20.0, "b": 1.0})
    for set_points in (night.set_points, {"a": 20.0, "b": 5.0}, {"a": 21.0, "b": 5.0}):
        model.night_done(replace(night, set_points=set_points))
    assert model.predicted()["IoT Studio, history of set points"] == {"a": 1, "b": 1}


def test_changes_and_recorded_values_count_each_time() -> None:
    model = modelled(1)
    model.changed("run")
    model.recorded("meter", 1.5)
    model.recorded("meter", 1.5)
    assert model.predicted()["watchers"] == {"run": 1}
    assert model.predicted()["exported history"] == {("meter", 1.5): 2}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"a": 1}, "b: predicted 2, found nothing"),
        ({"a": 1, "b": 3}, "b: predicted 2, found 3"),
        ({"a": 1, "b": 2, "c": None}, "c: predicted nothing, found None"),
    ],
)
def test_a_difference_names_its_key_and_both_values(found: dict[Any, Any], line: str) -> None:
    assert differences({"x": {"a": 1, "b": 2}}, {"x": found}) == {"x": [line]}


def test_equal_content_has_no_difference_and_a_missing_system_has_all() -> None:
    assert differences({"x": {"a": 1}}, {"x": Counter(a=1)}) == {"x": []}
    assert differences({"x": {"a": 1}}, {}) == {"x": ["a: predicted 1, found nothing"]}


def sample(at: float, pid: int = 1, memory: int = 100 << 20, descriptors: int = 20) -> Sample:
    return Sample(at, pid, descriptors, 5, 5, memory)


def test_an_outlier_does_not_move_the_growth() -> None:
    points = [(60.0 * n, 100 + 2.0 * n) for n in range(20)]
    assert slope([*points[:10], (600.0, 10_000.0), *points[11:]]) == pytest.approx(2 / 60)


def test_growth_is_that_of_the_longest_life_after_its_warm_up() -> None:
    warming = [sample(60.0 * n, memory=(100 + 30 * min(n, 4)) << 20) for n in range(20)]
    assert growth_an_hour(warming) == 0
    restarted = [sample(60.0 * n, pid=n // 3, memory=n << 20) for n in range(9)]
    assert growth_an_hour(restarted) is None


def test_a_part_that_grows_or_keeps_descriptors_is_a_violation() -> None:
    leaking = [sample(60.0 * n, memory=(100 + n) << 20) for n in range(30)]
    kept = (sample(0), sample(100, descriptors=90))
    stores = {"temporary files": (2.0, 3.0, 2.0)}
    result = Result(parts={"triggerer": kept}, samples={"triggerer": leaking}, stores=stores)
    assert result.violations() == [
        "triggerer has 90 descriptors, at the begin 20",
        "triggerer grows by 60.0 MB an hour, the limit is 16.0",
        "temporary files: 3, the limit is 2",
    ]


def test_a_run_without_a_violation_says_so() -> None:
    steady = [sample(60.0 * n) for n in range(30)]
    result = Result(parts={"triggerer": (sample(0), sample(1))}, samples={"triggerer": steady})
    assert result.violations() == []
    assert "No violation." in markdown(result)


@pytest.fixture
def outsider(sandbox: Any) -> Outsider:
    return Outsider(sandbox.connections)


def test_a_change_whose_reply_is_lost_is_made_once(sandbox: Any, outsider: Outsider) -> None:
    (meter, *_) = outsider.things("Meters")
    sandbox.faults.add("reset_after", service="iotstudio", path="history", times=1)
    outsider.meter(meter, 1000.5)
    sandbox.faults.add("reset_before", service="iotstudio", path="history", times=1)
    outsider.meter(meter, 1000.75)
    assert outsider.history(meter, "power") == [1000.75, 1000.5]


def test_an_event_and_a_state_are_known_by_what_a_watcher_says(sandbox: Any, outsider: Outsider) -> None:
    sandbox.faults.add("reset_after", service="amigocloud", method="POST", times=1)
    sandbox.faults.add("reset_after", service="iotstudio", method="POST", path="events", times=1)
    assert outsider.change_dataset(1) == sandbox.amigocloud.store.datasets[1].states[-1]
    event = outsider.report(7)
    assert [entry.uid for thing in sandbox.iotstudio.space.things.values() for entry in thing.events] == [
        event
    ]


def test_a_refused_change_ends_the_soak_at_once(outsider: Outsider) -> None:
    with pytest.raises(ServiceAwayError, match="400"):
        outsider.heat(next(iter(outsider.things("Meters"))), 1)


@pytest.mark.parametrize("away", [0.0, 1.0])
def test_a_limit_is_lowered_for_a_while_and_put_back(sandbox: Any, tmp_path: Path, away: float) -> None:
    if away:
        sandbox.restart(away)
    parts = Parts(tmp_path, "", print)
    parts.sandbox_url, parts.started = sandbox.url, {"sandbox": None}  # type: ignore[dict-item]
    about = {"service": "mapsindoors", "rate": 0.1, "seconds": 0.05}
    planned = [Disturbance(0, "limit of requests", about), Disturbance(0, "fault", {"kind": "html"})]
    said: list[str] = []
    disturber = Disturber(parts, planned, said.append)
    disturber.start()
    disturber.wait()
    disturber.stop()
    assert (disturber.problems, disturber.done) == ([], {"limit of requests": 1, "fault": 1})
    assert (sandbox.mapsindoors.requests_per_second, sandbox.faults.active()) == (10, [])
    assert len(said) == 2


def test_an_operator_clears_what_has_failed_and_what_the_executor_has_lost() -> None:
    tasks = [
        {"task_id": "plan", "state": "failed", "queued_when": "2026-11-30T03:00:00Z"},
        {"task_id": "lost", "state": "queued", "queued_when": "2026-11-30T03:00:00Z"},
        {"task_id": "next", "state": "queued", "queued_when": "2026-11-30T03:00:02Z"},
        {"task_id": "last", "state": None, "queued_when": None},
    ]
    now = datetime(2026, 11, 30, 3, 5, 1, tzinfo=UTC)
    assert [task["task_id"] for task in stuck_tasks("running", tasks, now)] == ["lost"]
    assert [task["task_id"] for task in stuck_tasks("failed", tasks, now)] == ["plan"]
    assert stuck_tasks("unknown", [], now) == []
