"""Patterns: where wildcards begin, what they match, which names are skipped, and the order of names."""

from __future__ import annotations

import pytest

from airflow_provider.core.files.paths.patterns import (
    bad_range,
    component_regex,
    is_skipped,
    natural_key,
    path_regex,
    split_path,
)


@pytest.mark.parametrize(
    ("source", "base", "rest"),
    [
        ("/data/a.csv", "/data/", ["a.csv"]),
        ("/data/", "/data/", ["**"]),
        ("a.csv", "", ["a.csv"]),
        ("/data/*.csv", "/data/", ["*.csv"]),
        ("/data/*/b/?.csv", "/data/", ["*", "b", "?.csv"]),
        ("/data/[ab]/", "/data/", ["[ab]", "**"]),
        ("s3://conn@bucket/x/*.csv", "s3://conn@bucket/x/", ["*.csv"]),
        ("s3://bucket/a.csv", "s3://bucket/", ["a.csv"]),
        ("s3://bucket*/a.csv", "s3://bucket*/", ["a.csv"]),
        ("s3://bucket/**/a.csv", "s3://bucket/", ["**", "a.csv"]),
    ],
)
def test_a_path_is_split_before_its_first_wildcard(source: str, base: str, rest: list[str]) -> None:
    assert split_path(source) == (base, rest)


@pytest.mark.parametrize(
    ("components", "path", "matches"),
    [
        (["*.csv"], "a.csv", True),
        (["*.csv"], "b/a.csv", False),
        (["*.csv"], ".csv", True),
        (["a?.csv"], "ab.csv", True),
        (["a?.csv"], "a.csv", False),
        (["a?.csv"], "a/.csv", False),
        (["[ab].csv"], "a.csv", True),
        (["[!ab].csv"], "a.csv", False),
        (["[!ab].csv"], "c.csv", True),
        (["[!ab].csv"], "/.csv", False),
        (["[a-c^].csv"], "^.csv", True),
        (["[a-c^].csv"], "X.csv", False),
        (["[a-c^].csv"], "\\.csv", False),
        (["[\\d].csv"], "7.csv", False),
        (["[\\d].csv"], "\\.csv", True),
        (["[a||b&&c].csv"], "&.csv", True),
        (["[a].csv"], "[a].csv", False),
        (["[.csv"], "[.csv", True),
        (["[]a]x"], "ax", False),
        (["a.csv"], "aXcsv", False),
        (["**", "a.csv"], "a.csv", True),
        (["**", "a.csv"], "x/y/a.csv", True),
        (["**", "a.csv"], "x/ya.csv", False),
        (["x", "**"], "x/y/z", True),
        (["x", "**"], "x/", False),
        (["x", "**"], "y/x/z", False),
        (["**"], "a\nb", True),
        (["b*", "*"], "bc/d", True),
    ],
)
def test_a_pattern_matches_whole_components(components: list[str], path: str, matches: bool) -> None:
    assert bool(path_regex(components, literal=False).fullmatch(path)) is matches


def test_brackets_and_question_marks_may_stand_for_themselves() -> None:
    assert path_regex(["[a]?*"], literal=True).fullmatch("[a]?b")
    assert not path_regex(["[a]?*"], literal=True).fullmatch("abc")
    assert component_regex("[a]", literal=False) == "[a]"


@pytest.mark.parametrize(("component", "bad"), [("[z-a]", True), ("[a-z]", False), ("a", False)])
def test_a_range_whose_end_is_before_its_beginning_is_bad(component: str, bad: bool) -> None:
    assert bad_range(component) is bad


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("a.csv", False, False),
        (".a", True, True),
        ("_SUCCESS", True, True),
        ("_year=2026", True, False),
        ("a._COPYING_", True, True),
        ("a_$folder$", True, True),
        ("a.csv.report.html", True, True),
        ("a_b", False, False),
    ],
)
def test_hidden_names_markers_and_unfinished_files_are_skipped(name: str, file: bool, folder: bool) -> None:
    assert (is_skipped(name), is_skipped(name, folder=True)) == (file, folder)


def test_names_are_sorted_by_their_numbers() -> None:
    names = ["part-10", "part-2", "part-02", "10", "a", "part-2b", "9x"]
    assert sorted(names, key=natural_key) == ["9x", "10", "a", "part-02", "part-2", "part-2b", "part-10"]
