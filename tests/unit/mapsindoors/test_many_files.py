"""Many files are a source of sync, update, create and delete, over TCP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsCreateGeodataOperator,
    MapsIndoorsDeleteGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.mapsindoors.plan.document import Plan
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id, desk, sync, writes


def parts(folder: Path, *rows: dict[str, Any]) -> str:
    """Write a part for each row, and return the folder's path."""
    folder.mkdir(exist_ok=True)
    for number, row in enumerate(rows, 1):
        (folder / f"part-{number}.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "_SUCCESS").touch()
    return f"{folder}/"


def test_a_folder_is_synced(service: MapsIndoorsService, tmp_path: Path) -> None:
    source = parts(tmp_path, *(desk(f"D{number}") for number in range(12)))
    assert sync(source, complete="_SUCCESS")["create"] == 12
    assert {f"D{number}" for number in range(12)} <= by_external_id(service).keys()
    assert sync(f"{tmp_path}/part-*.jsonl")["unchanged"] == 12


def test_partitions_are_fields_of_places(service: MapsIndoorsService, tmp_path: Path) -> None:
    row = desk("D1")
    parent = row.pop("parentExternalId")
    source = parts(tmp_path / "rows", row)
    folder = tmp_path / "rows" / f"parentExternalId={parent}"
    folder.mkdir()
    (tmp_path / "rows" / "part-1.jsonl").rename(folder / "part-1.jsonl")
    assert sync(source, hive=True)["create"] == 1
    assert "D1" in by_external_id(service)


def test_problems_name_the_file_and_the_row(
    service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    source = parts(tmp_path, desk("D1"), desk("D2", status="much"), desk("D1"))
    with pytest.raises(InputError) as caught:
        sync(source)
    assert "row part-2.jsonl:1 (D2): status" in str(caught.value)
    (tmp_path / "part-2.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        sync(source)
    assert "row part-3.jsonl:1 (D1): is about the same object as row part-1.jsonl:1" in str(caught.value)
    assert writes(sandbox) == 0


def test_rows_that_are_left_out_have_their_file_in_the_plan(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    source = parts(tmp_path / "in", desk("D1"), desk("D2", status="much"))
    path = tmp_path / "plan.json"
    result = sync(source, on_row_error="skip", mode="plan", plan_output=str(path))
    assert (result["create"], result["failed"]) == (1, 1)
    plan = Plan.from_json(path.read_bytes(), "plan")
    assert (plan.changes[0].row, plan.failed[0]["row"]) == ("part-1.jsonl:1", "part-2.jsonl:1")
    failed = json.loads(Path(f"{path}.failed.jsonl").read_text())
    assert failed["row"] == "part-2.jsonl:1"
    assert "part-1.jsonl:1" in Path(f"{path}".replace(".json", ".html")).read_text()
    assert sync(None, plan=str(path))["create"] == 1
    assert "D1" in by_external_id(service)


def test_create_update_and_delete_take_many_files(service: MapsIndoorsService, tmp_path: Path) -> None:
    source = parts(tmp_path / "new", desk("D1"), desk("D2"))
    made = MapsIndoorsCreateGeodataOperator(task_id="t", geodata=source).execute({})
    assert made == {"created": 2, "existing": 0}
    ids = [by_external_id(service)[code]["id"] for code in ("D1", "D2")]
    changed = parts(tmp_path / "changed", *({"id": one, "aliases": ["x"]} for one in ids))
    update = MapsIndoorsUpdateGeodataOperator(task_id="t", geodata=f"{changed}part-?.jsonl")
    assert update.execute({}) == {"updated": 2}
    assert by_external_id(service)["D2"]["aliases"] == ["x"]
    gone = parts(tmp_path / "gone", *({"id": one} for one in ids))
    delete = MapsIndoorsDeleteGeodataOperator(task_id="t", ids=gone)
    assert delete.execute({}) == {"deleted": 2, "gone": 0}
    assert "D1" not in by_external_id(service)


@pytest.mark.parametrize("missing", ["delete", "deactivate"])
def test_no_match_is_an_error_and_never_an_empty_source(
    service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path, missing: str
) -> None:
    for source in (f"{tmp_path}/", f"{tmp_path}/part-*.csv", f"{tmp_path}/none/part-?.csv"):
        with pytest.raises(InputError, match="no file"):
            sync(source, missing=missing, max_deletes=10_000)
    assert writes(sandbox) == 0
    assert seed.TUTORIAL_POI in service.campus.geodata


def test_a_folder_that_is_not_complete_sends_nothing(
    service: MapsIndoorsService, sandbox: Sandbox, tmp_path: Path
) -> None:
    source = parts(tmp_path, desk("D1"))
    (tmp_path / "_SUCCESS").unlink()
    with pytest.raises(InputError, match="_SUCCESS"):
        sync(source, complete="_SUCCESS")
    assert writes(sandbox) == 0


def test_an_export_in_parts_is_synced_by_its_manifest(service: MapsIndoorsService, tmp_path: Path) -> None:
    from airflow_provider.amigocloud.operators import AmigoCloudExportOperator, AmigoCloudPlanExportOperator
    from airflow_provider.sandbox.amigocloud import seed as tables
    from airflow_provider.warehouse.operators import CommitManifestOperator

    path = f"{tmp_path}/assets.parquet"
    plan = AmigoCloudPlanExportOperator(task_id="p", dataset=tables.ASSETS, parts=3).execute({})
    results = [
        AmigoCloudExportOperator(task_id="e", output_path=path, part=part).execute({}) for part in plan
    ]
    manifest = f"{tmp_path}/_manifest.json"
    CommitManifestOperator(task_id="c", parts=results, output_path=manifest).execute({})
    named = AmigoCloudExportOperator(task_id="e", output_path=f"{tmp_path}/all.jsonl", dataset=tables.ASSETS)
    columns = named.execute({})["columns"]
    result = sync(
        manifest,
        mode="plan",
        plan_output=f"{tmp_path}/plan.json",
        columns={"amigo_id": "externalId"},
        ignore=[name for name in columns if name not in ("amigo_id", "name", "wkb_geometry")],
        defaults={"baseType": "poi", "displayType": "Workspace", "parentExternalId": "A-0"},
        on_row_error="skip",
    )
    # Rows without a place cannot be places of the map.
    assert (result["create"], result["failed"]) == (2971, 29)
