"""Many files are a source of property writes, over TCP."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

from ..conftest import THING


def write(writes: Any, **arguments: Any) -> dict[str, int]:
    operator = IoTStudioWritePropertiesOperator(task_id="write", writes=writes, **arguments)
    return operator.execute({"ti": SimpleNamespace(try_number=1)})  # type: ignore[typeddict-item]


def test_wide_rows_of_many_csv_files_get_the_types_of_the_things(
    service: IoTStudioService, tmp_path: Path
) -> None:
    (tmp_path / "1.csv").write_text(f"thing_id,setpoint\n{THING},21.5\n")
    (tmp_path / "2.csv").write_text("")
    assert write(f"{tmp_path}/")["written"] == 1
    assert service.space.things[THING].status["setpoint"] == 21.5


def test_a_partition_names_the_thing(service: IoTStudioService, tmp_path: Path) -> None:
    folder = tmp_path / f"uid={THING}"
    folder.mkdir()
    (folder / "x.jsonl").write_text(json.dumps({"setpoint": 20.5}) + "\n")
    assert write(f"{tmp_path}/", hive=True, columns={"uid": "thing_id"})["written"] == 1
    assert service.space.things[THING].status["setpoint"] == 20.5


def test_problems_name_the_file_and_the_row(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    for number in (1, 2):
        row = {"thing_id": THING, "properties": {"setpoint": 20}}
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError) as caught:
        write(f"{tmp_path}/*.jsonl")
    assert f"row 2.jsonl:1: property 'setpoint' of Thing {THING} is set already (row 1.jsonl:1)" in str(
        caught.value
    )
    assert sandbox.counters.total("PUT") == 0
