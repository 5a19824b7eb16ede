"""The documentation: its code runs, its links resolve, and it names what there is."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.connection import COMMON_EXTRAS
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from dev import pictures
from dev.quotes import PAGES, ROOT, quoted
from tests.unit.test_language import found_in

pytestmark = pytest.mark.slow  # pages do not depend on versions

HOOKS = (MapsIndoorsHook, AmigoCloudHook, IoTStudioHook, LeanIXHook)
ROOT_PAGES = sorted(ROOT.glob("*.md"))
ALL_PAGES = sorted({*ROOT_PAGES, *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")})
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "airflow_provider"
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
TARGETS = {
    name
    for line in re.findall(r"^([a-z-]+(?: [a-z-]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in line.split()
}

every_page = pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_in_the_documentation_is_the_code_that_is_tested(page: Path) -> None:
    assert page.read_text() == quoted(page.read_text()), "run: python -m dev.quotes"


@every_page
def test_no_page_has_the_marks_of_a_merge(page: Path) -> None:
    assert not re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", page.read_text(), re.MULTILINE)


WRITTEN = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"(?<!-->\n)```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", WRITTEN)
def test_code_that_only_the_documentation_has_runs(code: str, sandbox: Any) -> None:
    exec(code, {hook.__name__: hook for hook in HOOKS})


@pytest.mark.parametrize("dag", sorted((ROOT / "example_dags").glob("*.py")), ids=lambda path: path.stem)
def test_each_example_dag_is_quoted_on_a_page(dag: Path) -> None:
    quote = f"<!-- quote: {dag.relative_to(ROOT)} -->"
    assert [page.name for page in PAGES if quote in page.read_text()]


def section(page: Path, heading: str) -> str:
    """Return the part of a page below a heading of the second level."""
    return page.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_screen() -> str:
    """Return the part of the README above its first heading of the second level."""
    return README.read_text().split("\n## ")[0]


@pytest.mark.parametrize(
    "part",
    [
        r"\n\nAn Apache Airflow provider [^.]+\.\n",
        r"```sh\npip install airflow-provider-digital-twin\n```",
        r"export AIRFLOW_CONN_\w+_DEFAULT='\{",
        r"<!-- quote: example_dags/\w+\.py -->\n```python\n.*?DAG\(.*?```",
        r"```sh\nmake demo\n```",
        r"```sh\nmake test\n```",
        r"\]\(docs/index\.md\)",
        r"\]\(docs/connections\.md\)",
        r"\]\(CONTRIBUTING\.md\)",
    ],
)
def test_the_first_screen_of_the_readme_has(part: str) -> None:
    assert re.search(part, first_screen(), re.DOTALL)


def test_the_first_screen_of_the_readme_makes_three_promises_and_is_short() -> None:
    assert len(re.findall(r"^- \*\*", first_screen(), re.MULTILINE)) == 3
    assert len(first_screen().splitlines()) <= 65


def test_the_connection_of_the_first_screen_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    (name, text) = re.findall(r"export (AIRFLOW_CONN_\w+)='(.*?)'", first_screen(), re.DOTALL)[0]
    monkeypatch.setenv(name, text)
    assert AmigoCloudHook().settings.extras["project_url"] == "users/123/projects/1234"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is this official?", "independent"),
        ("Do I need all four systems?", "No"),
        ("Which versions?", "3.1"),
        ("Which versions?", "3.13"),
        ("Why is the import package called `airflow_provider`?", "`airflow_provider"),
    ],
)
def test_the_readme_answers(question: str, answer: str) -> None:
    given = section(README, "Questions").split(f"**{question}**")[1].split("\n**")[0]
    assert answer in given


def test_the_page_of_connections_names_every_field_of_each_with_its_default() -> None:
    page = (ROOT / "docs" / "connections.md").read_text()
    for hook in HOOKS:
        (row,) = re.findall(rf"^\| `{hook.conn_type}` \|.*$", page, re.MULTILINE)
        assert {name for name in hook.spec.extras if f"`{name}`" not in row} == set()
        assert hook.spec.default_host in row
        assert f"`{hook.default_conn_name}`" in page
    for name, extra in COMMON_EXTRAS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert f"| {as_written(extra.default)} |" in row


def as_written(value: Any) -> str:
    """Return a default as the page of connections writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value or "none")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub builds them."""
    headings = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_between_pages_resolve(page: Path) -> None:
    prose = CODE_BLOCK.sub("", page.read_text())
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_pages_show_each_picture_that_there_is_and_no_other() -> None:
    there = {path.name for path in pictures.FOLDER.iterdir()}
    assert pictures.named_by_pages() == there


@every_page
def test_every_picture_has_a_description(page: Path) -> None:
    text = CODE_BLOCK.sub("", page.read_text())
    described = re.findall(r"!\[([^\]]{20,})\]\(|<img [^>]*alt=\"([^\"]{20,})\"", text)
    assert len(described) == len(re.findall(r"!\[|<img ", text))


def test_every_page_is_linked_from_an_index() -> None:
    indexes = [ROOT / "docs" / "index.md", ROOT / "docs" / "adr" / "index.md"]
    linked = {
        (index.parent / target).resolve()
        for index in indexes
        for target in re.findall(r"\]\(([^)#\s:]+)", index.read_text())
    }
    assert set((ROOT / "docs").rglob("*.md")) - linked - {indexes[0]} == set()


def layout() -> list[str]:
    """Return the paths that the layout of the architecture page names, folders with a slash at the end."""
    (tree,) = re.findall(r"```text\n(airflow_provider/.*?)```", ARCHITECTURE.read_text(), re.DOTALL)
    paths: list[str] = []
    above: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], line.split()[0]]
        paths.append("".join(above))
    return paths


def test_the_layout_of_the_architecture_page_names_what_there_is() -> None:
    assert [path for path in layout() if not (ROOT / path).exists()] == []
    folders = {path.parent.relative_to(ROOT) for path in PACKAGE.rglob("__init__.py")}
    inside_a_service = {path for path in folders if "sandbox" in path.parts and len(path.parts) > 3}
    assert {f"{path}/" for path in folders - inside_a_service} - set(layout()) == set()
    core = {str(path.relative_to(ROOT)) for path in (PACKAGE / "core").rglob("[!_]*.py")}
    shared = {str(path.relative_to(ROOT)) for path in PACKAGE.glob("[!_]*.py")}
    assert (core | shared) - set(layout()) == set()


def test_the_layout_names_all_modules_beside_the_folders_of_a_vendor() -> None:
    tree = ARCHITECTURE.read_text().split("```text\n")[1].split("```")[0]
    for hook in HOOKS:
        (line,) = re.findall(rf"^  {hook.conn_type}/ +(.*)$", tree, re.MULTILINE)
        modules = {path.stem for path in (PACKAGE / hook.conn_type).glob("[!_]*.py")}
        parts = {"api_datasets", "api_admin", "hooks_base", "hooks_admin"}  # of api and of hooks
        assert modules - parts == set(line.split())


@every_page
def test_modules_and_tests_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:airflow_provider|core|tests|dev|docs|[a-z]+)/[\w/.]*?\w\.(?:py|md))`", page.read_text()
    )
    roots = (ROOT, PACKAGE, PACKAGE / "amigocloud")
    missing = {name for name in named if not any((root / name).exists() for root in roots)}
    assert missing == set()


@every_page
def test_commands_of_the_documentation_exist(page: Path) -> None:
    text = page.read_text()
    blocks = "\n".join(CODE_BLOCK.findall(text))
    named = re.findall(r"`make ([a-z -]+)", text) + re.findall(r"^make ([a-z -]+)", blocks, re.MULTILINE)
    assert {name for line in named for name in line.split()} - TARGETS == set()
    assert [name for name in re.findall(r"python -m ([\w.]+)", text) if find_spec(name) is None] == []


def messages() -> str:
    """Return the constant parts of all strings of the package, one a line."""
    constants = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return "\n".join(constants)


QUOTED_MESSAGES = [
    f"{page.stem}: {piece.strip()}"
    for page in PAGES
    for table in re.findall(r"^\| The task says .*?(?=\n\n)", page.read_text(), re.DOTALL | re.MULTILINE)
    for row in table.splitlines()[2:]
    for message in re.findall(r"`([^`]+)`", row.split("|")[1])
    for piece in re.split(r"…|'\w+'|row \d+|\(KEY\)|\b\d+\b|\b[A-Z]{4,}\b", message)
    if len(piece.strip()) > 5
]


def test_messages_that_the_pages_quote_are_in_the_code() -> None:
    text = messages()
    assert QUOTED_MESSAGES
    assert [quoted for quoted in QUOTED_MESSAGES if quoted.partition(": ")[2] not in text] == []


@pytest.mark.parametrize("page", ROOT_PAGES, ids=lambda page: page.name)
def test_pages_of_the_project_use_the_words_of_the_field(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    assert found_in(text) == []


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\](.*)$", text, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert versions[1:]
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for _, date in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds
    assert [name for name, _ in versions if f"\n[{name}]: https://" not in text] == []


YAML_FILES = [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"]


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_settings_of_the_repository_are_yaml(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def workflow() -> Any:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_the_ci_workflow_runs_make_test_with_all_supported_interpreters() -> None:
    job = workflow()["jobs"]["test"]
    assert [step["run"].split()[:2] for step in job["steps"] if "run" in step] == [["make", "test"]]
    (versions,) = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in str(step)]
    assert sorted(versions.split()) == ["3.11", "3.12", "3.13"]
    # Python 3.11 is that of the oldest pair.
    assert job["strategy"]["matrix"]["python"] == ["3.12", "3.13"]
    assert "PYTHON=python${{ matrix.python }}" in job["steps"][-1]["run"]
    assert job["env"]["CI"] == "true"


def test_actions_of_the_ci_workflow_are_pinned_to_commits() -> None:
    used = [step["uses"] for job in workflow()["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []


def test_the_pre_commit_hooks_run_the_commands_of_make_lint_and_types() -> None:
    rules = (ROOT / "Makefile").read_text()
    recipes = re.findall(r"^(?:lint|types): .*\n((?:\t.*\n)+)", rules, re.MULTILINE)
    commands = [
        line.strip().replace("$(BIN)", ".venv/bin") for recipe in recipes for line in recipe.splitlines()
    ]
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repository in settings["repos"] for hook in repository["hooks"]]
    assert sorted(hooks) == sorted(commands)
