"""Tools that search the project for weaknesses run in its pipeline."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def test_bandit_and_zizmor_are_part_of_all_tests_and_pip_audit_of_ci() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (needed,) = re.findall(r"^test:\n(?:\t.*\n)*\t.* IN_ORDER=1 (.*)$", makefile, re.MULTILINE)
    recipe = makefile.partition("\naudit: $(FULL)")[2].partition("\n\n")[0]
    assert "audit" in needed.split()
    assert "/bandit --quiet --configfile pyproject.toml --recursive airflow_provider dev" in recipe
    assert "/zizmor --offline --quiet .github/workflows" in recipe
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert re.search(r"pip-audit==[\d.]+ --requirement constraints.txt", workflow)
    assert "make test" in workflow


def test_what_bandit_skips_ruff_checks_line_by_line() -> None:
    ruff, skipped = SETTINGS["ruff"]["lint"], SETTINGS["bandit"]["skips"]
    assert "S" in ruff["select"]
    assert not [rule for rule in ruff["ignore"] if rule.startswith("S")]
    assert all(re.fullmatch(r"B\d{3}", one) for one in skipped)
    everywhere = ruff["per-file-ignores"]
    assert not [rule for rule in everywhere.get("airflow_provider/**", []) if rule.startswith("S")]
