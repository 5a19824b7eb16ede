"""Paths of parts: each part of a plan writes a file of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.files.paths.parts import fields_of_part, number_problems, part_path, path_template
from airflow_provider.errors import InputError

PART: Any = SimpleNamespace(number=3, count=8)


@pytest.mark.parametrize(
    ("path", "template", "expected"),
    [
        ("out/", None, "out/part-00003-of-00008.jsonl"),
        ("out/{part}/", None, "out/00003-of-00008/part-00003-of-00008.jsonl"),
        ("out/x-{part}.csv", None, "out/x-00003-of-00008.csv"),
        ("out/x.csv", None, "out/x-00003-of-00008.csv"),
        ("out/x.csv.gz", None, "out/x-00003-of-00008.csv.gz"),
        ("x", None, "x-00003-of-00008"),
        ("out/x-3.csv", None, "out/x-3.csv"),
        ("out/2026-3.csv", None, "out/2026-3.csv"),
        ("out/3-2026.csv", None, "out/3-2026-00003-of-00008.csv"),
        ("out/x-03.csv", "out/x-{{ ti.map_index }}.csv", "out/x-03.csv"),
        ("out/x-3.csv", "out/x-{{ ds }}.csv", "out/x-3-00003-of-00008.csv"),
        ("out/x-2.csv", "out/x-{{ ti.map_index }}.csv", "out/x-2-00003-of-00008.csv"),
        ("out/part=3/x.csv", None, "out/part=3/x.csv"),
        ("out-3/x.csv", None, "out-3/x-00003-of-00008.csv"),
        ("out/x-00003-of-00008.csv", None, "out/x-00003-of-00008.csv"),
    ],
)
def test_a_part_has_a_path_of_its_own(path: str, template: str | None, expected: str) -> None:
    assert part_path(path, PART, template, ".jsonl") == expected


def test_a_part_has_the_fields_of_its_plan_and_no_others() -> None:
    part = {"number": 1, "count": 2}
    assert fields_of_part(part, ("number", "count"), "ThePlan") is part
    with pytest.raises(InputError) as caught:
        fields_of_part({"number": 1, "rows": 5, "state": "x"}, ("number", "count"), "ThePlan")
    assert [problem.partition(";")[0] for problem in caught.value.problems] == [
        "lacks 'count'",
        "has 'rows', which is unknown",
        "has 'state', which is unknown",
    ]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (7, "not 7"),
        (None, "not None"),
        (["x"], "not ['x']"),
        ("text", "not 'text'"),
        ("[{'a': 1}]", "render_temp"),
    ],
)
def test_what_is_no_part_is_refused_with_the_operator_that_plans(value: Any, what: str) -> None:
    with pytest.raises(InputError, match="must be one of the parts that ThePlan returns, not ") as caught:
        fields_of_part(value, ("number",), "ThePlan")
    (problem,) = caught.value.problems
    assert what in problem
    assert "XX" not in problem
    assert "pass its output to expand(part=...)" in problem


def test_the_path_of_a_mapped_task_is_known_before_its_templates() -> None:
    def task(**of_dag: Any) -> Any:
        dag = SimpleNamespace(task_dict={"export": SimpleNamespace(**of_dag)})
        return SimpleNamespace(task_id="export", dag=dag, has_dag=lambda: True)

    assert path_template(task(partial_kwargs={"output_path": "x-{{ ti.map_index }}.csv"})) == (
        "x-{{ ti.map_index }}.csv"
    )
    assert path_template(task(partial_kwargs={"output_path": 7})) is None
    assert path_template(task()) is None
    assert path_template(SimpleNamespace(has_dag=lambda: False)) is None


@pytest.mark.parametrize(
    ("number", "count", "found"),
    [
        (0, 1, []),
        (2, 3, []),
        (3, 3, ["is number 3 of 3; the numbers begin at 0"]),
        (4, 3, ["is number 4 of 3; the numbers begin at 0"]),
        (-1, 3, ["has -1 as 'number'"]),
        (True, 3, ["has True as 'number'"]),
        (1.0, "3", ["has 1.0 as 'number'", "has '3' as 'count'"]),
        (None, 3, ["has None as 'number'"]),
    ],
)
def test_the_numbers_of_a_part_are_checked(number: Any, count: Any, found: list[str]) -> None:
    assert number_problems({"number": number, "count": count}) == found
