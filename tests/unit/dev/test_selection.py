"""Tests that a run leaves out: which cases run, and what is printed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from dev.changed import ROOT, UNIT
from tests.support.selection import CASES, NIGHTLY, Selection, short_form


def cases(path: str, name: str, number: int, mark: str = "") -> list[Any]:
    """Return what the rule takes of the cases of a test."""
    return [
        SimpleNamespace(
            path=Path(os.path.normpath(UNIT / path)),
            nodeid=f"{path}::{name}[{case} of [{number}]]",
            get_closest_marker=lambda asked: asked == mark,
        )
        for case in range(number)
    ]


def test_each_test_runs_with_its_first_case_wherever_the_others_are() -> None:
    many, few = cases("core/test_keys.py", "test_many", 4), cases("core/test_keys.py", "test_few", 2)
    same_name = cases("core/test_names.py", "test_many", 1)
    mixed = [many[0], few[0], *many[1:], *same_name, few[1]]
    assert short_form(mixed) == ["", "", CASES, CASES, CASES, "", CASES]


def test_a_test_of_both_engines_runs_with_its_last_case_too() -> None:
    assert short_form(cases("core/test_keys.py", "test_sql", 4, "both_engines")) == ["", CASES, CASES, ""]


def test_pages_are_seen_in_their_first_and_their_last_case() -> None:
    assert short_form(cases("../browser/test_page.py", "test_page", 4)) == ["", CASES, CASES, ""]


def test_all_cases_run_in_a_module_about_the_whole_project() -> None:
    assert set(short_form(cases("test_language.py", "test_each", 9))) == {""}


@pytest.mark.parametrize("path", ["core/test_keys.py", "test_language.py"])
def test_what_is_marked_nightly_is_left_out(path: str) -> None:
    assert set(short_form(cases(path, "test_memory", 2, "nightly"))) == {NIGHTLY}


def test_what_is_left_out_is_printed_with_its_reason_and_adds_up() -> None:
    plugin, lines = Selection("floor", lambda items: []), list[str]()
    plugin.counts = Counter({"": 1200, CASES: 30, "marked slow": 4})
    plugin.pytest_terminal_summary(SimpleNamespace(write_line=lines.append))  # type: ignore[arg-type]
    assert lines == ["floor: 1,200 of 1,234 tests run; left out:", f"  30 {CASES}", "  4 marked slow"]


def test_the_processes_of_xdist_pass_the_counts_on() -> None:
    worker, controller = (Selection("floor", lambda items: []) for _ in range(2))
    worker.counts = Counter({"": 2, CASES: 1})
    node = SimpleNamespace(workeroutput={})
    worker.pytest_sessionfinish(SimpleNamespace(config=node))  # type: ignore[arg-type]
    controller.pytest_testnodedown(node)
    assert controller.counts == worker.counts


def test_all_that_the_short_form_leaves_out_runs_every_night() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.partition("\ntest-long: $(FULL) $(FLOOR)")[2].partition("\n\n")[0]
    assert "\t$(BIN)/pytest $(TESTS) --timeout 3600\n" in recipe
    assert "$(call with_floor,--timeout 3600 -m 'not slow')" in recipe
    assert "tests/browser tests/tutorial" in recipe
    assert "--short" not in recipe
    assert "--floor" not in recipe
    workflow = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())
    assert workflow[True]["schedule"]  # YAML reads the key "on" as a boolean
    assert "make test-long" in workflow["jobs"]["test-long"]["steps"][-1]["run"]
