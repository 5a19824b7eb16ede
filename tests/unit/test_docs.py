from __future__ import annotations

import re

import pytest

from dev.quotes import PAGES, ROOT, quoted


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_in_the_documentation_is_the_code_that_is_tested(page) -> None:
    assert page.read_text() == quoted(page.read_text()), "run: python -m dev.quotes"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_documentation_lead_somewhere(page) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_readme_names_the_modules_that_there_are() -> None:
    layout = (ROOT / "README.md").read_text().split("## How the code is laid out")[1].split("1. **")[0]
    named = set(re.findall(r"\b(\w+\.py)\b", layout))
    package = ROOT / "airflow_provider"
    assert named - {path.name for path in package.rglob("*.py")} == set()
    shared = {path.name for folder in (package, package / "core") for path in folder.glob("[!_]*.py")}
    assert shared - named == set()
    packages = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert packages - set(layout.split()) == set()
