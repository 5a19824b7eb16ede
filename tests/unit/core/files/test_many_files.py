"""Rows of several files are those of one source, each with its place, or all problems of the files."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files import many_files
from airflow_provider.core.files.paths.checks import hash_problems
from airflow_provider.core.files.row_source import RowOptions, open_source_files, read_source
from airflow_provider.core.input.problems import Problems
from airflow_provider.core.input.row_numbers import RowNumber, encode_row_number
from airflow_provider.errors import InputError


def write(folder: Path, **texts: str) -> str:
    """Write files, and return their folder's path."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"{folder}/"


def put(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"{folder}/"


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def rows(source: object, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(str(number), row) for number, row in read_source(source, "source", RowOptions(**options))]


def problems(source: object, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        rows(source, **options)
    return caught.value.problems


def test_rows_of_all_files_come_in_order_with_their_file_and_row(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        put(tmp_path, f"part-{number}.csv", f"id,n\na{number},1\nb{number},2\n")
    expected = [
        (f"part-{part}.csv:{row}", {"id": f"{'ab'[row - 1]}{part}", "n": str(row)})
        for part in (1, 2, 10)
        for row in (1, 2)
    ]
    assert rows(f"{tmp_path}/") == expected
    assert rows(f"{tmp_path}/part-*.csv") == expected


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "json", "csv.gz", "jsonl.gz"])
def test_every_format_of_rows_may_be_in_many_files(tmp_path: Path, kind: str) -> None:
    for number in (1, 2):
        row = {"id": f"a{number}"}
        text = {"csv": f"id\na{number}\n", "jsonl": json.dumps(row), "json": json.dumps([row])}
        if kind == "parquet":
            table(tmp_path / f"{number}.parquet", [row])
        else:
            data = text[kind.removesuffix(".gz")].encode()
            put(tmp_path, f"{number}.{kind}", gzip.compress(data) if kind.endswith(".gz") else data)
    assert rows(f"{tmp_path}/") == [(f"1.{kind}:1", {"id": "a1"}), (f"2.{kind}:1", {"id": "a2"})]


def test_row_numbers_of_a_single_file_stay_as_they_are(tmp_path: Path) -> None:
    put(tmp_path, "d=1/a.csv", "id\nx\n")
    assert rows(f"{tmp_path}/d=1/a.csv") == [("1", {"id": "x"})]
    assert rows(f"{tmp_path}/d=1/a.csv", hive=True) == [("1", {"id": "x", "d": "1"})]
    put(tmp_path, "a[1].csv", "id\nx\n")
    assert rows(f"{tmp_path}/a[1].csv") == [("1", {"id": "x"})]


def test_row_numbers_are_distinct_and_count_over_all_files(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path, f"{name}.jsonl", '{"id": 1}\n\n{"id": 2}\n')
    numbers = [number for number, _ in read_source(f"{tmp_path}/", "source")]
    assert [int(number) for number in numbers] == [1, 3, 4, 6, 7, 9]
    assert [str(number) for number in numbers][2:4] == ["b.jsonl:1", "b.jsonl:3"]
    assert f"row {numbers[-1]}" == "row c.jsonl:3"
    assert all(isinstance(number, RowNumber) for number in numbers)
    assert encode_row_number(numbers[0]) == "a.jsonl:1"
    with pytest.raises(TypeError):
        encode_row_number(object())


def test_problems_of_rows_name_the_file_and_the_row(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path, f"{name}.csv", "id\nx\ny\n")
    found = Problems("source")
    for number, row in read_source(f"{tmp_path}/", "source"):
        found.add("is wrong", number, row["id"])
        found.add_column("unknown", number)
    with pytest.raises(InputError) as caught:
        found.raise_if_any()
    assert "row b.csv:2 (y): is wrong" in str(caught.value)
    assert "unknown (4 rows: a.csv:1, a.csv:2, b.csv:1, …)" in str(caught.value)


def test_columns_that_differ_are_named_with_their_files_all_at_once(tmp_path: Path) -> None:
    for number in range(1, 7):
        put(tmp_path, f"p{number}.csv", "id,name\n1,a\n")
    put(tmp_path, "p7.csv", "id,nmae\n1,a\n")
    put(tmp_path, "p8.csv", "id,name,floor\n1,a,2\n")
    put(tmp_path, "p9.csv", "name,id\na,1\n")
    put(tmp_path, "p10.csv", "floor,seats\n1,2\n")
    assert problems(f"{tmp_path}/") == [
        "p7.csv: has no column 'name' and has the new column 'nmae', compared with p1.csv",
        "p8.csv: has the new column 'floor', compared with p1.csv",
        "p10.csv: has no columns 'id', 'name' and has the new columns 'floor', 'seats', compared with p1.csv",
    ]


def test_the_columns_of_most_files_are_the_usual_ones(tmp_path: Path) -> None:
    table(tmp_path / "1.parquet", [{"id": 1, "old": 2}])
    for number in (2, 3):
        table(tmp_path / f"{number}.parquet", [{"id": 1}])
    assert problems(f"{tmp_path}/") == ["1.parquet: has the new column 'old', compared with 2.parquet"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_columns_are_told_once_before_the_first_row_and_other_files_are_not_read_on(
    tmp_path: Path, kind: str
) -> None:
    for name, column in (("a", "n"), ("b", "n"), ("c", "m"), ("d", "n")):
        row = {"id": f"{name}1", column: "1"}
        if kind == "parquet":
            table(tmp_path / "d=1" / f"{name}.parquet", [row])
        else:
            put(tmp_path, f"d=1/{name}.csv", f"{','.join(row)}\n{','.join(row.values())}\n")
    told: list[Any] = []
    with pytest.raises(InputError, match="^source .*d=1/c.*has no column 'n' and has the new column 'm'"):
        for _, row in read_source(f"{tmp_path}/", "source", RowOptions(hive=True), on_columns=told.append):
            told.append(row["id"])
    assert told == [["id", "n", "d"], "a1", "b1", "d1"]


def test_rows_of_json_have_the_fields_that_they_own(tmp_path: Path) -> None:
    put(tmp_path, "1.jsonl", '{"id": 1}\n')
    put(tmp_path, "2.jsonl", '{"id": 2, "floor": 3}\n')
    assert [row for _, row in rows(f"{tmp_path}/")] == [{"id": 1}, {"id": 2, "floor": 3}]


def test_problems_of_all_files_are_raised_at_once_with_file_and_row(tmp_path: Path) -> None:
    put(tmp_path, "1.jsonl", '{"id": 1}\n')
    put(tmp_path, "2.jsonl", '{"id": 1}\nnope\n')
    put(tmp_path, "3.jsonl", '{"id": 1}\n[1]\n')
    put(tmp_path, "4.jsonl.gz", b"no gzip")
    found = problems(f"{tmp_path}/")
    assert found[0].startswith("2.jsonl:2 is not JSON")
    assert found[1] == "3.jsonl:2 is not an object but a list"
    assert found[2].startswith("4.jsonl.gz: cannot be read")
    put(tmp_path / "csv", "1.csv", "a,b\n1,2\n")
    put(tmp_path / "csv", "2.csv", "a,b\n1,2\n1\n")
    assert problems(f"{tmp_path}/csv/")[0].startswith("2.csv:2 has 1 values")


@pytest.mark.parametrize(("kind", "text"), [("csv", "id\n1\n"), ("jsonl", '{"id": "1"}\n')])
@pytest.mark.parametrize("packed", [False, True])
def test_parts_without_a_byte_are_parts_without_rows(
    tmp_path: Path, kind: str, text: str, packed: bool
) -> None:
    suffix, pack = (".gz", gzip.compress) if packed else ("", bytes)
    put(tmp_path, f"1.{kind}{suffix}", pack(b""))
    put(tmp_path, f"2.{kind}{suffix}", pack(text.encode()))
    assert [row for _, row in rows(f"{tmp_path}/")] == [{"id": "1"}]


def test_a_parquet_part_without_a_byte_is_damaged(tmp_path: Path) -> None:
    table(tmp_path / "1.parquet", [{"id": 1}])
    put(tmp_path, "2.parquet", b"")
    (problem,) = problems(f"{tmp_path}/")
    assert problem.startswith("2.parquet: cannot be read as Parquet")


def test_csv_parts_that_are_all_empty_are_no_source(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", b"")
    put(tmp_path, "2.csv", b"")
    assert problems(f"{tmp_path}/") == ["the 2 files are empty: CSV begins with a header of column names"]


def test_partitions_are_columns_only_with_hive(tmp_path: Path) -> None:
    put(tmp_path, "d=2026-01-01/h=a%2Fb/x.csv", "id\n1\n")
    put(tmp_path, "h=__HIVE_DEFAULT_PARTITION__/d=2026-01-02/x.csv", "id\n2\n")
    assert [row for _, row in rows(f"{tmp_path}/")] == [{"id": "1"}, {"id": "2"}]
    assert rows(f"{tmp_path}/", hive=True) == [
        ("d=2026-01-01/h=a%2Fb/x.csv:1", {"id": "1", "d": "2026-01-01", "h": "a/b"}),
        ("h=__HIVE_DEFAULT_PARTITION__/d=2026-01-02/x.csv:1", {"id": "2", "d": "2026-01-02"}),
    ]
    renamed = rows(f"{tmp_path}/", hive=True, columns={"d": "day"}, ignore=["h"])
    assert [row for _, row in renamed] == [{"id": "1", "day": "2026-01-01"}, {"id": "2", "day": "2026-01-02"}]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_files_of_other_partitions_are_refused(tmp_path: Path, kind: str) -> None:
    for name in ("d=1/x", "d=2/x", "y"):
        put(tmp_path, f"{name}.{kind}", "id\n1\n" if kind == "csv" else '{"id": 1}\n')
    assert problems(f"{tmp_path}/", hive=True) == [f"y.{kind}: has no column 'd', compared with d=1/x.{kind}"]


def test_a_partition_that_is_also_in_the_file_must_have_the_same_value(tmp_path: Path) -> None:
    import datetime

    day = datetime.date(2026, 1, 1)
    table(tmp_path / "n=01/d=2026-01-01/x.parquet", [{"id": 1, "n": 1, "d": day}])
    table(
        tmp_path / "n=02/d=2026-01-02/x.parquet", [{"id": 2, "n": 2, "d": None}, {"id": 3, "n": 4, "d": day}]
    )
    assert problems(f"{tmp_path}/", hive=True) == [
        "n=02/d=2026-01-02/x.parquet:2 has another 'n' than its folder, 'n=02'",
        "n=02/d=2026-01-02/x.parquet:2 has another 'd' than its folder, 'd=2026-01-02'",
    ]
    first = rows(f"{tmp_path}/n=01/", hive=True)
    assert [row for _, row in first] == [{"id": 1, "n": 1, "d": day}]


def test_a_value_where_the_folder_has_none_is_another_value(tmp_path: Path) -> None:
    put(tmp_path, "d=__HIVE_DEFAULT_PARTITION__/x.csv", "id,d\n1,\n2,5\n3,6\n")
    (problem,) = problems(f"{tmp_path}/", hive=True)
    assert problem.startswith("d=__HIVE_DEFAULT_PARTITION__/x.csv:2 has another 'd' than its folder, 'd='")
    assert problem.endswith("(2 rows)")


def test_partitions_of_features_are_properties(tmp_path: Path) -> None:
    from airflow_provider.mapsindoors.geodata.rows import flatten_with

    feature = {"type": "Feature", "properties": {"externalId": "a"}, "geometry": None}
    put(tmp_path, "status=1/x.geojson", json.dumps({"type": "FeatureCollection", "features": [feature]}))
    options = RowOptions(hive=True)
    found = read_source(f"{tmp_path}/", "source", options, geo=True, flatten=flatten_with(options))
    assert [row for _, row in found] == [{"externalId": "a", "status": "1"}]


@pytest.mark.parametrize("options", [{"hive": True}, {"complete": "_SUCCESS"}])
@pytest.mark.parametrize("source", [[{"id": 1}], [], None])
def test_options_of_files_need_files(source: Any, options: dict[str, Any]) -> None:
    (problem,) = problems(source, **options)
    assert "can only be given with files" in problem


@pytest.mark.parametrize("complete", ["", " ", "a/b", "*", 5])
def test_a_marker_is_the_name_of_a_file(complete: Any) -> None:
    assert "complete must be the name of a file" in RowOptions(complete=complete).problems()[0]


def test_nothing_is_read_of_a_folder_that_is_not_complete(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "id\n1\n")
    assert problems(f"{tmp_path}/", complete="_SUCCESS") == ["has no '_SUCCESS': the folder is not complete"]
    put(tmp_path, "_SUCCESS", "")
    assert len(rows(f"{tmp_path}/", complete="_SUCCESS")) == 1
    assert rows(f"{tmp_path}/1.csv", complete="_SUCCESS") == [("1", {"id": "1"})]


def test_fewer_rows_than_the_least_are_counted_over_all_files(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path, f"{name}.csv", "id\n1\n")
    assert len(rows(f"{tmp_path}/", min_rows=2)) == 2
    assert problems(f"{tmp_path}/", min_rows=3) == ["has 2 rows, fewer than min_rows 3"]


def test_a_name_in_columns_that_no_file_has_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path, f"{name}.csv", "id\n1\n")
    assert "'nam' of columns or ignore is in no row" in problems(f"{tmp_path}/", columns={"nam": "x"})[0]


def manifest(folder: Path, names: list[str], **changes: Any) -> str:
    """Write a manifest as CommitManifestOperator does, and return its path."""
    files = []
    for name in names:
        data = (folder / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        files.append({"uri": f"{folder}/{name}", "bytes": len(data), "rows": 1, "sha256": digest, **changes})
    total = sum(file["rows"] for file in files)
    head = {"format": "csv", "rows": total, "bytes": sum(file["bytes"] for file in files), "columns": ["id"]}
    (folder / "_manifest.json").write_text(json.dumps({**head, "files": files}))
    return f"{folder}/_manifest.json"


def test_the_rows_of_a_manifest_are_those_of_its_files(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "stale.csv"):
        put(tmp_path, name, f"id\n{name[0]}\n")
    path = manifest(tmp_path, ["b.csv", "a.csv"])
    assert rows(path) == [("b.csv:1", {"id": "b"}), ("a.csv:1", {"id": "a"})]


def test_empty_rows_of_csv_may_count_in_a_manifest(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        put(tmp_path, name, "id,name\n1,x\n,\n2,y\n")
    for count in (2, 3):
        assert len(rows(manifest(tmp_path, ["a.csv", "b.csv"], rows=count))) == 4
    assert problems(manifest(tmp_path, ["a.csv", "b.csv"], rows=1)) == [
        f"{name}.csv: has 2 rows, and the manifest says 1" for name in "ab"
    ]


def test_rows_and_hashes_that_a_manifest_names_are_checked(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        put(tmp_path, name, "id\n1\n")
    path = manifest(tmp_path, ["a.csv", "b.csv"], rows=2)
    assert problems(path) == [f"{name}.csv: has 1 rows, and the manifest says 2" for name in "ab"]
    path = manifest(tmp_path, ["a.csv", "b.csv"], sha256="0" * 64)
    assert problems(path) == [f"{name}.csv: has another SHA-256 hash than the manifest says" for name in "ab"]


def opened(source: str, **options: Any) -> tuple[Any, RowOptions]:
    given = RowOptions(**options)
    return open_source_files(source, "content", given), given


def again(files: Any, options: RowOptions) -> list[str]:
    with pytest.raises(InputError) as caught:
        list(read_source(files, "content", options))
    return caught.value.problems


def test_files_may_be_read_any_number_of_times(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "id\n1\n")
    put(tmp_path, "b.csv", "id\n2\n")
    files, options = opened(f"{tmp_path}/")
    assert len({str(list(read_source(files, "content", options))) for _ in range(3)}) == 1


def test_a_vanished_new_or_changed_part_is_named_at_the_second_reading(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path, f"{name}.csv", "id\n1\n")
    files, options = opened(f"{tmp_path}/")
    assert len(list(read_source(files, "content", options))) == 3
    (tmp_path / "a.csv").unlink()
    put(tmp_path, "b.csv", "id\n1\n2\n")
    put(tmp_path, "d.csv", "id\n1\n")
    assert again(files, options) == [
        "'a.csv' is not there any more",
        "'b.csv' has changed: 5 bytes before, 7 now",
        "'d.csv' is new",
    ]


def test_a_part_that_vanishes_or_changes_while_the_files_are_read_is_named(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path, f"{name}.csv", "id\n1\n")
    files, options = opened(f"{tmp_path}/")
    reading = read_source(files, "content", options)
    next(reading)
    (tmp_path / "b.csv").unlink()
    put(tmp_path, "c.csv", "other\n1\n")
    with pytest.raises(InputError) as caught:
        list(reading)
    assert caught.value.problems == [
        "'b.csv' is not there any more",
        "'c.csv' has changed: 5 bytes before, 8 now",
    ]


def test_a_part_that_is_replaced_on_s3_while_it_is_read_is_named(s3: Any) -> None:
    line = b'{"id": "%s"}\n' % (b"x" * 1000)
    for name in "ab":
        s3.put_object(Bucket="twin", Key=f"in/{name}.jsonl", Body=line * 20_000)
    files, options = opened("s3://aws_s3@twin/in/*.jsonl")
    reading = read_source(files, "content", options)
    next(reading)
    s3.put_object(Bucket="twin", Key="in/a.jsonl", Body=line.upper() * 20_000)
    with pytest.raises(InputError) as caught:
        list(reading)
    assert caught.value.problems == ["'a.jsonl' has changed"]


def test_files_that_are_all_gone_are_named_at_the_second_reading(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "id\n1\n")
    files, options = opened(f"{tmp_path}/")
    list(read_source(files, "content", options))
    (tmp_path / "a.csv").unlink()
    assert again(files, options) == [f"there is no file in the folder '{tmp_path}/'"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file whose reading fails is one of Linux")
def test_an_error_of_the_disk_is_raised_where_no_file_has_changed(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"id": 1}\n')
    (tmp_path / "b.jsonl").symlink_to("/proc/self/mem")
    reading = read_source(f"{tmp_path}/", "source")
    assert next(reading)[1] == {"id": 1}
    put(tmp_path, "new.jsonl", "{}")
    with pytest.raises(OSError, match="Errno"):
        next(reading)


def test_a_part_that_is_new_while_the_files_are_read_is_left_to_the_next_reading(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "id\n1\n")
    files, options = opened(f"{tmp_path}/")
    reading = read_source(files, "content", options)
    next(reading)
    put(tmp_path, "b.csv", "id\n2\n")
    assert list(reading) == []
    assert again(files, options) == ["'b.csv' is new"]


def test_a_problem_of_a_single_file_has_no_name_of_a_part(tmp_path: Path) -> None:
    put(tmp_path, "d=1/a.jsonl", '{"id": 1}\n{"id": 2, "d": 5}\n[1]\n')
    found = problems(f"{tmp_path}/d=1/a.jsonl", hive=True)
    assert found == ["row 3 is not an object but a list", "row 2 has another 'd' than its folder, 'd=1'"]


def test_a_listed_file_that_is_gone_is_named(tmp_path: Path) -> None:
    assert hash_problems(
        [("a.csv", f"{tmp_path}/a.csv", "0" * 64), ("b.csv", f"{tmp_path}/b.csv", None)]
    ) == ["a.csv: is not there any more"]


def test_credentials_in_a_path_are_in_no_error(tmp_path: Path) -> None:
    for source in (
        "s3://key:gehe%2Fim@twin/part-*.csv",
        "memory://u:gehe%2Fim@host/x.csv",
        "memory://host/*.csv?sig=geheim&x=1",
        "memory://host/x.json?token=geheim",
        "memory://host/x/?password=geheim/",
    ):
        with pytest.raises(Exception) as caught:
            rows(source)
        if isinstance(caught.value, InputError):
            assert "gehe" not in str(caught.value)


def test_a_name_with_a_line_break_is_one_line_of_an_error(tmp_path: Path) -> None:
    put(tmp_path, "a\nERROR.jsonl", "nope")
    (problem,) = problems(f"{tmp_path}/")
    assert "\n" not in problem


@pytest.mark.nightly
@pytest.mark.long
@pytest.mark.slow
def test_ten_thousand_parts_take_little_memory(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"part-{number}.jsonl").write_text('{"id": "x"}\n')
    tracemalloc.start()
    count = sum(1 for _ in read_source(f"{tmp_path}/", "source"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 40_000_000


@pytest.fixture
def on_s3(s3: Any) -> Iterator[Any]:
    def write(name: str, data: bytes) -> None:
        s3.put_object(Bucket="twin", Key=name, Body=data)

    return write


def test_an_unload_of_redshift_is_read_by_its_manifest(on_s3: Any) -> None:
    parts = {
        "venue_0000_part_00": b"id|name\n1|a\n",
        "venue_0001_part_00": b"id|name\n",
        "venue_0002_part_00": b"",
    }
    entries = []
    for name, data in parts.items():
        on_s3(f"unload/{name}", data)
        meta = {"content_length": len(data), "record_count": max(data.count(b"\n") - 1, 0)}
        entries.append({"url": f"s3://twin/unload/{name}", "meta": meta})
    on_s3("unload/venue_manifest", json.dumps({"entries": entries}, indent=2).encode())
    found = rows("s3://aws_s3@twin/unload/venue_manifest", source_format="csv")
    assert found == [("venue_0000_part_00:1", {"id": "1", "name": "a"})]


def test_the_number_and_size_of_many_files_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "airflow_provider.core.files.many_files")
    for name in "ab":
        put(tmp_path, f"d=1/{name}.csv", "id\n1\n")
    assert rows(f"{tmp_path}/d=1/a.csv", hive=True)
    assert caplog.messages == []
    assert rows(f"{tmp_path}/")
    assert caplog.messages == [f"source '{tmp_path}/': 2 files, 10 bytes"]


def test_problems_of_files_are_collected_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_files, "_MAX_PROBLEMS", 2)
    for number in range(4):
        put(tmp_path, f"{number}.jsonl", "nope\n")
        put(tmp_path, f"d={number}/x.csv", "id\n1\n" if number < 1 else f"n{number}\n1\n")
    assert [one.partition(":")[0] for one in problems(f"{tmp_path}/*.jsonl")] == ["0.jsonl", "1.jsonl"]
    for name in "abcd":
        put(tmp_path, f"same/{name}.csv", "id\n1\n" if name == "a" else "n\n1\n")
    assert problems(f"{tmp_path}/same/") == [
        "a.csv: has no column 'n' and has the new column 'id', compared with b.csv"
    ]
    for number in range(4):
        put(tmp_path, f"json/{'d' if number else 'e'}={number}/x.jsonl", "{}\n")
    (problem,) = problems(f"{tmp_path}/json/", hive=True)
    assert problem == "e=0/x.jsonl: has no column 'd' and has the new column 'e', compared with d=1/x.jsonl"
    for number in range(4, 8):
        put(tmp_path, f"json/c={number}/x.jsonl", "{}\n")
    found = problems(f"{tmp_path}/json/", hive=True)
    assert [one.partition("/")[0] for one in found] == ["d=1", "d=2"]


def test_many_columns_of_a_file_are_named_up_to_a_bound(tmp_path: Path) -> None:
    put(tmp_path, "1.csv", "a,b\n1,2\n")
    put(tmp_path, "2.csv", "a,b\n1,2\n")
    put(tmp_path, "3.csv", "a,c1,c2,c3,c4,c5,c6\n" + "1,1,1,1,1,1,1\n")
    new = "'c1', 'c2', 'c3', 'c4', 'c5', and 1 more"
    said = f"3.csv: has no column 'b' and has the new columns {new}, compared with 1.csv"
    assert problems(f"{tmp_path}/") == [said]


def test_a_single_file_with_partitions_is_read_in_the_format_that_is_given(tmp_path: Path) -> None:
    put(tmp_path, "d=1/x.txt", "id\n1\n")
    assert rows(f"{tmp_path}/d=1/x.txt", hive=True, source_format="csv") == [("1", {"id": "1", "d": "1"})]
    put(tmp_path, "d=1/y.csv", "")
    (problem,) = problems(f"{tmp_path}/d=1/y.csv", hive=True)
    assert problem.startswith("is empty: a CSV file begins with a header")


def test_a_conflict_with_the_folder_is_counted_from_its_first_row(tmp_path: Path) -> None:
    put(tmp_path, "d=1/x.csv", "id,d\n1,1\n2,5\n3,\n4,6\n")
    put(tmp_path, "d=1/y.csv", "id,d\n1,1\n2,5\n")
    assert problems(f"{tmp_path}/", hive=True) == [
        "d=1/x.csv:2 has another 'd' than its folder, 'd=1' (2 rows)",
        "d=1/y.csv:2 has another 'd' than its folder, 'd=1'",
    ]


def test_blank_lines_of_json_do_not_count_in_a_manifest(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"id": 1}\n\n{"id": 2}\n')
    for count, said in ((2, []), (3, ["a.jsonl: has 2 rows, and the manifest says 3"])):
        path = manifest(tmp_path, ["a.jsonl"], rows=count)
        Path(path).write_text(Path(path).read_text().replace('"csv"', '"jsonl"'))
        if said:
            assert problems(path) == said
        else:
            assert len(rows(path)) == 2


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file whose reading fails is one of Linux")
def test_a_change_is_named_where_reading_fails_because_of_it(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"id": 1}\n')
    (tmp_path / "b.jsonl").symlink_to("/proc/self/mem")
    reading = read_source(f"{tmp_path}/", "source")
    next(reading)
    put(tmp_path, "a.jsonl", "{}\n")
    with pytest.raises(InputError) as caught:
        next(reading)
    assert caught.value.problems == ["'a.jsonl' has changed: 10 bytes before, 3 now"]


def test_a_folder_below_the_working_directory_has_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "in/a.csv", "id\n1\n")
    for source in ("in/", "in/*.csv", "file://" + str(tmp_path) + "/in/"):
        assert rows(source) == [("a.csv:1", {"id": "1"})]
    assert rows("in/a.csv") == [("1", {"id": "1"})]


def test_two_files_of_json_in_other_partitions_are_compared(tmp_path: Path) -> None:
    put(tmp_path, "a=1/x.jsonl", "{}\n")
    put(tmp_path, "b=1/x.jsonl", "{}\n")
    assert problems(f"{tmp_path}/", hive=True) == [
        "b=1/x.jsonl: has no column 'a' and has the new column 'b', compared with a=1/x.jsonl"
    ]


def test_the_path_of_one_file_is_left_to_its_reader(tmp_path: Path) -> None:
    for path in (f"{tmp_path}/none.csv", f"{tmp_path}/none.txt", "", " "):
        assert open_source_files(path, "rows") == path
    with pytest.raises(InputError, match="there is no file"):
        open_source_files(f"{tmp_path}/none", "rows")
