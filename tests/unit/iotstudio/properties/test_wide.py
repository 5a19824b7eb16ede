"""Wide rows: texts and numbers become what the Things declare, or are refused with row and property."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.errors import InputError, NotFoundError, RequestRejectedError
from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator
from airflow_provider.sandbox.iotstudio import IoTStudioService
from airflow_provider.sandbox.server import Sandbox

from ..conftest import PUT, THING


def write(**arguments: Any) -> Any:
    operator = IoTStudioWritePropertiesOperator(task_id="write", **arguments)
    return operator.execute({"ti": SimpleNamespace(try_number=1)})  # type: ignore[typeddict-item]


def csv(tmp_path: Path, header: str, *lines: str) -> str:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


@pytest.fixture
def declared(service: IoTStudioService) -> dict[str, Any]:
    """Let a Thing declare each type, and return its values."""
    thing = service.space.things[THING]
    types = ("boolean", "integer", "number", "string", "object", "array")
    thing.fields = {**thing.fields, "properties": {f"a_{kind}": {"type": kind} for kind in types}}
    thing.fields["properties"]["free"] = {}
    thing.status = {}
    return thing.status


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("a_boolean", "true", True),
        ("a_boolean", "FALSE", False),
        ("a_integer", "12", 12),
        ("a_integer", "12.0", 12),
        ("a_integer", "9007199254740993", 9007199254740993),
        ("a_number", "12", 12),
        ("a_number", "12.5", 12.5),
        ("a_number", "1e3", 1000.0),
        ("a_number", "9007199254740993", 9007199254740993),
        ("a_string", "0012", "0012"),
        ("a_string", "true", "true"),
        ("a_object", '"{""a"": 1}"', {"a": 1}),
        ("a_array", '"[1, 2]"', [1, 2]),
        ("free", "12", 12),
        ("free", '"""eco"""', "eco"),
        ("free", "true", True),
        ("free", "null", None),
    ],
)
def test_a_text_of_csv_becomes_what_the_thing_declares(
    declared: dict[str, Any], tmp_path: Path, name: str, text: str, value: Any
) -> None:
    write(writes=csv(tmp_path, f"thing_id,{name}", f"{THING},{text}"))
    assert declared == {name: value}
    assert type(declared[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a_boolean", "on", "true or false"),
        ("a_boolean", "1", "true or false"),
        ("a_integer", "12.5", "whole number"),
        ("a_integer", '"12,0"', "decimal point"),
        ("a_number", '"12,5"', "decimal point"),
        ("a_number", "warm", "must be a number"),
        ("a_number", "nan", "must be a number"),
        ("a_number", "9" * 5000, "5000 characters"),
        ("a_integer", "9" * 5000, "whole number"),
        ("a_object", "[1]", "object"),
        ("a_array", "x", "array"),
        ("free", "eco", "double quotes"),
        ("free", '"12,5"', "decimal point"),
        ("free", "NaN", "JSON"),
    ],
)
def test_a_text_that_is_not_of_the_declared_type_is_refused(
    declared: dict[str, Any], sandbox: Sandbox, tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        write(writes=csv(tmp_path, f"uid,{name}", f"{THING},{text}"))
    (problem,) = caught.value.problems
    assert problem.startswith(f"row 1 ({THING}): property '{name}' ")
    assert sandbox.counters.requests[PUT] == 0


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("a_integer", 600.0, 600),
        ("a_boolean", 1.0, True),
        ("a_number", 21.0, 21.0),
        ("a_number", "21.5", 21.5),
        ("a_string", "21", "21"),
        ("a_object", '{"a": 1}', {"a": 1}),
        ("free", "eco", "eco"),
        ("a_string", None, None),
    ],
)
def test_typed_values_become_what_the_thing_declares(
    declared: dict[str, Any], name: str, value: Any, sent: Any
) -> None:
    write(writes=[{"thing_id": THING, name: value}])
    assert declared == {name: sent}
    assert type(declared[name]) is type(sent)


def test_a_number_for_a_text_is_refused(declared: dict[str, Any], sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="must be a text, as the Thing declares, not 12"):
        write(writes=[{"thing_id": THING, "a_string": 12}])
    assert sandbox.counters.requests[PUT] == 0


def test_without_a_declaration_the_current_value_tells_the_type(
    service: IoTStudioService, tmp_path: Path
) -> None:
    service.unknown_property = "accept"
    thing = service.space.things[THING]
    thing.fields, thing.status = {}, {"code": "0012", "level": 1.5, "on": True, "shape": {"a": 1}}
    write(writes=csv(tmp_path, "uid,code,level,on,shape", f'{THING},0013,2,false,"{{""a"": 2}}"'))
    assert thing.status == {"code": "0013", "level": 2, "on": False, "shape": {"a": 2}}


def test_all_problems_of_wide_rows_are_in_one_error(
    service: IoTStudioService, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = csv(tmp_path, "uid,setpoint,co2", f'{THING},"21,5",x', "01UNKNOWN,20,1")
    with pytest.raises(InputError) as caught:
        write(writes=path)
    assert len(caught.value.problems) == 3
    assert "row 2 (01UNKNOWN): there is no such Thing" in str(caught.value)
    assert sandbox.counters.requests[PUT] == 0


def test_rows_without_wide_values_read_no_description(service: IoTStudioService, sandbox: Sandbox) -> None:
    rows = [{"thing_id": uid, "properties": {"setpoint": 20}} for uid in list(service.space.things)[:3]]
    write(writes=rows, verify=False)
    assert sandbox.counters.total("/things$") == 0


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("handling", ["accept", "reject"])
def test_a_property_that_is_similar_to_a_declared_one_is_a_warning(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str], count: int, handling: Any
) -> None:
    service.unknown_property = handling
    rows = [{"thing_id": uid, "properties": {"setPoint": 20}} for uid in list(service.space.things)[:count]]
    if handling == "reject":
        with pytest.raises(RequestRejectedError):
            write(writes=rows)
    else:
        write(writes=rows)
    assert "does not declare the property 'setPoint'; did you mean 'setpoint'?" in capsys.readouterr().out


def test_another_property_is_written_without_a_warning(
    service: IoTStudioService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.unknown_property = "accept"
    write(thing_id=THING, properties={"firmware": "2.0"})
    assert "declare" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"verify": "perhaps"}, "'verify' must be true or false"),
        ({"only_changed": None}, "'only_changed'"),
        ({"concurrency": "eight"}, "'concurrency' must be a whole number"),
        ({"concurrency": "64"}, "'concurrency' must be a whole number from 1 to 32"),
        ({"min_rows": "2"}, "fewer than min_rows"),
        ({"min_rows": "few"}, "'min_rows' must be a whole number"),
        ({"columns": {"Sollwert": "setpoint"}}, "'Sollwert' of columns or ignore is in no row"),
        ({"ignore": "title"}, "ignore must be a list"),
        ({"space": ""}, "'space' is empty"),
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    service: IoTStudioService, sandbox: Sandbox, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        write(writes=[{"thing_id": THING, "properties": {"setpoint": 20}}], **arguments)
    assert sandbox.counters.total("iotstudio") == 0


def test_rendered_scalars_are_read_as_their_types(service: IoTStudioService, sandbox: Sandbox) -> None:
    rows = [{"thing_id": THING, "properties": {"setpoint": 20.5}}]
    result = write(writes=rows, verify="False", update_history="false", concurrency="4", only_changed="True")
    assert result == {"written": 1, "skipped": 0, "verified": 0}
    assert "setpoint" not in service.space.things[THING].history


def test_rows_without_any_value_write_nothing(service: IoTStudioService, sandbox: Sandbox) -> None:
    rows = [{"thing_id": THING, "properties": {"setpoint": float("nan")}}]
    assert write(writes=rows) == {"written": 0, "skipped": 0, "verified": 0}
    assert sandbox.counters.total("iotstudio") == 0


def test_a_single_404_of_a_written_thing_is_not_believed(service: IoTStudioService, sandbox: Sandbox) -> None:
    sandbox.faults.add("status", method="GET", path="/properties$", status=404, times=1)
    assert write(thing_id=THING, properties={"setpoint": 20})["verified"] == 1
    sandbox.faults.add("status", method="PUT", path="/properties$", status=404, times=1)
    with pytest.raises(NotFoundError):
        write(thing_id=THING, properties={"setpoint": 21})
