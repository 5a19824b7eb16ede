"""Tests that ``make check`` chooses for changed files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dev import changed
from dev.changed import ALWAYS, ROOT, UNIT, find_tests

pytestmark = pytest.mark.slow


def test_a_module_is_tested_by_what_imports_it_and_by_the_test_of_its_name() -> None:
    found = find_tests([ROOT / "airflow_provider/core/files/atomic.py"])
    assert UNIT / "core/files/test_atomic.py" in found
    importing = [path for path in found if "airflow_provider.core.files.atomic" in changed.imports(path)]
    assert importing
    assert set(found) <= {*ALWAYS, *importing, UNIT / "core/files/test_atomic.py"}


def test_a_test_that_has_changed_is_run_and_so_is_what_imports_changed_support() -> None:
    test, support = UNIT / "test_retries.py", ROOT / "tests/support/tcp_proxy.py"
    found = find_tests([test, support])
    assert test in found
    importing = [path for path in found if "tests.support.tcp_proxy" in changed.imports(path)]
    assert set(found) == {*ALWAYS, test, *importing}
    assert importing


def test_a_page_is_tested_by_the_tests_of_all_files_only() -> None:
    assert find_tests([ROOT / "docs/index.md"]) == sorted(ALWAYS)
    assert all(path.exists() for path in ALWAYS)


def test_files_that_git_does_not_know_have_changed_and_so_have_those_of_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed, "ROOT", tmp_path)
    person = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    (tmp_path / "old.py").write_text("")
    for command in (
        ["init", "-q"],
        ["add", "."],
        [*person, "commit", "-qm", "old"],
        ["branch", "origin/main"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "committed.py").write_text("")
    for command in (["add", "."], [*person, "commit", "-qm", "new"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "old.py").write_text("# new")
    (tmp_path / "unknown.py").write_text("")
    names = {path.name for path in changed.changed_files()}
    assert names == {"old.py", "committed.py", "unknown.py"}
