"""The interpreter that the environment is built with."""

from __future__ import annotations

import sys

import pytest

from dev import interpreters

NEWEST = "{}.{}".format(*interpreters.NEWEST)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the versions that the machine has, which a test may change."""
    versions = {"3.11", "3.12", NEWEST}

    def candidates(version: str) -> list[str]:
        return [version] if version in versions else []

    monkeypatch.setattr(interpreters, "candidates", candidates)
    monkeypatch.setattr(interpreters, "output", lambda version, *_: f"{version}\n/bin/python{version}\n")
    monkeypatch.delenv("CI", raising=False)
    return versions


def test_the_newest_supported_interpreter_of_the_machine_is_used(machine: set[str]) -> None:
    assert interpreters.find_newest() == f"/bin/python{NEWEST}"
    machine.remove(NEWEST)
    assert interpreters.find_newest() == "/bin/python3.12"


def test_without_a_supported_interpreter_the_one_at_hand_is_left_to_the_check(machine: set[str]) -> None:
    machine.clear()
    assert interpreters.find_newest() == sys.executable


def test_in_the_pipeline_the_newest_interpreter_may_not_be_missing(
    machine: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    machine.remove(NEWEST)
    with pytest.raises(SystemExit, match=f"no Python {NEWEST}"):
        interpreters.find_newest()


@pytest.mark.parametrize(
    ("version", "is_tested"), [(interpreters.NEWEST, True), (interpreters.OLDEST, False)]
)
def test_a_run_on_an_older_interpreter_says_that_the_newest_one_is_not_tested(
    version: tuple[int, int],
    is_tested: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    interpreters.say()
    assert (f"NOT TESTED on Python {NEWEST}" not in capsys.readouterr().out) is is_tested
