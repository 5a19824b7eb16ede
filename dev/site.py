"""Pages of the documentation's site, in build/docs: those of the repository, and a reference of the code.

``make docs`` runs ``python -m dev.site``, which also builds the site from these pages.
"""

from __future__ import annotations

import inspect
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PROJECT = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
PAGES: Path = ROOT / _PROJECT["docs_dir"]
SITE: Path = ROOT / _PROJECT["site_dir"]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Homepage"]
ROOT_PAGES = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
}
"""Pages in the repository's root, by their names on the site."""

SYSTEMS = {
    "mapsindoors": ("MapsIndoors", "MapsIndoors"),
    "amigocloud": ("AmigoCloud", "AmigoCloud"),
    "iotstudio": ("Altair IoT Studio", "IoTStudio"),
    "leanix": ("LeanIX", "LeanIX"),
    "warehouse": ("The warehouse", ("SqlLoad", "CommitManifest")),
}
"""Title of each system, and the beginning of its classes' names."""

KINDS = {"operators": "Operator", "sensors": "Sensor", "triggers": "Trigger", "hooks": "Hook"}
OTHERS = {"errors": "Error", "retries": "ServiceRetryPolicy", "assets": "_asset", "sandbox": "Sandbox"}
"""Modules that users import, with the ending of the names in them that are for users."""

_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_FOR_THE_BASE = {
    "aload",
    "bases",
    "budget",
    "credential",
    "diagnose",
    "diagnose_address",
    "need_project",
    "pages",
    "probe",
    "read_error",
    "shared_budget",
    "shared_token_budget",
    "shares_tokens",
    "token_budget",
}
"""Methods that connect a hook with its base, and are not for callers."""


def public_members(module: str) -> list[str]:
    """Return the paths of what users import from a module, by name; bases of it are left out."""
    _, *system, kind = module.split(".")
    found = import_module(module)
    names = sorted({*vars(found), *getattr(found, "__all__", ())})
    ending = {**KINDS, **OTHERS}[kind]
    beginning = SYSTEMS[system[0]][1] if system else ""
    members = [getattr(found, name) for name in names if name.endswith(ending) and name.startswith(beginning)]
    public = [member for member in members if not member.__name__.startswith("_")]
    described = [member for member in public if not member.__doc__.startswith("Base ")]
    return [f"{member.__module__}.{member.__qualname__}" for member in described]


def hook_methods(hook: type) -> list[str]:
    """Return the names of a hook's methods that users call."""
    own = [base for base in hook.__mro__ if base.__module__.startswith("airflow_provider.")]
    names = {
        name
        for base in own
        for name, value in vars(base).items()
        if inspect.isfunction(value) and not name.startswith("_") and name not in _FOR_THE_BASE
    }
    return sorted(names)


def reference() -> dict[str, str]:
    """Return the pages of the reference: their Markdown by their path on the site."""
    pages = {}
    for system, (title, _) in SYSTEMS.items():
        for kind in KINDS:
            module = f"airflow_provider.{system}.{kind}"
            if (ROOT / (module.replace(".", "/") + ".py")).exists():
                pages[f"reference/{system}/{kind}.md"] = _page(f"{title}: {kind}", module)
    for name in OTHERS:
        pages[f"reference/{name}.md"] = _page(name.capitalize(), f"airflow_provider.{name}")
    return pages


def _page(title: str, module: str) -> str:
    found = import_module(module)
    blocks = [_block(path) for path in public_members(module)]
    first = (found.__doc__ or "").split("\n")[0]
    return "\n\n".join([f"# {title}", first, f"Imported from `{module}`.", *blocks]) + "\n"


def _block(path: str) -> str:
    module, name = path.rsplit(".", 1)
    found = getattr(import_module(module), name)
    if not name.endswith("Hook"):
        return f"::: {path}\n    options:\n      members: false"
    methods = hook_methods(found)
    return f"::: {path}\n    options:\n      inherited_members: {methods}\n      members: {methods}"


def relinked(markdown: str, source: str, page: str) -> str:
    """Return a page whose links lead to the site's pages, and those to code to the repository.

    :param source: the page's path in the repository.
    :param page: its path on the site.
    """

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match.group(1)))
        anchor = match.group(2) or ""
        if site := ROOT_PAGES.get(target) or (target[5:] if target.startswith("docs/") else ""):
            return f"]({posixpath.relpath(site, posixpath.dirname(page) or '.')}{anchor})"
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{target}{anchor})"

    parts = _CODE.split(markdown)
    parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
    return "".join(parts)


def write(folder: Path) -> None:
    """Write all pages, and the script that draws diagrams, into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    sources = {
        f"docs/{path.relative_to(folder)}": str(path.relative_to(folder)) for path in folder.rglob("*.md")
    }
    for source, page in {**sources, **ROOT_PAGES}.items():
        (folder / page).write_text(relinked((ROOT / source).read_text(), source, page))
    for page, text in reference().items():
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        (folder / page).write_text(text)
    (folder / "assets").mkdir(exist_ok=True)
    spec = find_spec("mermaidx")  # Importing it would start its own engine.
    assert spec
    assert spec.origin
    shutil.copy(Path(spec.origin).with_name("assets") / "mermaid.js", folder / "assets")


class SiteError(RuntimeError):
    """The site cannot be built; the message says why."""


def build() -> Path:
    """Write the pages, and build the site from them, strictly; return its folder.

    :raises SiteError: when that fails.
    """
    write(PAGES)
    generate(ROOT, PAGES, SITE)
    return SITE


def generate(folder: Path, pages: Path, site: Path) -> None:
    """Build a site, strictly.

    :param folder: folder of the configuration.
    :param pages: folder of its pages.
    :param site: folder of the site.
    :raises SiteError: for a dead link, and when the site lacks a file.
    """
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(done.stdout + done.stderr)
    if missing := left_out(pages, site):
        raise SiteError(f"The site lacks {missing}")


def left_out(pages: Path, site: Path) -> list[str]:
    """Return the files that a site lacks: of its pages, and of the theme.

    :param pages: folder of the pages.
    :param site: folder of the site.
    """
    spec = find_spec("zensical")
    assert spec
    assert spec.origin
    theme = Path(spec.origin).with_name("templates")
    wanted = [path.relative_to(theme) for path in (theme / "assets").rglob("*")]
    wanted += [path.relative_to(pages) for path in pages.rglob("*")]
    names = [name.with_suffix(".html") if name.suffix == ".md" else name for name in wanted]
    return [str(name) for name in names if not (site / name).exists()]


if __name__ == "__main__":
    try:
        print(f"The site is in {build().relative_to(ROOT)}")
    except SiteError as error:
        sys.exit(str(error))
