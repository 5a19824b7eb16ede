"""Rows of any source by the operators' options: of a query, of many files, and one source at a time."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.core.files.paths.parts import outlet_problems
from airflow_provider.core.files.reader import read_rows
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.files.row_source import RowOptions, open_source_files, read_source, subject_of
from airflow_provider.core.sql.rows import SqlRows
from airflow_provider.errors import InputError
from tests.unit.core.files.test_geoparquet import write


@pytest.fixture
def query() -> Any:
    """Return the rows of a query with a NULL."""
    rows = SqlRows(["ID", "Name", "remark"])
    rows.add([["A", "Desk", None], ["B", None, "x"]])
    yield rows
    rows.close()


def test_rows_of_a_query_have_numbers_and_no_nulls(query: Any) -> None:
    columns: list[str] = []
    found = list(read_source(query, "rows", on_columns=columns.extend, fields=["id"]))
    assert found == [(1, {"id": "A", "Name": "Desk"}), (2, {"id": "B", "remark": "x"})]
    assert columns == ["id", "Name", "remark"]
    assert (subject_of(query, "rows"), subject_of([], "rows")) == ("sql", "rows")


def test_what_all_row_operators_have_in_common_is_written_out() -> None:
    assert RowOperator.long_decimals == "round"
    assert RowOperator.template_fields_renderers == {"columns": "json", "sql": "sql", "parameters": "json"}
    assert RowOperator.template_ext == (".sql",)
    assert RowOperator.SQL_FIELDS == ("sql", "sql_conn_id", "parameters", "sql_timezone")
    assert RowOptions._fields == RowOperator.ROW_FIELDS
    assert RowOptions() == (None, (), None, None, None, None, False, None)


def test_columns_of_a_query_are_renamed_left_out_and_counted(query: Any) -> None:
    columns: list[str] = []
    options = RowOptions(columns={"Name": "title"}, ignore=["remark"], min_rows=2)
    rows = [row for _, row in read_source(query, "rows", options, on_columns=columns.extend)]
    assert rows == [{"ID": "A", "title": "Desk"}, {"ID": "B"}]
    assert columns == ["ID", "title"]
    with pytest.raises(InputError, match="^sql: has 2 rows, fewer than min_rows 3$"):
        list(read_source(query, "rows", options._replace(min_rows=3)))


def test_all_files_of_a_folder_name_their_geometry_alike(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    for geo, name in ((True, "geometry"), (False, "place")):
        columns: list[str] = []
        rows = [row for _, row in read_source(f"{tmp_path}/", "rows", geo=geo, on_columns=columns.extend)]
        assert [sorted(row) for row in rows] == [sorted(["id", "box", "mark", name])] * 2
        assert name in columns


def test_the_own_name_of_a_files_geometry_may_be_in_columns(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write(tmp_path / "a")
    options = RowOptions(columns={"place": "geometry", "mark": "note"})
    (path,) = (tmp_path / "a").iterdir()
    for source in (f"{tmp_path}/", str(path)):
        ((_, row),) = read_source(source, "rows", options, geo=True)
        assert {"geometry", "note"} <= row.keys()
    with pytest.raises(InputError, match="'place' of columns or ignore is in no row"):
        list(read_source(f"{tmp_path}/", "rows", RowOptions(columns={"place": "spot"}), geo=True))


def test_the_options_of_text_files_reach_each_file_of_a_folder(tmp_path: Path) -> None:
    for name, text in (("a", "id#name\n1#Müller\n"), ("b", "id#name\n2#Ørsted\n")):
        (tmp_path / f"{name}.csv").write_bytes(text.encode("utf-16-le"))
    options = RowOptions(csv_delimiter="#", encoding="utf-16-le", min_rows=2)
    for source in (f"{tmp_path}/", f"{tmp_path}/*.csv"):
        assert [row["name"] for _, row in read_source(source, "rows", options)] == ["Müller", "Ørsted"]
    decoded = list(read_source(f"{tmp_path}/", "rows", options, flatten=lambda row: {"flat": row["id"]}))
    assert [row for _, row in decoded] == [{"flat": "1"}, {"flat": "2"}]


def test_json_is_read_by_the_decoder_that_is_given(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"n": 1.5}\n')
    for source in (f"{tmp_path}/", f"{tmp_path}/a.jsonl"):
        rows = [
            row
            for _, row in read_source(source, "rows", decode=lambda data: json.loads(data, parse_float=str))
        ]
        assert rows[0] == {"n": "1.5"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"hive": True}, "hive"),
        ({"complete": "_SUCCESS"}, "complete"),
        ({"hive": True, "complete": "_SUCCESS"}, "hive and complete"),
    ],
)
def test_options_of_files_need_files(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as caught:
        open_source_files([{"id": 1}], "rows", RowOptions(**options))
    assert str(caught.value) == f"rows: is no path; {named} can only be given with files"
    rows = [{"id": 1}]
    assert open_source_files(rows, "rows") is rows


@pytest.mark.parametrize(
    ("value", "sql", "problems"),
    [
        (None, None, ["'rows' must be a list or the path of a file; or give a query as 'sql'"]),
        ([], None, []),
        (None, "SELECT 1", []),
        ([], "SELECT 1", ["give either 'rows' or 'sql', not both"]),
    ],
)
def test_a_task_has_one_source_of_rows(value: Any, sql: str | None, problems: list[str]) -> None:
    assert RowOperator(task_id="rows", sql=sql).source_problems("rows", value) == problems


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("csv_delimiter", ";"),
        ("encoding", "utf-8"),
        ("source_format", "csv"),
        ("hive", True),
        ("complete", "_SUCCESS"),
    ],
)
def test_options_of_files_are_refused_for_a_query(name: str, value: Any) -> None:
    task = RowOperator(task_id="rows", sql="SELECT 1", sql_conn_id="warehouse", **{name: value})
    with pytest.raises(InputError) as caught:
        task.row_options(["'other' is wrong"])
    said = f"'{name}' says how a file is read; it cannot be given with 'sql'"
    assert caught.value.problems == ["'other' is wrong", said]
    assert getattr(RowOperator(task_id="rows", **{name: value}).row_options(), name) == value


def test_without_a_query_the_argument_itself_is_the_source() -> None:
    rows = [{"id": 1}]
    with RowOperator(task_id="rows").open_rows(rows) as source:
        assert source is rows


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
def test_json_lines_in_another_encoding_of_unicode_are_refused(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"id": 1}\n'.encode(codec))
    with pytest.raises(InputError, match=f"is {codec}.*; JSON Lines are read as UTF-8"):
        list(read_rows(str(path), encoding=codec))


def test_a_part_has_no_outlet_of_its_own() -> None:
    from airflow.sdk import Asset

    part: Any = SimpleNamespace(number=3, count=8)
    assets = [Asset(name="first", uri="x://a/1"), Asset(name="second", uri="x://a/2")]
    (problem,) = outlet_problems(SimpleNamespace(outlets=["text", *assets]), part)
    assert "each of the 8 parts" in problem
    assert "outlet 'first' on the CommitManifestOperator" in problem
    assert outlet_problems(SimpleNamespace(outlets=None), part) == []


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        (
            {"columns": "{'a': 'b'}", "ignore": 5, "csv_delimiter": "\0", "complete": "None"},
            [
                "columns must be an object of field names by names in the rows, not ",
                "ignore must be a list of names in the rows, not 5",
                "csv_delimiter must be one character, such as ';', not ",
                "complete must be the name of a file in the folder, such as '_SUCCESS', not 'None'",
            ],
        ),
        (
            {"columns": {"b": "x", "a": "x", "d": "y", "c": "y"}, "ignore": ("c", " b")},
            [
                "columns names the field 'x' twice",
                "columns names the field 'y' twice",
                "'b' is in columns and in ignore",
                "'c' is in columns and in ignore",
            ],
        ),
        ({"source_format": " "}, ["source_format must be a text, such as 'csv', not ' '"]),
        (
            {"complete": "a[1]"},
            ["complete must be the name of a file in the folder, such as '_SUCCESS', not"],
        ),
        ({"columns": {}, "ignore": {"a"}, "complete": "_SUCCESS", "encoding": "utf-8"}, []),
    ],
)
def test_what_is_wrong_with_options_is_told_in_their_order(
    options: dict[str, Any], problems: list[str]
) -> None:
    found = RowOptions(**options).problems()
    assert len(found) == len(problems)
    assert [one for one, start in zip(found, problems, strict=True) if not one.startswith(start)] == []


def test_a_field_that_two_columns_would_have_is_refused_with_both() -> None:
    with pytest.raises(InputError) as caught:
        list(read_source([{"b": 1}, {"b": 1, "a": 2}], "rows", RowOptions(columns={"a": "b"})))
    assert str(caught.value) == "rows: row 2 has 'b' twice: as 'a' and by columns"


def test_names_that_no_row_has_are_told_together_with_the_nearest(tmp_path: Path) -> None:
    options = RowOptions(columns={"nme": "x"}, ignore=["flor", "name"])
    with pytest.raises(InputError) as caught:
        list(read_source([{"name": 1, "floor": 2, 5: 3}], "rows", options))
    first, second = caught.value.problems
    assert first.startswith("'flor' of columns or ignore is in no row; did you mean 'floor'")
    assert second.startswith("'nme' of columns or ignore is in no row; did you mean 'name'")
    assert list(read_source([], "rows", options)) == []
    (tmp_path / "x.csv").write_text("name,flor,nme\n")
    assert list(read_source(f"{tmp_path}/x.csv", "rows", options)) == []
    (tmp_path / "y.csv").write_text("name\n")
    with pytest.raises(InputError, match="'flor' of columns or ignore is in no row"):
        list(read_source(f"{tmp_path}/y.csv", "rows", options))


def test_the_fewest_rows_may_be_none_and_are_met_exactly() -> None:
    for least, fine in ((None, True), (0, True), (1, True), (2, False)):
        rows = read_source([{"a": 1}], "rows", RowOptions(min_rows=least))
        if fine:
            assert list(rows) == [(1, {"a": 1})]
        else:
            with pytest.raises(InputError, match="^rows: has 1 rows, fewer than min_rows 2$"):
                list(rows)


def test_a_column_for_the_geometry_is_needed_where_none_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("geometry\nPOINT (1 2)\n")
    options = RowOptions(columns={"place": "geometry"})
    for source in (f"{tmp_path}/", f"{tmp_path}/a.csv"):
        with pytest.raises(InputError, match="'place' of columns or ignore is in no row"):
            list(read_source(source, "rows", options))
        rows = list(read_source(source, "rows", options, geo=True))
        assert [row for _, row in rows] == [{"geometry": "POINT (1 2)"}]


def test_options_that_are_no_texts_have_no_hint() -> None:
    assert RowOptions(columns=5, ignore=7).problems() == [
        "columns must be an object of field names by names in the rows, not 5",
        "ignore must be a list of names in the rows, not 7",
    ]
    assert RowOptions(csv_delimiter="X", encoding="cp1252", source_format="csv").problems() == []
    for wrong in ("", "ab", "\0", "\n", 5):
        (problem,) = RowOptions(csv_delimiter=wrong).problems()  # type: ignore[arg-type]
        assert problem == f"csv_delimiter must be one character, such as ';', not {wrong!r}"
