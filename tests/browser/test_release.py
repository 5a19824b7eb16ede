"""The release: its version, its notes, its workflow, and the parts of its dry run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from dev import release
from dev.release import ROOT, ReleaseError, check_tag, section

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n- new\n\n## [0.2.0] - 2026-12-01\n\n- old\n\n## [0.1.0] - 2026-11-22\n"
)


@pytest.mark.parametrize(("version", "text"), [("0.2.0", "- old\n"), ("0.3.0.dev7", "- new\n")])
def test_the_notes_of_a_release_are_its_section_of_the_changelog(version: str, text: str) -> None:
    assert section(CHANGELOG, version) == text


@pytest.mark.parametrize("version", ["0.1.0", "0.9.0", "0x2x0"])
def test_a_release_without_a_section_or_an_entry_is_refused(version: str) -> None:
    changelog = CHANGELOG.replace("[Unreleased]", "[Future]")
    with pytest.raises(ReleaseError, match="CHANGELOG"):
        section(changelog, version)


@pytest.mark.parametrize("tag", ["v0.2.1", "0.2.0", "v0.2.0.dev1", ""])
def test_a_tag_of_another_version_is_refused(tag: str) -> None:
    with pytest.raises(ReleaseError, match="the tag is"):
        check_tag(tag, "0.2.0")
    check_tag("v0.2.0", "0.2.0")
    check_tag(None, "0.2.0")


def test_the_version_is_that_of_the_tag(tmp_path: Path) -> None:
    """A copy of what is built, with a tag of its own, becomes that version."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "airflow_provider").mkdir()
    shutil.copy(ROOT / "airflow_provider" / "__init__.py", tmp_path / "airflow_provider")
    person = {
        f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env = {**os.environ, **person}
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v7.8.9"]):
        subprocess.run(["git", *command], cwd=tmp_path, env=env, check=True)
    command = [str(release.BIN / "uv"), "build", "--quiet", "--wheel", "--out-dir", "dist", "."]
    subprocess.run(command, cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert release.version_of(wheel) == "7.8.9"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_of_a_workflow_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment)


def test_the_environment_lacks_the_grammar_that_each_start_of_airflow_would_compile() -> None:
    assert find_spec("rfc3987_syntax") is None


def test_no_workflow_has_a_weakness_that_zizmor_knows() -> None:
    release.check_workflows()


def test_only_the_job_that_publishes_may_publish_and_it_runs_no_code_of_the_repository() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert workflow["permissions"] == {}
    publish = workflow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "release"
    assert not [step for step in publish["steps"] if "checkout" in step.get("uses", "")]
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()


def test_the_release_runs_the_command_of_the_dry_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    commands = [step.get("run", "") for step in workflow["jobs"]["build"]["steps"]]
    assert any(command.startswith("make release-check ") and "TAG=" in command for command in commands)
    assert "\nrelease-check:" in (ROOT / "Makefile").read_text()


def test_what_is_built_is_as_the_index_wants_it(tmp_path: Path) -> None:
    wheel = release.build(tmp_path / "dist")
    built = [path.name for path in (tmp_path / "dist").iterdir() if path.name != ".gitignore"]
    assert wheel.name in built
    assert sorted(name.rsplit(".", 1)[1] for name in built) == ["gz", "whl"]
