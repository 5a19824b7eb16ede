"""Values of a sync: which of them are the same, and which a field does not hold."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
import shapely

from airflow_provider.amigocloud.pagination import Column
from airflow_provider.amigocloud.sync.compare import row_hash
from airflow_provider.amigocloud.sync.fields import Field, Schema
from airflow_provider.amigocloud.sync.rows import new_id
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.errors import InputError, VerificationError
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from tests.support.desks import COLUMNS, DESKS, POINT, desk

TYPED = 4003
ID = "aaaaaaaa-0000-4000-8000-00000000000{}"
MORE = [
    *COLUMNS,
    {"name": "small", "type": "real"},
    {"name": "exact", "type": "number"},
    {"name": "extra", "type": "json"},
    {"name": "uid", "type": "uuid"},
]


@pytest.fixture
def typed(service: Any, sync: Any) -> Any:
    """Return a function that syncs five rows with further types, and returns counts and rows."""
    rows = [{**desk(n), "uid": ID.format(n)} for n in range(5)]
    service.store.add(Dataset(TYPED, 1234, "typed", [dict(one) for one in MORE]), rows)

    def run(source: list[dict[str, Any]], **arguments: Any) -> tuple[list[int], list[dict[str, Any]]]:
        result = sync(source, dataset=TYPED, **arguments)
        found = service.store.select(f"SELECT * FROM dataset_{TYPED} ORDER BY amigo_id", -1, 0).rows
        return [result[name] for name in ("create", "update", "unchanged")], found

    return run


CHANGES = [
    (20_000_000, 20_000_001),
    (16777216.0, 16777217.0),
    (1.7e12, 1_700_000_000_123),
    (14_000_000, 14_000_000.4),
    (0.1, 0.1000000015),
    (0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0]),
    (1e30, 1.0000000001e30),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
@pytest.mark.parametrize("kind", ["float", "double precision", "unknown(701)", "number", "numeric"])
def test_a_change_of_a_number_is_one_however_small(kind, before, after):
    field = Field("price", kind)
    assert not field.is_equal(before, field.read(after))
    assert not field.is_equal(after, field.read(before))
    assert field.is_equal(float(after), field.read(after))
    assert field.is_equal(repr(float(after)), field.read(repr(after)))


@pytest.mark.both_engines
def test_small_changes_of_numbers_are_written(typed):
    typed([{"code": "D-1", "price": 20_000_000}, {"code": "D-2", "price": 1.7e12}])
    rows = [{"code": "D-1", "price": 20_000_001}, {"code": "D-2", "price": 1_700_000_000_123}]
    counts, found = typed(rows)
    assert counts == [0, 2, 0]
    assert (found[1]["price"], found[2]["price"]) == (20_000_001, 1_700_000_000_123)
    assert typed(rows)[0] == [0, 0, 2]


def test_a_number_of_32_bits_is_what_the_field_holds_of_it():
    for kind in ("real", "unknown(700)"):
        field = Field("small", kind)
        assert field.is_equal(16777216, field.read(16777217))
        assert field.is_equal(0.1, field.read(0.1))
        assert field.is_equal(struct.unpack("<f", struct.pack("<f", 0.1))[0], field.read("0.1"))
        assert not field.is_equal(16777216, field.read(16777218))
        for value in (1e39, -1e39, 1e-50):
            with pytest.raises(UnreadableValueError, match="32 bits"):
                field.read(value)


@pytest.mark.both_engines
def test_a_row_with_a_number_of_32_bits_settles(typed):
    rows = [
        {"code": "D-1", "small": 16777217},
        {"code": "D-2", "small": 1 / 3},
        {"code": "D-3", "small": 0.1},
    ]
    assert typed(rows)[0] == [0, 3, 0]
    assert typed(rows)[0] == [0, 0, 3]


def test_a_reply_tells_that_a_float_has_32_bits():
    schema = Schema([{"name": "price", "type": "float"}, {"name": "exact", "type": "number"}])
    assert not schema.fields["price"].is_equal(16777216, 16777217)
    schema.learn([Column("price", "real"), Column("exact", "real"), Column("other", "real")])
    assert schema.fields["price"].is_equal(16777216, 16777217)
    assert not schema.fields["exact"].is_equal(16777216, 16777217)


def test_a_float_that_the_service_rounds_is_named(sync, service):
    service.store.db.execute(
        f"CREATE TRIGGER rounded AFTER UPDATE OF price ON dataset_{DESKS} WHEN new.price = 16777217"
        f" BEGIN UPDATE dataset_{DESKS} SET price = 16777216 WHERE amigo_id = new.amigo_id; END"
    )
    with pytest.raises(VerificationError, match=r"\(D-1\): price is 16777216.0, not 16777217"):
        sync([{"code": "D-1", "price": 16777217}])


UPPER = [ID.format(n).upper() for n in range(5)]


@pytest.mark.both_engines
def test_a_uuid_is_the_same_key_in_any_case(typed):
    rows = [{"uid": uid, "label": f"of {n}"} for n, uid in enumerate(UPPER)]
    counts, found = typed(rows, key="uid", missing="delete")
    assert counts == [0, 5, 0]
    assert [(row["code"], row["label"]) for row in found] == [(f"D-{n}", f"of {n}") for n in range(5)]
    assert typed(rows, key="uid")[0] == [0, 0, 5]
    forms = [f"{{{UPPER[1]}}}", UPPER[2].replace("-", ""), UUID(UPPER[3])]
    assert typed([{"uid": form} for form in forms], key="uid")[0] == [0, 0, 3]
    with pytest.raises(InputError, match=r"row 2 .*has the uid of row 1"):
        typed([{"uid": UPPER[1]}, {"uid": UPPER[1].lower()}], key="uid")


@pytest.mark.both_engines
def test_a_uuid_that_is_no_key_is_verified_in_any_form(typed):
    rows = [{"code": "D-1", "uid": UPPER[4]}, {"code": "D-2", "uid": f"{{{UPPER[3]}}}"}]
    counts, found = typed(rows)
    assert (counts, found[1]["uid"]) == ([0, 2, 0], UPPER[4].lower())
    assert typed(rows)[0] == [0, 0, 2]


@pytest.mark.parametrize("value", ["", "x", "aaaaaaaa", 5, UPPER[1] + "0", f"{UPPER[1][:-1]}g"])
def test_what_is_no_uuid_is_refused(value):
    for kind in ("uuid", "UUID", "unknown(2950)"):
        with pytest.raises(UnreadableValueError, match="must be a UUID"):
            Field("uid", kind).read(value)


SAME = "f" * 32


@pytest.mark.parametrize("key", ["code", "label"])
@pytest.mark.parametrize("given", [" N-é ", "N-e\u0301\u00a0", "N-é" + 20 * " "])
def test_a_key_is_written_in_its_normal_form(sync, desks, key, given):
    assert sync([{key: given, "seats": 4}], key=key)["create"] == 1
    assert [row[key] for row in desks().values() if row["seats"] == 4] == ["N-é"]
    assert sync([{key: "N-é", "seats": 4}], key=key)["unchanged"] == 1


@pytest.mark.parametrize(
    "given",
    [
        datetime(2026, 1, 31),
        datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2026-01-31"),
        pd.Timestamp("2026-01-31", tz="Europe/Berlin"),
        "2026-01-31T00:00:00",
    ],
)
def test_midnight_is_a_date_whatever_its_zone(sync, desks, given):
    assert sync([{"code": "D-1", "bought_on": given}])["update"] == 1
    assert desks()["D-1"]["bought_on"] == "2026-01-31"


@pytest.mark.parametrize("given", [datetime(2026, 1, 31, 1), pd.Timestamp("2026-01-31 01:00", tz="UTC")])
def test_another_time_of_day_is_no_date(sync, given):
    with pytest.raises(InputError, match=r"row 1 \(D-1\): bought_on must be a date, such as 2026-01-31, not"):
        sync([{"code": "D-1", "bought_on": given}])
    assert sync([{"code": "D-1", "bought_on": pd.NaT}])["unchanged"] == 1


def test_two_rows_with_one_amigo_id_are_refused(sync, desks):
    rows = [
        {"code": "N-1", "label": "a", "amigo_id": SAME},
        {"code": "N-2", "label": "b", "amigo_id": SAME},
    ]
    with pytest.raises(InputError, match=rf"row 2 \(N-2\): has the amigo_id of row 1 \(N-1\): {SAME}"):
        sync(rows)
    assert len(desks()) == 30
    result = sync(rows, on_row_error="skip")
    assert (result["create"], result["failed"]) == (1, 1)
    assert desks()["N-1"]["amigo_id"] == SAME


def test_the_amigo_id_of_another_row_is_refused(sync, desks):
    own = desk(2)["amigo_id"]
    rows = [{"code": "N-1", "amigo_id": own}, {"code": "D-2", "label": "x"}]
    with pytest.raises(
        InputError, match=rf"row 1 \(N-1\): amigo_id {own} belongs to a row with another code"
    ):
        sync(rows)
    with pytest.raises(InputError, match=r"row 2 \(D-2\): has the amigo_id of row 1 \(N-1\)"):
        sync([rows[0], {**rows[1], "amigo_id": own}])
    assert desks()["D-2"] == desk(2)


def test_an_amigo_id_that_a_row_names_is_not_given_to_another_one(sync, desks):
    named = new_id(str(DESKS), "code", "N-1")
    assert sync([{"code": "N-1"}, {"code": "N-2", "amigo_id": named}])["create"] == 2
    found = desks()
    assert found["N-2"]["amigo_id"] == named != found["N-1"]["amigo_id"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [2**31, -(2**31) - 1, str(2**31), "9" * 25, "9" * 5000, Decimal(2**31), 2.0**31]),
        ("smallint", [2**15, -(2**15) - 1]),
        ("bigint", [2**63, "9" * 25, 1e19]),
        ("number", ["9" * 5000, "1e999"]),
        ("float", ["1e400", "9" * 5000]),
        ("string", ["a\0b", "ä\0"]),
        ("json", ["a\0", {"a": ["\0"]}, {"\0": 1}]),
    ],
)
def test_a_value_that_the_field_does_not_hold_is_refused(typed, kind, values):
    names = {"integer": "seats", "number": "exact", "float": "price", "string": "label", "json": "extra"}
    for value in values:
        if isinstance(value, Decimal) or Field("x", kind).plain is not type(value):
            read = float(value) if isinstance(value, Decimal) else value
            with pytest.raises(UnreadableValueError):
                Field("x", kind).read(read)
        else:
            assert not Field("x", kind).fits(value)
    if (name := names.get(kind)) is None:
        return
    with pytest.raises(InputError) as caught:
        typed([{"code": f"D-{n}", name: value} for n, value in enumerate(values)])
    assert [line.split(" ")[:4] for line in caught.value.problems] == [
        ["row", str(n + 1), f"(D-{n}):", name] for n in range(len(values))
    ]


def test_the_greatest_values_of_a_field_are_held():
    for kind, bits in (("smallint", 16), ("integer", 32), ("bigint", 64)):
        for value in (2 ** (bits - 1) - 1, -(2 ** (bits - 1))):
            assert Field("n", kind).fits(value)
            assert Field("n", kind).read(str(value)) == value
    assert Field("n", "number").read(str(2**53 + 1)) == 2**53 + 1
    assert Field("n", "float").read("1e30") == 1e30


def test_true_is_no_1_in_json(typed):
    for value in ({"a": 1}, {"a": True}, [1], [True], [[0]], [[False]]):
        assert typed([{"code": "D-1", "extra": value}])[0] == [0, 1, 0]
    assert typed([{"code": "D-1", "extra": [[False]]}])[0] == [0, 0, 1]
    field = Field("extra", "json")
    assert field.is_equal({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    assert field.is_equal('{"a": true}', {"a": True})
    assert not field.is_equal('{"a": true}', {"a": 1})


OUTSIDE: list[Any] = [
    "POINT(700000 6200000)",
    "POINT(-200 95)",
    "POINT(0 90.1)",
    {"type": "Point", "coordinates": [700000, 6200000]},
    shapely.Point(700000, 6200000),
    shapely.to_wkb(shapely.Point(700000, 6200000)),
    "SRID=4326;POINT(700000 6200000)",
]
PROJECTED: list[Any] = [
    "SRID=3857;POINT(1400000 7500000)",
    "SRID=3857;POINT(12 7)",
    shapely.set_srid(shapely.Point(1, 2), 25832),
    shapely.to_wkb(shapely.set_srid(shapely.Point(1, 2), 25832), include_srid=True),
    {"type": "Point", "coordinates": [1, 2], "crs": {"properties": {"name": "EPSG:25832"}}},
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "words"),
    [(OUTSIDE, "place is outside of longitude and latitude"), (PROJECTED, "place has SRID .* ST_Transform")],
)
def test_geometries_that_are_no_degrees_are_refused_by_row(sync, desks, values, words):
    for value in values:
        with pytest.raises(InputError, match=rf"row 2 \(D-2\): {words}"):
            sync([{"code": "D-1", "label": "x"}, {"code": "D-2", "place": value}])
    assert (desks()["D-1"], desks()["D-2"]["place"]) == (desk(1), POINT)


def test_rounding_at_the_greatest_longitude_is_no_problem(sync):
    assert sync([{"code": "D-1", "place": "POINT(180.0000000001 -90.0000000001)"}])["update"] == 1


@pytest.mark.both_engines
def test_a_row_settles_whatever_form_the_service_returns(typed, service):
    for switch in ("boolean_form", "json_form", "empty_geometry", "number_form"):
        setattr(service, switch, "text")
    row = {"code": "D-1", "free": True, "extra": {"a": [1, True]}, "place": None, "exact": 2.5}
    assert typed([row])[0] == [0, 1, 0]
    assert typed([row])[0] == [0, 0, 1]
    assert typed([{**row, "free": False, "place": POINT}])[0] == [0, 1, 0]


def test_a_row_has_one_hash_whatever_the_order_of_its_fields() -> None:
    row = {"code": "D-1", "seats": 4, "place": {"x": 1.5, "y": None}}
    other = {"place": {"y": None, "x": 1.5}, "seats": 4, "code": "D-1"}
    assert row_hash(row) == row_hash(other) == "4da34e5e8990528a"  # plans are applied by later releases, too
    assert row_hash({**row, "seats": 5}) != row_hash(row)
