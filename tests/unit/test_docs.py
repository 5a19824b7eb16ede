from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.connection import COMMON_EXTRAS
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from dev.quotes import PAGES, ROOT, quoted

HOOKS = (MapsIndoorsHook, AmigoCloudHook, IoTStudioHook, LeanIXHook)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_in_the_documentation_is_the_code_that_is_tested(page) -> None:
    assert page.read_text() == quoted(page.read_text()), "run: python -m dev.quotes"


WRITTEN = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"(?<!-->\n)```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", WRITTEN)
def test_code_that_only_the_documentation_has_runs(code: str, sandbox: Any) -> None:
    exec(code, {hook.__name__: hook for hook in HOOKS})


def test_the_readme_names_every_field_of_every_connection_with_its_default() -> None:
    section = (ROOT / "README.md").read_text().split("## Connections")[1].split("\n## ")[0]
    for hook in HOOKS:
        (row,) = re.findall(rf"^\| `{hook.conn_type}` \|.*$", section, re.MULTILINE)
        assert {name for name in hook.spec.extras if f"`{name}`" not in row} == set()
        assert hook.spec.default_host in row
        assert f"`{hook.default_conn_name}`" in section
        assert {name for name in COMMON_EXTRAS if f"`{name}`" not in section} == set()


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_documentation_exist(page) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    assert set(re.findall(r"(?:`|    )make ([a-z-]+)", text)) - known == set()
    assert [name for name in re.findall(r"python -m ([\w.]+)", text) if find_spec(name) is None] == []
