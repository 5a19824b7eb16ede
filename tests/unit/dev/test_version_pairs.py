"""The tests of the oldest pair: those that may depend on versions, by what their modules import."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dev.changed import UNIT
from tests.support import version_pairs
from tests.support.selection import CASES, NIGHTLY
from tests.support.version_pairs import ELSEWHERE, SLOW, THROUGH, left_out, may_depend


def item(path: str, name: str, *, marks: tuple[str, ...] = (), fixtures: tuple[str, ...] = ()) -> Any:
    """Return what the rule takes of a test."""
    return SimpleNamespace(
        path=UNIT / path,
        nodeid=f"{path}::{name}",
        get_closest_marker=lambda mark: mark in marks,
        _fixtureinfo=SimpleNamespace(name2fixturedefs=dict.fromkeys(fixtures, ())),
    )


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("core/reports/test_changes.py", True),  # by a library
        ("core/sync/test_limits.py", False),
        ("sandbox/test_iotstudio.py", False),
        ("leanix/test_operators.py", True),
        ("amigocloud/export/test_keyset.py", True),
    ],
)
def test_a_module_may_depend_on_versions_when_it_reaches_airflow_or_a_library_that_differs(
    path: str, may: bool
) -> None:
    assert may_depend(UNIT / path) is may


def test_what_another_process_imports_counts(tmp_path: Path) -> None:
    module = tmp_path / "test_child.py"
    module.write_text('COMMAND = "python -m airflow_provider.leanix.operators"\n')
    assert may_depend(module)
    module = tmp_path / "test_alone.py"
    module.write_text('COMMAND = "python -m json.tool"\n')
    assert not may_depend(module)


def test_the_first_case_runs_and_each_test_that_is_left_out_has_its_reason() -> None:
    path = "iotstudio/test_sensors.py"  # imports Airflow
    tests = [item(path, "test_one"), *(item(path, f"test_many[{number}]") for number in range(3))]
    tests += [item(path, "test_slow", marks=("slow",)), item(path, "test_matrix", marks=("nightly",))]
    tests += [item("sandbox/test_iotstudio.py", "test_a")]
    assert left_out(tests) == ["", "", CASES, CASES, SLOW, NIGHTLY, ELSEWHERE]


def test_of_tests_that_use_airflow_through_the_package_only_the_first_one_of_a_module_runs() -> None:
    path = "amigocloud/export/test_keyset.py"
    tests = [item(path, "test_slow", marks=("slow",)), item(path, "test_many[0]"), item(path, "test_many[1]")]
    tests += [item(path, "test_other"), item(path, "test_dag", fixtures=("airflow_db",))]
    assert left_out(tests) == [SLOW, "", THROUGH, THROUGH, ""]


def test_all_cases_run_in_a_module_about_all_services_that_imports_airflow() -> None:
    direct = [item("test_trigger_serialisation.py", f"test_each[{number}]") for number in range(3)]
    assert left_out(direct) == ["", "", ""]


def test_a_test_that_runs_a_dag_may_depend_on_versions_whatever_its_module_imports() -> None:
    dags = [item("sandbox/test_iotstudio.py", f"test_{n}", fixtures=("airflow_db",)) for n in range(3)]
    assert left_out(dags) == ["", "", ""]
    assert "_forget_masked_secrets" not in version_pairs.airflow_fixtures()
