"""Read datasets with GDAL's AmigoCloud driver, in an environment that has pyogrio.

``gdal_reads.py "<api root>" "<token>" <project> <datasets>``, each as JSON; prints the layers as one JSON
object, times as text and geometries as hex WKB.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy
import pyogrio
from pyogrio import raw

warnings.simplefilter("ignore")  # about several layers, which are read on purpose


def main(root: str, token: str, project: int, datasets: list[int]) -> dict[str, Any]:
    pyogrio.set_gdal_config_options({"AMIGOCLOUD_API_URL": root, "AMIGOCLOUD_API_KEY": token})
    source = f"AMIGOCLOUD:{project} datasets={','.join(map(str, datasets))}"
    layers = [name for name, _ in pyogrio.list_layers(source).tolist()]
    return {"layers": layers, **{name: layer(source, name) for name in layers}}


def layer(source: str, name: str) -> dict[str, Any]:
    about = pyogrio.read_info(source, layer=name, force_feature_count=True)
    _, _, shapes, values = raw.read(source, layer=name)
    names = about["fields"].tolist()
    return {
        "fields": dict(zip(names, about["ogr_types"], strict=True)),
        "geometry": about["geometry_name"],
        "crs": about["crs"],
        "count": about["features"],
        "shapes": [None if shape is None else shape.hex() for shape in shapes],
        "columns": {field: plain(column) for field, column in zip(names, values, strict=True)},
    }


def plain(column: Any) -> list[Any]:
    """Return the values of a column as JSON values; nulls are NaN and NaT in numeric and time columns."""
    if column.dtype.kind == "M":
        return [None if numpy.isnat(value) else str(value) for value in column]
    if column.dtype.kind == "f":
        return [None if numpy.isnan(value) else value for value in column.tolist()]
    return list(column.tolist())


if __name__ == "__main__":
    print(json.dumps(main(*map(json.loads, sys.argv[1:]))))
