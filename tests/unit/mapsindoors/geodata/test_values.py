"""Values: any scalar of Python, NumPy or pandas is understood, or refused with row, key and field."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata.rows import RowReader
from airflow_provider.mapsindoors.plan.desired import raise_for_rows, read_defaults, read_desired_rows
from tests.support.hypothesis_sizes import examples

pytestmark = pytest.mark.slow  # values do not depend on versions


class Kind(Enum):
    ROOM = "room"


FIELDS = [
    *("externalId", "baseType", "displayTypeId", "status", "name@en", "administrativeid", "capacity"),
    *("obstacle", "activefrom", "activeto", "class", "lon", "lat", "parentFloor", "parentExternalId"),
    *("geometry", "anchor", "aliases", "categories", "additionalDetails", "displaySetting", "properties"),
    *("baseTypeProperties", "datasetId", "parentId", "id", "nonsense"),
]
NUMBERS = st.integers() | st.floats() | st.decimals() | st.fractions() | st.complex_numbers()
TIMES = st.dates() | st.datetimes() | st.times() | st.timedeltas() | st.datetimes(timezones=st.just(UTC))
SCALARS = (
    st.none()
    | st.booleans()
    | NUMBERS
    | TIMES
    | st.text(st.characters())
    | st.binary()
    | st.uuids()
    | st.sampled_from([pd.NA, pd.NaT, Kind.ROOM, ip_address("::1"), object(), Ellipsis, np.datetime64("NaT")])
    | st.builds(np.int64, st.integers(-(2**63), 2**63 - 1))
    | st.builds(np.float32, st.floats(width=32))
    | st.builds(np.bool_, st.booleans())
    | st.builds(np.str_, st.text(st.characters(exclude_categories=["Cs"])))
    | st.builds(pd.Timestamp, st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)))
    | st.builds(pd.Timedelta, st.integers(0, 10**9))
    | st.builds(np.array, st.lists(st.floats(), max_size=3))
    | st.builds(memoryview, st.binary())
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@settings(max_examples=examples(400), deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_any_value_is_understood_or_refused_with_row_and_field(row: dict[str, Any]) -> None:
    rows = read_desired_rows([{"externalId": "R-1"}, row])
    for problem in rows[1].problems:
        assert any(field.lower() in problem.lower() for field in row) or "longitude" in problem
    if rows[1].problems:
        with pytest.raises(InputError, match="row 2"):
            raise_for_rows(rows, "source", "externalId")
    else:
        assert json.loads(json.dumps(rows[1].item, allow_nan=False)) == rows[1].item


def one(field: str, value: Any) -> Any:
    item, references, problems = RowReader().read({field: value})
    assert not problems
    if field in references:
        return references[field]
    return item.get(field, item.get("baseTypeProperties", item.get("properties", {})).get(field))


NAN = float("nan")


@pytest.mark.parametrize(
    "value",
    [None, NAN, np.nan, np.float32("nan"), pd.NA, pd.NaT, Decimal("NaN")],
    ids=["None", "nan", "numpy", "float32", "NA", "NaT", "Decimal"],
)
@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field not in ("nonsense", "geometry", "anchor")]
)
def test_a_missing_value_is_not_owned(field: str, value: Any) -> None:
    assert RowReader().read({field: value})[::2] == ({}, [])


@pytest.mark.parametrize("value", [None, NAN, pd.NA, pd.NaT], ids=["None", "nan", "NA", "NaT"])
@pytest.mark.parametrize("field", ["geometry", "anchor", "wkt", "wkb_geometry"])
def test_a_missing_geometry_is_not_owned(field: str, value: Any) -> None:
    assert RowReader().read({field: value})[::2] == ({}, [])


UNDERSTOOD: list[tuple[str, Any, Any]] = [
    ("externalId", 12.0, "12"),
    ("externalId", np.int64(12), "12"),
    ("externalId", np.float64(12.0), "12"),
    ("externalId", Decimal("12.0"), "12"),
    ("externalId", Decimal("12.50"), "12.5"),
    ("externalId", UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ("externalId", "\u00a0R\u0061\u030a-1 ", "R\u00e5-1"),
    ("externalId", Kind.ROOM, "room"),
    ("status", 1.0, 1),
    ("status", "3", 3),
    ("status", "3.0", 3),
    ("status", np.int8(2), 2),
    ("capacity", 4.0, "4"),
    ("capacity", "4.0", "4"),
    ("capacity", np.float32(4), "4"),
    ("capacity", "", ""),
    ("obstacle", True, "true"),
    ("obstacle", np.bool_(False), "false"),
    ("obstacle", 1.0, "true"),
    ("obstacle", "FALSE", "false"),
    ("parentFloor", 0.0, "0"),
    ("parentFloor", "0.0", "0"),
    ("parentFloor", -10, "-10"),
    ("parentFloor", Decimal("10"), "10"),
    ("parentExternalId", 7.0, "7"),
    ("activefrom", "2026-01-31", "2026-01-31T00:00:00Z"),
    ("activefrom", date(2026, 1, 31), "2026-01-31T00:00:00Z"),
    ("activefrom", "2026-01-31T08:00:00+01:00", "2026-01-31T07:00:00Z"),
    ("activeto", datetime(2026, 1, 31, 8, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T06:00:00Z"),
    ("activeto", pd.Timestamp("2026-01-31T08:00:00Z"), "2026-01-31T08:00:00Z"),
    ("activeto", "", ""),
    ("name@en", 12.0, "12"),
    ("name@en", " as it is ", " as it is "),
    ("aliases", np.array(["a", "b"]), ["a", "b"]),
    ("aliases", ("a", 2), ["a", "2"]),
    ("aliases", '["a; b", "c"]', ["a; b", "c"]),
    ("categories", "WORK; FOOD ;", ["WORK", "FOOD"]),
]


def named(number: int, case: tuple[Any, ...]) -> str:
    """Return an id of a case that is the same in every process; reprs of objects have addresses."""
    return f"{number}-{case[0]}-{type(case[1]).__name__}"


@pytest.mark.parametrize(
    ("field", "value", "wanted"), UNDERSTOOD, ids=[named(*case) for case in enumerate(UNDERSTOOD)]
)
def test_a_value_becomes_the_services(field: str, value: Any, wanted: Any) -> None:
    found = one(field, value)
    assert (found, type(found)) == (wanted, type(wanted))


REFUSED: list[tuple[str, Any, str]] = [
    ("externalId", float("inf"), "externalId is inf"),
    ("externalId", True, "externalId must be a text, not True"),
    ("externalId", 4006381333931000123.0, "digits are not exact"),
    ("externalId", b"R-1", "externalId is binary"),
    ("externalId", ["R-1"], "externalId must be a text"),
    ("status", 1.5, "status must be 0, 1, 2 or 3, not 1.5"),
    ("status", True, "status must be 0, 1, 2 or 3, not True"),
    ("status", "", "status must be 0, 1, 2 or 3, not ''"),
    ("capacity", "nan", "capacity must be a whole number, not 'nan'"),
    ("capacity", 2.5, "capacity must be a whole number"),
    ("capacity", -1, "capacity must be a whole number of at least 0"),
    ("capacity", float("-inf"), "capacity is -inf"),
    ("obstacle", "maybe", "obstacle must be true or false"),
    ("activefrom", "next Tuesday", "activefrom must be a date in ISO 8601"),
    ("activefrom", "31.01.2026", "activefrom must be a date in ISO 8601"),
    ("activeto", "2026-01-31T08:00:00", "without a time zone"),
    ("activeto", datetime(2026, 1, 31), "without a time zone"),
    ("activeto", pd.Timestamp("2026-01-31"), "without a time zone"),
    ("activeto", time(8), "activeto must be a date"),
    ("activeto", 1_767_225_600, "activeto must be a date"),
    ("name@en", b"\xff", "name@en is binary"),
    ("name@en", ["a"], "name@en must be a text"),
    ("name@en", Fraction(1, 3), "name@en is a fractions.Fraction"),
    ("name@en", timedelta(1), "name@en is a datetime.timedelta"),
    ("name@en", "\ud800", "no valid Unicode text"),
    ("aliases", [None], "aliases must be a list of texts"),
    ("aliases", 7, "aliases must be a list of texts"),
    ("additionalDetails", {"key": "a"}, "additionalDetails must be a list"),
    ("displaySetting", "[1]", "displaySetting must be an object"),
    ("properties", "text", "properties must be an object"),
    ("properties", '{"name@en": ', "properties is not JSON"),
    ("baseTypeProperties", {"capacity": "nan"}, "baseTypeProperties 'capacity' must be a whole number"),
    ("parentId", 12, "parentId must be a text of 24 hexadecimal digits"),
    ("parentId", "", "parentId must be a text of 24 hexadecimal digits"),
    ("lat", "1.234,5", "lat must be a number"),
    ("lat", float("inf"), "lat is inf"),
    ("lat", True, "lat must be a number"),
]


@pytest.mark.parametrize(
    ("field", "value", "words"), REFUSED, ids=[named(*case) for case in enumerate(REFUSED)]
)
def test_a_value_that_does_not_fit_is_refused(field: str, value: Any, words: str) -> None:
    problems = RowReader().read({field: value, "lon": 9.91} if field == "lat" else {field: value})[2]
    assert [problem for problem in problems if words in problem] == problems


@pytest.mark.parametrize(
    ("lon", "lat"),
    [("9,91", "57,1"), (" 9.91", "57.1 "), (Decimal("9.91"), np.float64(57.1)), ("9.91", "5.71e1")],
    ids=["comma", "blanks", "scalars", "exponent"],
)
def test_coordinates_are_numbers_or_texts_with_point_or_comma(lon: Any, lat: Any) -> None:
    assert one("geometry", None) is None
    item, _, problems = RowReader().read({"lon": lon, "latitude": lat})
    assert (item["geometry"]["coordinates"], problems) == ([9.91, 57.1], [])


def test_half_a_place_is_refused() -> None:
    for row in ({"lon": 9.9}, {"lon": 9.9, "lat": NAN}, {"lon": 9.9, "lat": ""}):
        assert len(RowReader().read(row)[2]) == 1
    both = {"lon": 9.9, "lat": 57.1, "geometry": "POINT (9.9 57.1)"}
    assert "needs either a geometry" in RowReader().read(both)[2][0]


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ({"capacity": "nan"}, "capacity must be a whole number"),
        ({"nam": "X"}, "did you mean 'name'"),
        ([1], "must be an object"),
        ("{'status': 1}", "is the text of a list"),
    ],
)
def test_defaults_are_read_as_rows_are(defaults: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_defaults(defaults)
    assert read_defaults({"status": 1.0, "capacity": NAN}).item == {"status": 1}


def test_names_of_columns_have_no_blanks_around_them() -> None:
    item, _, problems = RowReader().read({" name@en ": "Desk", "\u00a0status": 1})
    assert (item, problems) == ({"properties": {"name@en": "Desk"}, "status": 1}, [])
    assert "is given twice" in RowReader().read({"status": 1, "status ": 1})[2][0]
    assert "whose name is no text" in RowReader().read({7: 1})[2][0]  # type: ignore[dict-item]
