"""Findings: what the systems contain in the end, in the form of the model's prediction."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.soak.model import Model
from tests.soak.outsider import METERS, Outsider, plain_time
from tests.soak.samples import names_below
from tests.soak.warehouse import copies, watched_events
from tests.support.postgres import Database

CHANGING = ("set points", "temperature", "power")


def untouched(outsider: Outsider) -> dict[str, dict[str, Any]]:
    """Return the documents without changes, by system and key."""
    objects = outsider.map_objects()
    values = {
        uid: {name: value for name, value in status.items() if name not in {"setpoint", "temperature"}}
        for uid, status in outsider.things("Sensors").items()
    }
    return {
        "MapsIndoors": {item["id"]: item for item in objects if not _is_desk(item)},
        "AmigoCloud": outsider.other_datasets(),
        "IoT Studio": values,
        "LeanIX": outsider.fact_sheets("Application"),
    }


def _is_desk(item: Mapping[str, Any]) -> bool:
    return item["baseType"] == "poi" and bool(item.get("externalId"))


def set_points(outsider: Outsider) -> dict[str, float]:
    """Return the set points by Thing."""
    return {uid: status["setpoint"] for uid, status in outsider.things("Sensors").items()}


def devices(outsider: Outsider, count: int) -> list[str]:
    """Return the Things that get set points."""
    return sorted(outsider.things("Sensors"))[:count]


def meters(outsider: Outsider) -> list[str]:
    """Return the Things that record values."""
    return sorted(outsider.things("Meters"))[:METERS]


def found(outsider: Outsider, model: Model, warehouse: Database, metadata: Database, output: Path) -> Any:
    """Return the content of every system by key, as :meth:`Model.predicted` does."""
    things = model.nights[-1].set_points
    current = set_points(outsider)
    content: dict[str, dict[Hashable, Any]] = {
        "MapsIndoors": _desks(outsider.map_objects()),
        "AmigoCloud": dict(outsider.assets()),
        "IoT Studio": {uid: current[uid] for uid in things},
        "IoT Studio, history of set points": _written(outsider, things),
        "LeanIX": {key: data["name"] for key, data in outsider.fact_sheets("ITComponent").items()},
        "watchers": dict(identities(watched_events(metadata))),
        "exported history": dict(_exported(output)),
        **copies(warehouse),
    }
    for folder in sorted(path for path in output.iterdir() if path.is_dir()):
        content[f"files of night {int(folder.name.removeprefix('night_'))}"] = _files(folder)
    return {**content, **{f"{system}, untouched": dict(rows) for system, rows in untouched(outsider).items()}}


def _desks(objects: Iterable[Mapping[str, Any]]) -> dict[Hashable, Any]:
    """Return title and seats by external id; an object that is there twice is no desk of the model."""
    desks: dict[Hashable, Any] = {}
    for item in filter(_is_desk, objects):
        row = (item["properties"].get("name@en"), int(item["baseTypeProperties"].get("capacity") or 0))
        key = item["externalId"]
        desks[key] = row if key not in desks else ("twice", desks[key], row)
    return desks


def _written(outsider: Outsider, things: Iterable[str]) -> dict[Hashable, Any]:
    counts = {uid: len(outsider.history(uid, "setpoint")) for uid in things}
    return {uid: count for uid, count in counts.items() if count}


def identities(payloads: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return how often each change has fired."""
    fired: Counter[str] = Counter()
    for payload in payloads:
        ids = [payload[name] for name in ("master", "event_id", "run_id") if name in payload]
        fired.update([*ids, *payload.get("thing_ids", ())])
    return fired


def _exported(output: Path) -> Counter[tuple[str, float]]:
    rows = [row for file in output.glob("*/history.jsonl") for row in _lines(file)]
    return Counter((row["thing_id"], row["value"]) for row in rows)


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _files(folder: Path) -> dict[Hashable, Any]:
    assets = _parquet(folder / "assets.parquet")
    components = [row for file in folder.glob("components/*.parquet") for row in _parquet(file)]
    return {
        "names": sorted(re.sub(r"-[0-9a-f]{8}\.", "-*.", name) for name in names_below(folder)),
        "assets.parquet": sorted(map(_asset, assets)),
        "changes.jsonl": sorted(map(_asset, _lines(folder / "changes.jsonl"))),
        "components": sorted((row["id"], row["name"]) for row in components),
    }


def _asset(row: Mapping[str, Any]) -> tuple[int, str, int, str]:
    return row["number"], row["name"], row["floor"], plain_time(row["updated_at"])


def _parquet(file: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as parquet

    return list(parquet.read_table(file).to_pylist()) if file.exists() else []
