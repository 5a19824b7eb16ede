"""Scratch objects: made with consent, named in a file, and removed; nothing of the user's is touched."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.conformance.catalogue import SERVICES
from airflow_provider.conformance.command import main
from airflow_provider.conformance.created import CreatedObjects, UnusableFileError
from airflow_provider.conformance.session import Choice, Session
from airflow_provider.core.http import auth
from airflow_provider.sandbox.amigocloud.seed import ASSETS
from tests.support.conformance import SharedClock, floor_of
from tests.support.hypothesis_sizes import LONG
from tests.support.killed_run import killed_run

pytestmark = pytest.mark.slow  # the sandbox does not depend on versions

HEAD = {"run": "conformance-0123456789ab", "service": "iotstudio", "place": "0"}
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "50" if LONG else "3"))
NAMES = list(SERVICES)


def user_data(sandbox: Any) -> dict[str, Any]:
    """Return all data of the user in the four services."""
    datasets = sandbox.amigocloud.store.datasets
    return {
        "mapsindoors": {solution.id: solution.geodata for solution in sandbox.mapsindoors.solutions.values()},
        "amigocloud": {number: (one.name, one.states) for number, one in datasets.items()},
        "things": {
            uid: (thing.title, thing.fields, thing.status, thing.history)
            for space in sandbox.iotstudio.spaces.values()
            for uid, thing in space.things.items()
        },
        "leanix": (sandbox.leanix.configurations, sandbox.leanix.fact_sheets),
    }


def snapshot(sandbox: Any) -> str:
    return repr(user_data(sandbox))


def arguments(sandbox: Any, name: str) -> list[str]:
    return [f"{name}_default", "--level", "scratch", "--yes", "--scratch-parent", floor_of(sandbox)]


def scratch(sandbox: Any, name: str, *further: str) -> int:
    auth._slots.clear()
    with SharedClock(sandbox).running() as clock:
        return main([*arguments(sandbox, name), *further], clock)


def clean_up(sandbox: Any, name: str, path: Path) -> int:
    auth._slots.clear()
    with SharedClock(sandbox).running() as clock:
        return main([f"{name}_default", "--clean-up", str(path)], clock)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("conformance-*.jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_a_run_removes_what_it_has_made(sandbox: Any, name: str, working_folder: Path, capsys: Any) -> None:
    before = snapshot(sandbox)
    assert scratch(sandbox, name) == 0
    assert snapshot(sandbox) == before
    assert files(working_folder) == []
    said = capsys.readouterr().out
    assert "makes these objects" in said
    if name == "leanix":
        assert "The runs stay" in said
        assert [(run.test, run.status) for run in sandbox.leanix.runs] == [
            (True, "FINISHED"),
            (True, "STOPPED"),
        ]


@pytest.mark.parametrize("name", NAMES)
def test_the_level_scratch_without_consent_is_a_4_and_makes_nothing(
    sandbox: Any, name: str, working_folder: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"{name}_default", "--level", "scratch"])
    assert ended.value.code == 4
    assert sandbox.counters.total(name) == 0
    assert files(working_folder) == []


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("yes", 0), ("", 4), ("no", 4)])
def test_the_user_is_asked(sandbox: Any, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _: True})())
    monkeypatch.setattr("builtins.input", lambda _: answer)
    arguments = ["iotstudio_default", "--level", "scratch", "--only", "I6"]
    with SharedClock(sandbox).running() as clock:
        if code:
            with pytest.raises(SystemExit) as ended:
                main(arguments, clock)
            assert ended.value.code == code
        else:
            assert main(arguments, clock) == 0


def test_an_interrupted_run_removes_what_it_has_made(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, working_folder: Path, capsys: Any
) -> None:
    before = snapshot(sandbox)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_provider.conformance.command._show", interrupt)
    assert scratch(sandbox, "iotstudio", "--only", "I6") == 1
    assert "Interrupted" in capsys.readouterr().err
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


@pytest.mark.parametrize("name", NAMES)
def test_lower_levels_make_nothing(sandbox: Any, name: str, working_folder: Path) -> None:
    before = snapshot(sandbox)
    with SharedClock(sandbox).running() as clock:
        main([f"{name}_default", "--burst"], clock)
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


def test_checks_without_a_parent_are_skipped(sandbox: Any, capsys: Any) -> None:
    with SharedClock(sandbox).running() as clock:
        assert main(["mapsindoors_default", "--level", "scratch", "--yes", "--only", "M6"], clock) == 0
    assert "name a floor or venue with --scratch-parent" in capsys.readouterr().out


def test_a_parent_that_is_not_there_is_named(sandbox: Any, capsys: Any) -> None:
    arguments = [
        "mapsindoors_default",
        "--level",
        "scratch",
        "--yes",
        "--only",
        "M6",
        "--scratch-parent",
        "f" * 24,
    ]
    with SharedClock(sandbox).running() as clock:
        assert main(arguments, clock) == 0
    said = capsys.readouterr().out
    assert "the object that --scratch-parent names is not in the solution" in said
    assert "name a floor or venue" not in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "is not a file of objects"),
        (b"", "is not a file of"),
    ],
)
def test_a_file_that_names_no_objects_is_a_4(
    sandbox: Any, tmp_path: Path, content: bytes | None, words: str, capsys: Any
) -> None:
    path = tmp_path / "journal.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["leanix_default", "--clean-up", str(path)])
    assert ended.value.code == 4
    assert f"journal.jsonl {words}" in capsys.readouterr().err


@pytest.fixture(scope="module")
def totals() -> dict[str, int]:
    """Return the numbers of requests of whole runs by service, as far as they are known."""
    return {}


def requests_of(sandbox: Any, name: str, totals: dict[str, int]) -> int:
    """Return the number of requests of a whole run."""
    if name not in totals:
        scratch(sandbox, name)
        totals[name] = int(sandbox.counters.total(name))
        sandbox.reset()
    return totals[name]


def kills() -> Iterator[Any]:
    dice = random.Random(16)
    for name in NAMES:
        for round_ in range(ROUNDS):
            yield pytest.param(name, dice.random(), round_ % 2 == 1, id=f"{name}-{round_}")


@pytest.mark.parametrize(("name", "part", "after"), list(kills()))
def test_a_run_killed_at_any_request_leaves_what_clean_up_removes(
    sandbox: Any, name: str, part: float, after: bool, working_folder: Path, totals: dict[str, int]
) -> None:
    number = 1 + int(part * requests_of(sandbox, name, totals))
    before = snapshot(sandbox)
    code = killed_run(sandbox.url, os.environ, arguments(sandbox, name), working_folder, number, after=after)
    assert code == -signal.SIGKILL
    for path in files(working_folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert clean_up(sandbox, name, path) == 0
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


def losses() -> Iterator[Any]:
    dice = random.Random(61)
    for name in NAMES:
        for round_ in range(ROUNDS):
            yield pytest.param(name, dice.random(), id=f"{name}-{round_}")


@pytest.mark.parametrize(("name", "part"), list(losses()))
def test_when_all_answers_after_a_request_are_lost_nothing_is_forgotten(
    sandbox: Any, name: str, part: float, working_folder: Path, capsys: Any, totals: dict[str, int]
) -> None:
    total = requests_of(sandbox, name, totals)
    before = snapshot(sandbox)
    capsys.readouterr()
    sandbox.faults.add("reset_after", service=name, after=int(part * total), times=None)
    code = scratch(sandbox, name)
    sandbox.faults.clear()
    assert code in {1, 3, 5}
    found = files(working_folder)
    assert bool(found) == (code == 5)
    said = capsys.readouterr().err
    for path in found:
        left = CreatedObjects.open(path).left
        assert all(created.name in said for created in left)
        assert f"--clean-up {path}" in said
        assert clean_up(sandbox, name, path) == 0
    assert snapshot(sandbox) == before
    assert files(working_folder) == []


def other_ids() -> Iterator[Any]:
    thing, dataset = "<user>", {"id": ASSETS, "name": "Assets"}
    for body in (
        {"uid": thing},
        {"uid": thing, "title": "Room"},
        {"uid": ".."},
        {"uid": None},
        {"uid": "\x1b[2J"},
    ):
        yield pytest.param("iotstudio", "I6.null", "things$", body, id=f"thing {body}")
    yield pytest.param("amigocloud", "A9.lag", "create$", dataset, id="dataset")
    yield pytest.param("amigocloud", "A9.lag", "create$", {"id": ASSETS}, id="dataset without name")
    yield pytest.param("mapsindoors", "M6.post_code", "geodata$", ["<user>"], id="geodata")


@pytest.mark.parametrize(("name", "check", "path", "body"), list(other_ids()))
def test_a_reply_that_names_another_object_removes_nothing_of_the_user(
    sandbox: Any, name: str, check: str, path: str, body: Any, working_folder: Path, capsys: Any
) -> None:
    of_user = floor_of(sandbox) if name == "mapsindoors" else next(iter(sandbox.iotstudio.space.things))
    given = json.loads(json.dumps(body).replace("<user>", of_user))
    before = snapshot(sandbox)
    sandbox.faults.add("status", service=name, method="POST", path=path, status=200, body=given)
    assert scratch(sandbox, name, "--only", check) == 5
    said = capsys.readouterr().err
    assert "of unknown id" in said
    assert "\x1b" not in said
    assert snapshot(sandbox) == before
    assert [clean_up(sandbox, name, path) for path in files(working_folder)] == [0]
    assert snapshot(sandbox) == before
    assert not any("DELETE" in route for route in sandbox.counters.report()["requests"])


KINDS = [
    (name, kind) for name, one in SERVICES.items() for kind in one.creations if one.creations[kind].remove
]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_file_that_names_another_object_removes_nothing_of_the_user(
    sandbox: Any, name: str, kind: str, tmp_path: Path, capsys: Any
) -> None:
    of_user = {
        "mapsindoors": floor_of(sandbox),
        "amigocloud": str(ASSETS),
        "iotstudio": next(iter(sandbox.iotstudio.space.things)),
        "leanix": next(iter(sandbox.leanix.configurations.values()))["connectorId"],
    }
    session = Session(f"{name}_default", Choice("scratch"))
    objects = CreatedObjects.start(
        tmp_path / "run.jsonl", {**HEAD, "service": name, "place": session._place()}
    )
    session.close()
    objects.made(objects.intend(kind, f"{HEAD['run']}-{kind}"), of_user[name])
    before = snapshot(sandbox)
    code = clean_up(sandbox, name, objects.path)
    assert snapshot(sandbox) == before
    looks = SERVICES[name].creations[kind].look is not None
    assert code == (5 if looks else 0)  # A list that lacks the name shows that the run's object is gone.
    assert (of_user[name] in capsys.readouterr().err) == looks


def storms() -> Iterator[Any]:
    dice = random.Random(429)
    for name in NAMES:
        yield pytest.param(name, dice.random(), id=name)


@pytest.mark.parametrize(("name", "part"), list(storms()))
def test_a_storm_of_refusals_in_the_middle_leaves_what_clean_up_removes(
    sandbox: Any, name: str, part: float, working_folder: Path, totals: dict[str, int]
) -> None:
    total = requests_of(sandbox, name, totals)
    before = snapshot(sandbox)
    sandbox.faults.add("status", service=name, after=int(part * total), times=None, status=429)
    code = scratch(sandbox, name)
    requests = sandbox.counters.total(name)
    sandbox.faults.clear()
    assert code in {1, 3, 5}
    assert requests <= 200
    assert bool(files(working_folder)) == (code == 5)
    for path in files(working_folder):
        assert clean_up(sandbox, name, path) == 0
    assert snapshot(sandbox) == before


def test_objects_are_written_down_before_and_after_their_creation(tmp_path: Path) -> None:
    objects = CreatedObjects.start(tmp_path / "run.jsonl", HEAD)
    created = objects.intend("probe", "conformance-0123456789ab-probe")
    assert CreatedObjects.open(objects.path).left == [created]
    objects.made(created, "17")
    assert CreatedObjects.open(objects.path).left[0].id == "17"
    objects.removed(created)
    assert CreatedObjects.open(objects.path).left == []
    assert CreatedObjects.open(objects.path).ids == {"17"}


def test_a_line_that_was_cut_off_is_ignored(tmp_path: Path) -> None:
    objects = CreatedObjects.start(tmp_path / "run.jsonl", HEAD)
    objects.intend("probe", "conformance-0123456789ab-probe")
    with objects.path.open("a") as file:
        file.write('{"made": "probe", "na')
    assert [created.id for created in CreatedObjects.open(objects.path).left] == [""]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON\n",
        "{}\n",
        json.dumps({**HEAD, "run": "mine"}),
        json.dumps(HEAD) + '\n{"intend": "probe", "name": "thing-of-the-user"}\n',
        json.dumps(HEAD) + '\n{"made": "probe", "name": "conformance-0123456789ab-probe", "id": "1"}\n',
        json.dumps(HEAD) + "\nbroken\n{}\n",
    ],
)
def test_another_file_is_no_list_of_objects(sandbox: Any, tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(UnusableFileError):
        CreatedObjects.open(path)
    with pytest.raises(SystemExit) as ended:
        main(["iotstudio_default", "--clean-up", str(path)])
    assert ended.value.code == 4
    assert sandbox.counters.total("iotstudio") == 0


def test_clean_up_on_another_service_is_a_4(sandbox: Any, tmp_path: Path) -> None:
    path = CreatedObjects.start(tmp_path / "run.jsonl", HEAD).path
    with pytest.raises(SystemExit) as ended:
        main(["iotstudio_default", "--clean-up", str(path)])
    assert ended.value.code == 4
    assert sandbox.counters.total("iotstudio") == 0
