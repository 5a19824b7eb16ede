"""Packaging: the content of the wheel, its metadata, and the provider's registration with Airflow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    own = ROOT / ".venv" / "bin" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    assert uv, "the wheel is built with uv, which `make test` installs"
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def text(wheel: zipfile.ZipFile, ending: str) -> str:
    (name,) = (name for name in wheel.namelist() if name.endswith(ending))
    return wheel.read(name).decode()


def test_the_wheel_has_types_and_licence(wheel: zipfile.ZipFile) -> None:
    assert "airflow_provider/py.typed" in wheel.namelist()
    assert "Apache License" in text(wheel, "/licenses/LICENSE")


def test_the_wheel_has_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = {
        str(path.relative_to(ROOT)) for path in (ROOT / "airflow_provider").rglob("*") if path.is_file()
    }
    expected = {name for name in package if "__pycache__" not in name}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_the_wheel_announces_the_provider_to_airflow(wheel: zipfile.ZipFile) -> None:
    announced = text(wheel, "/entry_points.txt")
    assert "[apache_airflow_provider]" in announced
    assert "airflow_provider.provider_info:get_provider_info" in announced
    assert "[airflow.plugins]" in announced
    assert "airflow_provider.ui.plugin:DigitalTwinPlugin" in announced


def test_the_wheel_states_versions_and_licence(wheel: zipfile.ZipFile) -> None:
    stated = text(wheel, "/METADATA")
    assert "Name: airflow-provider-digital-twin" in stated
    assert re.search(r"^Version: \d+\.\d+\.\d+", stated, re.MULTILINE)
    assert "License-Expression: Apache-2.0" in stated
    assert "Requires-Python: <3.14,>=3.11" in stated


def test_the_wheel_names_its_authors_and_where_to_find_the_project(wheel: zipfile.ZipFile) -> None:
    stated = text(wheel, "/METADATA")
    assert "\nAuthor: " in stated
    urls = dict(re.findall(r"^Project-URL: (\w+), (https://\S+)$", stated, re.MULTILINE))
    assert set(urls) == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert all(url.startswith(urls["Homepage"]) for url in urls.values())


def test_links_and_pictures_of_the_long_description_lead_to_the_project(wheel: zipfile.ZipFile) -> None:
    stated = text(wheel, "/METADATA")
    assert "Description-Content-Type: text/markdown" in stated
    targets = re.findall(r"\]\(([^)\s]+)\)", stated)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    pictures = re.findall(r"!\[[^\]]+\]\((\S+)\)", stated)
    assert pictures
    assert [url for url in pictures if "/raw/main/docs/assets/pictures/" not in url] == []


def test_the_project_file_holds_no_path_of_a_machine_and_no_index() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert re.findall(r"file:|/home/|/root/|/tmp/|/Users/|index-url|extra-index", project) == []


def provider_info() -> dict[str, Any]:
    (entry,) = (
        e for e in entry_points(group="apache_airflow_provider") if e.module.startswith("airflow_provider.")
    )
    info: dict[str, Any] = entry.load()()
    return info


def test_provider_info_is_what_airflow_accepts() -> None:
    import airflow

    schema = json.loads(Path(airflow.__file__).with_name("provider_info.schema.json").read_text())
    jsonschema.validate(provider_info(), schema)


def test_airflow_finds_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    assert "airflow-provider-digital-twin" in ProvidersManager().providers
