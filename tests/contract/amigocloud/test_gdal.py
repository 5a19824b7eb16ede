"""GDAL's AmigoCloud driver, from the pyogrio wheel: it reads the sandbox's datasets completely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.server import Sandbox
from tests.contract import client_environments

OGR = {
    "string": "OFTString",
    "integer": "OFTInteger",
    "boolean": "OFTInteger",
    "float": "OFTReal",
    "date": "OFTDate",
    "datetime": "OFTDateTime",
}


@pytest.fixture(scope="module", params=["running_sandbox", "running_postgres_sandbox"])
def seen(request: pytest.FixtureRequest) -> Any:
    """Read both datasets with geometries through GDAL, from each engine."""
    running: Sandbox = request.getfixturevalue(request.param)
    running.reset()
    root, script = running.amigocloud.api_root, Path(__file__).with_name("gdal_reads.py")
    datasets = [seed.ASSETS, seed.ZONES]
    found = client_environments.run("gdal", script, root, seed.READ_TOKEN, seed.PROJECT, datasets)
    return {**found, "requests": running.counters.total("/sql")}


def rows(sandbox: Sandbox, number: int) -> list[dict[str, Any]]:
    return sandbox.amigocloud.store.select(f'SELECT * FROM "dataset_{number}"', -1, 0).rows


def test_layers_fields_and_the_coordinate_system_are_known(seen: Any) -> None:
    assert seen["layers"] == [str(seed.ASSETS), str(seed.ZONES)]
    assets = seen[str(seed.ASSETS)]
    fields = {c["name"]: OGR[c["type"]] for c in seed.ASSET_COLUMNS if c["type"] != "geometry"}
    assert assets["fields"] == fields
    assert (assets["geometry"], assets["crs"]) == ("wkb_geometry", "EPSG:4326")


def test_every_row_arrives_with_all_its_values(sandbox: Sandbox, seen: Any) -> None:
    assets, wanted = seen[str(seed.ASSETS)], rows(sandbox, seed.ASSETS)
    assert assets["count"] == len(wanted) == seed.ASSET_COUNT
    assert seen["requests"] > seed.ASSET_COUNT / 100  # it asks for a hundred rows at a time
    for name in ("amigo_id", "number", "name", "floor", "maker", "power_w", "price", "in_service", "notes"):
        assert assets["columns"][name] == [row[name] for row in wanted], name
    for name in ("inspected_at", "updated_at"):  # the driver takes the offset into account
        moments = [row[name] and row[name].replace(" ", "T").replace("+00:00", ".000") for row in wanted]
        assert assets["columns"][name] == moments
    assert assets["columns"]["installed_on"] == [row["installed_on"] for row in wanted]


@pytest.mark.parametrize(
    ("number", "kind"), [(seed.ASSETS, "Point"), (seed.ZONES, "MultiPolygon")], ids=["points", "areas"]
)
def test_every_geometry_arrives_as_it_is_kept(sandbox: Sandbox, seen: Any, number: int, kind: str) -> None:
    wanted = [row["wkb_geometry"] for row in rows(sandbox, number)]
    found = seen[str(number)]["shapes"]
    assert [shape is None for shape in found] == [shape is None for shape in wanted]
    pairs = [(f, w) for f, w in zip(found, wanted, strict=True) if w]
    for ours, theirs in ((shapely.from_wkb(f), shapely.from_wkb(w)) for f, w in pairs):
        assert theirs.geom_type == kind
        assert ours.equals_exact(theirs, tolerance=0)
