"""The documentation's site: its pages, its navigation, and the reference made of docstrings."""

from __future__ import annotations

import inspect
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider.provider_info import get_provider_info
from airflow_provider.warehouse import operators as warehouse_operators
from dev import site
from dev.reference import arguments, complete, fields, plain
from dev.site import ROOT, hook_methods, public_members, reference, relinked

INFO = get_provider_info()
MODULES = sorted(
    {
        module
        for kind in ("operators", "sensors", "hooks", "triggers")
        for entry in INFO[kind]
        for module in entry["python-modules"]
    }
)
CLASSES = [
    getattr(import_module(path.rsplit(".", 1)[0]), path.rsplit(".", 1)[1])
    for module in MODULES
    for path in public_members(module)
]


def in_navigation(entries: Any) -> list[str]:
    """Return the pages of a part of the navigation."""
    if isinstance(entries, str):
        return [entries]
    values = entries.values() if isinstance(entries, dict) else entries
    return [page for entry in values for page in in_navigation(entry)]


def test_every_page_is_in_the_navigation() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text())
    named = in_navigation(config["project"]["nav"])
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").glob("*.md")]
    assert {*pages, *reference(), *site.ROOT_PAGES.values()} - set(named) == set()
    assert len(named) == len(set(named))


def test_the_reference_has_a_page_for_every_module_of_the_provider_info() -> None:
    text = "\n".join(reference().values())
    assert [module for module in MODULES if f"Imported from `{module}`" not in text] == []


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_reference_has_each_argument_with_its_meaning(cls: type) -> None:
    text = complete(inspect.getdoc(cls) or "", cls)
    described = {field.split(" ")[1].rstrip(":") for field in fields(text)[1] if field.startswith("param ")}
    assert described == set(arguments(cls))


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if issubclass(cls, BaseOperator)], ids=lambda cls: cls.__name__
)
def test_the_reference_marks_templated_arguments(cls: Any) -> None:
    found = [field for field in fields(complete(inspect.getdoc(cls) or "", cls))[1] if "param " in field]
    marked = {field.split(" ")[1].rstrip(":") for field in found if field.endswith("*Templated.*")}
    assert marked == set(cls.template_fields) & set(arguments(cls))
    assert not [field for field in found if "(templated)" in field]


def test_a_reference_in_a_docstring_becomes_code() -> None:
    assert plain(":meth:`~a.b.Hook.send` of :class:`Hook`") == "`send()` of `Hook`"


def test_methods_for_callers_are_in_the_reference_and_those_for_the_base_are_not() -> None:
    from airflow_provider.leanix.hooks import LeanIXHook

    methods = hook_methods(LeanIXHook)
    assert {"create_run", "test_connection", "iter_run_warnings"} <= set(methods)
    assert not {"credential", "probe", "budget"} & set(methods)


def test_operators_of_the_warehouse_are_in_the_reference() -> None:
    page = reference()["reference/warehouse/operators.md"]
    names = [
        name
        for name, cls in vars(warehouse_operators).items()
        if name.endswith("Operator") and name[0] != "_" and ".warehouse." in cls.__module__
    ]
    assert "SqlLoadOperator" in names
    assert [name for name in names if f".{name}\n" not in page] == []


@pytest.mark.parametrize(
    ("source", "page", "link", "there"),
    [
        ("docs/leanix.md", "leanix.md", "connections.md#test", "connections.md#test"),
        ("docs/index.md", "index.md", "../README.md", "readme.md"),
        ("docs/adr/index.md", "adr/index.md", "../faults.md", "../faults.md"),
        ("README.md", "readme.md", "docs/leanix.md", "leanix.md"),
        ("README.md", "readme.md", "example_dags", f"{site.REPOSITORY}/tree/main/example_dags"),
        ("README.md", "readme.md", "LICENSE", f"{site.REPOSITORY}/blob/main/LICENSE"),
        ("README.md", "readme.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("README.md", "readme.md", "#here", "#here"),
    ],
)
def test_links_lead_to_pages_of_the_site_or_to_the_repository(
    source: str, page: str, link: str, there: str
) -> None:
    assert relinked(f"see [it]({link}).", source, page) == f"see [it]({there})."
    assert relinked(f"`[it]({link})`", source, page) == f"`[it]({link})`"


def test_the_site_is_written_into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "old.md").touch()
    site.write(tmp_path / "pages")
    written = {str(path.relative_to(tmp_path / "pages")) for path in (tmp_path / "pages").rglob("*.md")}
    assert written >= {"index.md", "adr/index.md", "changelog.md", "reference/leanix/operators.md"}
    assert "old.md" not in written
    assert (tmp_path / "pages" / "assets" / "mermaid.js").stat().st_size > 1_000_000


def test_a_link_to_a_page_that_is_not_there_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "small"\nstrict = true\n')
    page = tmp_path / "docs" / "index.md"
    page.write_text("see [it](missing.md)")
    with pytest.raises(site.SiteError, match="page does not exist"):
        site.generate(tmp_path, tmp_path / "docs", tmp_path / "site")
    page.write_text("see [it](index.md)")
    site.generate(tmp_path, tmp_path / "docs", tmp_path / "site")


def test_a_site_that_lacks_a_file_is_not_finished(tmp_path: Path) -> None:
    pages, built = tmp_path / "pages", tmp_path / "site"
    for folder in (pages, built):
        folder.mkdir()
    (pages / "index.md").touch()
    (pages / "picture.webp").touch()
    (built / "index.html").touch()
    lacking = site.left_out(pages, built)
    assert {"picture.webp", "assets/images/favicon.png"} <= set(lacking)
    assert "index.html" not in lacking
