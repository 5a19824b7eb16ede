"""CSV as it comes is understood, or refused with the cause and the argument that helps."""

from __future__ import annotations

import codecs
import csv
import gzip
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider.core.files import csv_reader
from airflow_provider.core.files.csv_reader import detect_delimiter, detect_encoding
from airflow_provider.core.files.row_operator import RowOperator
from airflow_provider.core.files.row_source import RowOptions, read_source
from airflow_provider.errors import InputError


def rows(tmp_path: Path, data: str | bytes, suffix: str = ".csv", **options: Any) -> list[dict[str, Any]]:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return [row for _, row in read_source(str(path), "source", RowOptions(**options))]


@pytest.mark.parametrize(
    "text",
    [
        "id,name\n1,a b\n",
        "id;name\n1;a b\n",
        "id\tname\n1\ta b\n",
        "id|name\n1|a b\n",
        "\ufeffid,name\r\n1,a b\r\n",
        "sep=;\nid;name\n1;a b\n",
        "sep=X\r\nidXname\r\n1Xa b\r\n",
        " id , name\u00a0\n1,a b\n",
        "id,name,,\n1,a b,,\n",
        "id,name\n,\n1,a b\n\n",
    ],
)
def test_csv_as_it_comes_is_read(tmp_path: Path, text: str) -> None:
    assert rows(tmp_path, text) == [{"id": "1", "name": "a b"}]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_encoding_that_proves_itself_is_read(tmp_path: Path, codec: str) -> None:
    assert rows(tmp_path, "id;name\n1;Müller\n".encode(codec)) == [{"id": "1", "name": "Müller"}]


@pytest.mark.parametrize("codec", ["cp1252", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_refused_with_the_argument_that_helps(tmp_path: Path, codec: str) -> None:
    data = "id;name\n1;Müller\n".encode(codec)
    with pytest.raises(InputError, match=f"encoding='{codec}'"):
        rows(tmp_path, data)
    assert rows(tmp_path, data, encoding=codec) == [{"id": "1", "name": "Müller"}]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_the_more_frequent_place_of_zero_bytes_tells_the_likely_encoding(codec: str) -> None:
    text = "一ab一aш一aш一a" if codec == "utf-16-le" else "一aш一ab一aш一a"
    with pytest.raises(InputError, match=f"encoding='{codec}'"):
        detect_encoding(text.encode(codec), "rows")


def test_the_first_four_kilobytes_tell_whether_a_file_is_text() -> None:
    text = b"a" * 4096
    assert detect_encoding(text + b"\0" * 9, "rows") == "utf-8"
    with pytest.raises(InputError, match="it is binary, or utf-16-le"):
        detect_encoding(text[1:] + b"\0", "rows")
    with pytest.raises(InputError, match="encoding='utf-16-le'"):
        detect_encoding(b"a\0" + text[2:] + b"\0" * 9, "rows")


def test_a_byte_that_the_given_encoding_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="byte 0xfc is not ascii; pass the encoding that the file was"):
        rows(tmp_path, "id;name\n1;Müller\n".encode("cp1252"), encoding="ascii")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
@pytest.mark.parametrize(
    ("given", "there"), [("cp1252", "utf-8-sig"), ("utf-16-be", "utf-16"), ("utf-8", "utf-16")]
)
def test_an_encoding_that_the_mark_contradicts_is_refused(
    tmp_path: Path, suffix: str, given: str, there: str
) -> None:
    text = {".csv": "id\nMüller\n", ".json": '[{"id": "Müller"}]', ".jsonl": '{"id": "Müller"}\n'}[suffix]
    with pytest.raises(InputError, match=f"begins with the mark of {there.removesuffix('-sig')}"):
        rows(tmp_path, text.encode(there), suffix, encoding=given)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
@pytest.mark.parametrize("codec", ["utf-8", "UTF8", "utf-8-sig", "utf-16-le", "utf-16"])
def test_a_mark_of_the_given_encoding_is_no_part_of_the_data(tmp_path: Path, suffix: str, codec: str) -> None:
    if suffix == ".jsonl" and "16" in codec:
        pytest.skip("JSON Lines are UTF-8")
    text = {".csv": '"id"\nMüller\n', ".json": '[{"id": "Müller"}]', ".jsonl": '{"id": "Müller"}\n'}[suffix]
    mark = "" if codec in ("utf-8-sig", "utf-16") else "\ufeff"
    assert rows(tmp_path, (mark + text).encode(codec), suffix, encoding=codec) == [{"id": "Müller"}]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".geojson"])
@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html><p>Log in</p>", " <HTML></HTML>", "\ufeff<?xml version='1.0'?>"]
)
def test_a_web_page_in_place_of_rows_is_named(tmp_path: Path, suffix: str, page: str) -> None:
    with pytest.raises(
        InputError, match="is HTML or XML, as pages are that ask for a login or report an error"
    ):
        rows(tmp_path, page, suffix)


def test_a_line_may_be_too_long_and_a_file_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_MAX_LINE", 20_000)
    assert len(rows(tmp_path, "id,name\n" + "1,short\n" * 9000)) == 9000
    assert rows(tmp_path, f"id,name\n1,{'x' * 19_000}\n")
    with pytest.raises(InputError, match="has a line of more than"):
        rows(tmp_path, f"id,name\n1,{'x' * 40_000}\n")


def test_delimiters_that_both_fit_are_refused_until_one_is_named(tmp_path: Path) -> None:
    text = "id,a;b\n1,2;3\n"
    with pytest.raises(InputError, match="csv_delimiter"):
        rows(tmp_path, text)
    assert rows(tmp_path, text, csv_delimiter=";") == [{"id,a": "1,2", "b": "3"}]


@pytest.mark.parametrize(
    ("text", "delimiter", "hint"),
    [
        ("a;b\n1;2\n", ",", "pass csv_delimiter=';'"),
        ("a|b\n1|2\n", ";", "pass csv_delimiter='|'"),
        ('"a,b"\n1\n', None, "check its quotes"),
        ('"a;b"\n1\n', ";", "check its quotes"),
    ],
)
def test_a_header_of_one_column_that_holds_a_delimiter_is_refused(
    tmp_path: Path, text: str, delimiter: str | None, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        rows(tmp_path, text, csv_delimiter=delimiter)
    header = text.partition("\n")[0].strip('"')
    assert caught.value.problems == [f"the header is one column, {header!r}; {hint}"]


def test_an_encoding_that_is_not_known_is_refused_by_the_reader_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoding 'cp9999' is not known, such as 'utf-8' or 'cp1252'"):
        rows(tmp_path, "id\n1\n", encoding="cp9999")
    with pytest.raises(InputError, match="line 2 is not cp1252; pass its encoding"):
        rows(tmp_path, b'{"id": 1}\n{"id": "\x81"}\n', ".jsonl", encoding="cp1252")


def test_a_first_line_that_names_no_delimiter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='its first line, sep=", names the delimiter, which must be one'):
        rows(tmp_path, 'sep="\na;b\n1;2\n')


def test_a_line_that_ends_where_a_chunk_begins_is_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_MAX_LINE", 10)
    file = csv_reader.JoinedFile(b"12345678", BytesIO(b"\n123456789012345"), "f.csv")
    assert [file.readinto(bytearray(8)) for _ in range(2)] == [8, 8]
    with pytest.raises(InputError, match="has a line of more than"):
        file.readinto(bytearray(8))


def test_a_sample_that_ends_within_a_line_is_compared_line_by_line() -> None:
    sample = "a;b\n" + "1,5;x,y\n" * 3000
    assert len(sample) > 16 * 1024
    assert detect_delimiter(sample + "2,7", "f.csv") == ";"
    assert detect_delimiter(sample + "2,7;z\n", "f.csv") == ";"


@pytest.mark.parametrize(
    ("header", "found"), [("a", ","), ("a;b,c", ","), ("a;b,c;d", ";"), ("a|b|c\td", "|"), ("a\tb;c", ";")]
)
def test_the_header_of_a_text_that_is_no_csv_has_most_of_its_delimiter(header: str, found: str) -> None:
    assert detect_delimiter(f"{header}\n,;|\t,;|\t\n,\n", "f.csv") == found


def test_the_delimiter_of_a_text_that_is_no_csv_is_that_of_its_header() -> None:
    assert detect_delimiter("a;b;c,d\r1;2;3", "f.csv") == ";"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id,a\n1\n", "row 1 has 1 values"),
        ("id,a\n1,2,3\n", "row 1 has 3 values"),
        ("id,a,\n1,2,3\n", "without a name"),
        ("id, id\n1,2\n", "more than once"),
        ("", "empty"),
        (
            'id,a\n1,b\n2,"x\n',
            "row 2 cannot be read as CSV: unexpected end of data; a quote may not be closed",
        ),
        ('id,a\n1,"x"y\n', "row 1 cannot be read as CSV: ',' expected after '\"'"),
        ('id,"a\n1,x\n', "the header cannot be read as CSV: unexpected end of data"),
    ],
)
def test_a_broken_file_is_refused_with_its_cause(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        rows(tmp_path, text)


@pytest.mark.parametrize(("suffix", "text"), [(".json", '[{"a": 1}]'), (".jsonl", '{"a": 1}\n')])
def test_json_files_may_have_a_mark_and_be_compressed(tmp_path: Path, suffix: str, text: str) -> None:
    assert rows(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode()), f"{suffix}.gz") == [{"a": 1}]


def test_columns_are_renamed_and_ignored(tmp_path: Path) -> None:
    found = rows(tmp_path, "Etage,Name,x\n1,a,\n", columns={"Etage": "parentFloor"}, ignore=["x"])
    assert found == [{"parentFloor": "1", "Name": "a"}]


def test_a_name_that_no_row_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'Etag' .*did you mean 'Etage'"):
        rows(tmp_path, "Etage,Name\n1,a\n", columns={"Etag": "parentFloor"})


def test_two_columns_for_one_field_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'b' twice"):
        rows(tmp_path, "a,b\n1,2\n", columns={"a": "b"})


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="min_rows"):
        rows(tmp_path, "a,b\n1,2\n", min_rows=2)


def test_a_list_that_a_template_made_a_text_is_one_short_error() -> None:
    with pytest.raises(InputError, match=r"\.output") as caught:
        list(read_source(str([{"id": 1}] * 50_000), "source"))
    assert len(str(caught.value)) < 400


NAMES = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(st.data())
def test_any_table_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = data.draw(st.lists(NAMES, min_size=2, max_size=4, unique_by=lambda name: name.lower()))
    table = data.draw(
        st.lists(st.lists(VALUES, min_size=len(names), max_size=len(names)), min_size=1, max_size=5)
    )
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    with path.open(
        "w", newline="", encoding=data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    ) as file:
        writer = csv.writer(file, delimiter=data.draw(st.sampled_from(",;\t|")))
        writer.writerows([names, *table])
    try:
        found = [row for _, row in read_source(str(path), "source")]
    except InputError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "csv_delimiter" in refusal or "more than once" in refusal
        return
    keys = [unicodedata.normalize("NFC", name) for name in names]
    wanted = [{name: value for name, value in zip(keys, row, strict=True) if value} for row in table]
    assert found == [row for row in wanted if row]


def test_a_column_may_be_named_like_a_file_format(tmp_path: Path) -> None:
    assert rows(tmp_path, "PAR1;PK\n1;2\n") == [{"PAR1": "1", "PK": "2"}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "is compressed with gzip, so its name must end in .gz"),
        (b"PK\x03\x04\x14\0\x06\0", "is a ZIP file, such as an Excel workbook"),
        (b"PAR1\x15\x04\x15\0", "is a Parquet file, so its name must end in .parquet"),
    ],
    ids=["gzip", "zip", "parquet"],
)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, suffix: str, data: bytes, said: str) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        list(read_source(str(path), "source"))


FORMS = ["Größe", unicodedata.normalize("NFD", "Größe"), " Größe\u00a0"]


@pytest.mark.parametrize("given", FORMS)
@pytest.mark.parametrize("there", FORMS)
def test_names_of_columns_are_compared_in_one_normal_form(given: str, there: str) -> None:
    found = list(read_source([{there: 1, " x ": 2}], "source", RowOptions({given: "size"}, [" x"])))
    assert found == [(1, {"size": 1})]
    assert RowOptions({given: "size", there: "other"} if given != there else {"a": "b", "b": "b"}).problems()
    assert RowOptions({given: "size"}, [there]).problems() == ["'Größe' is in columns and in ignore"]


@pytest.mark.parametrize("number", [7, 1.5, None, ("a", 1)])
def test_a_column_whose_name_is_no_text_stays_as_it_is(number: Any) -> None:
    found = list(read_source([{number: 1, "x": 2}], "source", RowOptions({"x": "y"})))
    assert found == [(1, {number: 1, "y": 2})]
    with pytest.raises(InputError, match="'z' of columns or ignore is in no row"):
        list(read_source([{number: 1}], "source", RowOptions({"z": "y"})))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_table_of_a_library_is_refused_with_the_way_to_its_rows(kind: str) -> None:
    library = pytest.importorskip(kind)
    table = library.table({"a": [1]}) if kind == "pyarrow" else library.DataFrame({"a": [1]})
    with pytest.raises(InputError, match=r"is a (DataFrame|Table); pass its rows as a list"):
        list(read_source(table, "source"))


def task(**options: Any) -> RowOperator:
    return RowOperator(task_id="rows", **options)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("csv_delimiter", 5, "csv_delimiter must be one character, such as ';', not 5"),
        ("csv_delimiter", "tab", "csv_delimiter must be one character"),
        ("csv_delimiter", '"', "csv_delimiter must be one character"),
        ("csv_delimiter", "\n", "csv_delimiter must be one character"),
        ("encoding", "rot13", "encoding 'rot13' is not known"),
        ("encoding", "base64", "encoding 'base64' is not known"),
        ("encoding", "cp9999", "encoding 'cp9999' is not known"),
        ("encoding", "ut\0f", "is not known"),
        ("encoding", 5, "encoding 5 is not known"),
        ("source_format", 5, "source_format must be a text"),
        ("min_rows", "", "'min_rows' must be a whole number of at least 0, or None, not ''"),
        ("min_rows", "many", "'min_rows' must be a whole number"),
        ("min_rows", -1, "'min_rows' must be a whole number"),
        ("columns", "{'a': 'b'}", r"columns must be an object.*\.output"),
        ("columns", {"a": None}, "columns must be an object"),
        ("columns", {" ": "b"}, "columns must be an object"),
        ("columns", {"a": "b", "c": "b"}, "columns names the field 'b' twice"),
        ("columns", {"a": "b", "a ": "c"}, "columns has the name 'a' twice"),
        ("ignore", "['a']", r"ignore must be a list.*\.output"),
        ("ignore", "a", "ignore must be a list"),
        ("ignore", [None], "ignore must be a list"),
        ("ignore", [""], "ignore must be a list"),
    ],
    ids=lambda value: ascii(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_options_of_rows_are_checked_as_arguments(name: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        task(**{name: value}).row_options()
    assert len(caught.value.problems) == 1


def test_all_bad_options_of_rows_are_told_together() -> None:
    rows = task(csv_delimiter=5, encoding="rot13", source_format=3, min_rows="", columns="x", ignore="y")
    with pytest.raises(InputError) as caught:
        rows.row_options()
    assert len(caught.value.problems) == 6


def test_options_that_a_template_made_texts_are_read() -> None:
    # A limit or a marker that became such a text was lost by its template.
    names = [name for name in RowOperator.ROW_FIELDS if name not in ("min_rows", "complete")]
    for text in ("None", ""):
        assert task(**dict.fromkeys(names, text)).row_options() == RowOptions(ignore=None)
        with pytest.raises(InputError) as caught:
            task(min_rows=text, complete=text).row_options()
        assert len(caught.value.problems) == 2
    assert task(min_rows="5", csv_delimiter="\\t").row_options() == RowOptions(
        ignore=None, min_rows=5, csv_delimiter="\t"
    )
    assert task(min_rows=5.0).row_options().min_rows == 5


@pytest.mark.parametrize("text", ["[{'a': 1}]", "({'a': 1},)", "('a', 'b')", ' {"a": 1}', "[[1]]"])
def test_the_text_of_a_list_or_tuple_is_told_from_a_path(text: str) -> None:
    with pytest.raises(InputError, match="is the text of a list"):
        list(read_source(text, "source"))


class Slow(BytesIO):
    """A file that gives a few bytes at once, as one in object storage may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(5)


def table(data: bytes, delimiter: str | None = None, **options: Any) -> list[tuple[int, dict[str, str]]]:
    return list(csv_reader.read_csv(Slow(data), "rows", delimiter, **options))


def test_a_file_that_comes_in_small_pieces_is_read() -> None:
    expected = [(1, {"id": "1", "name": "Müller"}), (2, {"id": "2", "name": "Å"})]
    for codec in ("utf-8", "utf-8-sig", "utf-16"):
        assert table("id;name\n1;Müller\n2;Å\n".encode(codec)) == expected


def test_the_beginning_of_a_file_ends_with_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_SAMPLE_BYTES", 10)
    file = Slow(b"0123456789abcde")
    assert csv_reader._peek(file) == b"0123456789"
    assert csv_reader._peek(file) == b"abcde"
    assert csv_reader._peek(file) == b""


def test_a_line_that_is_too_long_is_named_with_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_MAX_LINE", 1 << 20)
    file = csv_reader.JoinedFile(b"", BytesIO(b"x" * (1 << 20) + b"y"), "rows")
    assert file.readinto(bytearray(1 << 20)) == 1 << 20
    with pytest.raises(InputError, match="^rows: has a line of more than 1 MiB$"):
        file.readinto(bytearray(9))


@pytest.mark.parametrize("delimiter", [";;", '"', "\r"])
def test_a_delimiter_that_is_none_is_refused_with_its_argument(delimiter: str) -> None:
    with pytest.raises(InputError) as caught:
        table(b"a;b\n1;2\n", delimiter)
    said = f"rows: csv_delimiter must be one character such as ';', not {delimiter!r}"
    assert str(caught.value) == said


def test_the_columns_are_told_without_those_that_have_no_name() -> None:
    told: list[list[str]] = []
    assert table(b" a ,b,,\n1,,,\n", on_columns=told.append) == [(1, {"a": "1"})]
    assert told == [["a", "b"]]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            b"a,b\n1\n",
            "row 1 has 1 values, but the header has 2 columns (delimiter comma; if that is wrong, pass",
        ),
        (
            b"a#b\n1\n",
            "row 1 has 1 values, but the header has 2 columns (delimiter '#'; if that is wrong, pass",
        ),
        (b"a,b,a,b\n", "the header has 'a', 'b' more than once"),
        (b"a;b,c\n1;2,3\n", "the delimiter is unclear: comma and semicolon both fit; pass csv_delimiter"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_exactly(data: bytes, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        table(data, "#" if b"#" in data else None)
    assert str(caught.value).startswith(f"rows: {problem}")


def test_a_delimiter_is_believed_by_a_hundred_rows() -> None:
    equal = "a;b\n" + "1;2\n" * 99
    assert detect_delimiter(equal + "1,2;3;4\n", "rows") == ";"
    assert detect_delimiter("a\n1\n", "rows") == ","
    assert detect_delimiter('a;b\n"1;2', "rows") == ";"


def test_of_a_long_sample_the_last_line_is_left_out() -> None:
    rest = "1;" + "2" * 17_000
    with pytest.raises(InputError, match="comma and semicolon both fit"):
        detect_delimiter(f"a,b;c\n{rest}", "rows")
    assert detect_delimiter(f"a,b;c\n{rest[:16_000]}", "rows") == ";"
    quoted = 'a;b\n"1;x";2\n' + '"1;x,y";2\n' * 2000
    assert detect_delimiter(quoted, "rows") == ";"


def test_a_field_may_be_long_whatever_the_process_allows() -> None:
    csv.field_size_limit(100)
    assert table(b"a;b\n1;" + b"x" * 200 + b"\n") == [(1, {"a": "1", "b": "x" * 200})]


def test_a_byte_that_is_no_utf_8_after_a_mark_of_it_has_the_same_advice() -> None:
    with pytest.raises(InputError, match=r"byte 0xfc is not utf-8-sig: .* such as Excel's cp1252"):
        table(b"\xef\xbb\xbfa;b\n1;M\xfcller\n")


def test_only_what_follows_the_last_line_end_counts_as_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_MAX_LINE", 3)
    file = csv_reader.JoinedFile(b"aa\nbb\ncc\nddd", BytesIO(b"\neee"), "rows")
    assert [file.readinto(bytearray(12)), file.readinto(bytearray(12))] == [12, 4]
    too_long = csv_reader.JoinedFile(b"\naaa", BytesIO(b"a"), "rows")
    assert too_long.readinto(bytearray(9)) == 4
    with pytest.raises(InputError):
        too_long.readinto(bytearray(9))


def test_an_error_of_quotes_has_a_hint_only_where_one_may_be_open() -> None:
    with pytest.raises(InputError) as caught:
        table(b'id,a\n1,"x"y\n')
    assert str(caught.value) == "rows: row 1 cannot be read as CSV: ',' expected after '\"'"


def test_all_whole_lines_of_a_long_sample_are_compared() -> None:
    assert detect_delimiter("a;b,c\n" + "1;2\n" * 5000, "rows") == ";"
    rest = "1;" + "2" * (16 * 1024 - 8)
    assert len(f"a,b;c\n{rest}") == 16 * 1024
    with pytest.raises(InputError, match="both fit"):
        detect_delimiter(f"a,b;c\n{rest}", "rows")


@pytest.mark.parametrize(
    ("mark", "codec", "found"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    ],
)
def test_each_mark_names_its_encoding(mark: bytes, codec: str, found: str) -> None:
    data = mark + "id;name\n1;Müller\n".encode(codec)
    assert detect_encoding(data, "rows") == found
    assert table(data) == [(1, {"id": "1", "name": "Müller"})]


def test_the_mark_that_contradicts_an_encoding_is_named_without_its_suffix() -> None:
    with pytest.raises(InputError) as caught:
        detect_encoding(codecs.BOM_UTF8 + b"id", "rows", "cp1252")
    assert str(caught.value) == (
        "rows: begins with the mark of utf-8, and encoding is 'cp1252'; leave it out"
    )
