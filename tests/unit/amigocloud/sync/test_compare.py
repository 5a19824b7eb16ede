"""Rows of a sync compared with pages of a dataset, and the status of the changes, without a service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider.amigocloud.sync.compare import Comparison, row_hash
from airflow_provider.amigocloud.sync.fields import Schema
from airflow_provider.amigocloud.sync.rows import new_id
from airflow_provider.amigocloud.sync.status import BEFORE, DONE, DRIFTED, StatusCheck
from airflow_provider.amigocloud.sync.store import CREATE, DELETE, UPDATE, Change, SyncStore
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.problems import Problems
from tests.support.desks import COLUMNS, POINT, desk

pytestmark = pytest.mark.slow  # nothing of it depends on versions


@pytest.fixture
def store() -> Iterator[SyncStore]:
    with SyncStore() as store:
        yield store


class Case:
    """A comparison of some rows."""

    def __init__(self, store: SyncStore, **given: Any) -> None:
        self.store, self.problems = store, Problems("the rows")
        self.key = given.get("key", "code")
        schema = Schema(given.get("columns", COLUMNS))
        self.comparison = Comparison(store, schema, self.key, given.get("missing", "delete"), self.problems)

    def want(
        self, number: int, own: str | None = None, *, chosen: str = "", wrong: bool = False, **body: Any
    ) -> None:
        key = str(body[self.key])
        chosen = chosen or own or f"chosen-{key}"
        assert self.store.add_wanted(key, number, own, chosen, body, has_problem=wrong) is None

    def compare(self, *pages: list[dict[str, Any]], taken: Iterable[str] = ()) -> list[Change]:
        self.store.index_wanted()
        for page in pages:
            self.comparison.add(page)
        self.asked: list[list[str]] = []

        def find(ids: list[str]) -> list[str]:
            self.asked.append(ids)
            return [one for one in ids if one in taken]

        self.comparison.finish("4001", find)
        return [change for _, change in self.store.changes()]

    def failed(self) -> list[tuple[Any, ...]]:
        return [(one["row"], one["key"], one["reasons"]) for one in self.store.failed()]


def test_a_hash_of_a_row_is_that_of_its_json_in_any_order() -> None:
    expected = hashlib.sha256(b'{"a":1,"b":"x"}').hexdigest()[:16]
    assert row_hash({"a": 1, "b": "x"}) == row_hash({"b": "x", "a": 1}) == expected


def test_each_kind_of_change_has_all_that_is_known_of_it(store: SyncStore) -> None:
    case = Case(store)
    case.want(1, code="N-1", label="New", seats=4)
    case.want(2, code="D-1", label="Other", seats=1)
    case.want(3, code="D-2", seats=7)
    case.want(4, code="D-3", label="Desk 3")
    found = case.compare([desk(1), desk(2)], [desk(3), desk(4)])
    assert found == [
        Change(
            operation=CREATE,
            key="N-1",
            id="chosen-N-1",
            row=1,
            name="New",
            body={"code": "N-1", "label": "New", "seats": 4},
        ),
        Change(
            operation=UPDATE,
            key="D-1",
            id=desk(1)[KEY],
            row=2,
            name="Other",
            fields={"label": ["Desk 1", "Other"]},
            body={"label": "Other"},
            before=row_hash(desk(1)),
            outline=POINT,
        ),
        Change(
            operation=UPDATE,
            key="D-2",
            id=desk(2)[KEY],
            row=3,
            name="Desk 2",
            fields={"seats": [2, 7]},
            body={"seats": 7},
            before=row_hash(desk(2)),
            outline=POINT,
        ),
        Change(
            operation=DELETE,
            key="D-4",
            id=desk(4)[KEY],
            name="Desk 4",
            before=row_hash(desk(4)),
            outline=POINT,
        ),
    ]
    assert (case.comparison.compared, case.comparison.keyless, case.comparison.unchanged) == (4, 0, 1)
    assert case.asked == []


def test_rows_without_a_key_are_counted_apart_and_stay(store: SyncStore) -> None:
    case = Case(store)
    nameless = [{**desk(number), "code": None} for number in (5, 6, 7)]
    assert case.compare([desk(1), *nameless[:1]], [*nameless[1:], desk(2)])[0].operation == DELETE
    assert (case.comparison.compared, case.comparison.keyless) == (2, 3)
    assert store.counts() == {CREATE: 0, UPDATE: 0, DELETE: 2}


def test_missing_rows_stay_unless_they_are_to_be_deleted(store: SyncStore) -> None:
    case = Case(store, missing="ignore")
    assert case.compare([desk(1)]) == []
    assert list(case.comparison.duplicates()) == []


def test_values_that_are_equal_in_another_form_are_no_difference(store: SyncStore) -> None:
    case, seen = Case(store), "2025-01-31T15:05:11+01:00"
    case.want(1, code="D-1", seen_at=desk(1)["seen_at"], price=1.25, seats=1, label="Other")
    case.want(2, code="D-2", seen_at=desk(2)["seen_at"], free=True)
    page = [{**desk(1), "seen_at": seen, "price": "1.25"}, {**desk(2), "code": " D-2 ", "seen_at": seen}]
    (change,) = case.compare(page)
    assert (change.key, change.fields) == ("D-1", {"label": ["Desk 1", "Other"]})
    assert change.body == {"label": "Other"}
    assert case.comparison.unchanged == 1


def test_a_number_is_no_boolean(store: SyncStore) -> None:
    case = Case(store)
    case.want(1, code="D-1", free=True)
    (change,) = case.compare([{**desk(1), "free": None}])
    assert change.fields == {"free": [None, True]}


def test_a_key_that_several_rows_have_fails_its_row_only(store: SyncStore) -> None:
    case = Case(store)
    for number in (1, 2, 3):
        case.want(number, code=f"D-{number}", label="Other")
    twin = {**desk(8), "code": "D-1"}
    found = case.compare([desk(1), twin, desk(2)], [{**desk(9), "code": "D-2"}, desk(3)])
    assert [(change.operation, change.key) for change in found] == [(UPDATE, "D-3")]
    ids = [desk(number)[KEY] for number in (1, 8, 2, 9)]
    assert case.failed() == [
        (1, "D-1", [f"code is that of several rows of the dataset: {ids[0]}, {ids[1]}"]),
        (2, "D-2", [f"code is that of several rows of the dataset: {ids[2]}, {ids[3]}"]),
    ]
    assert case.comparison.unchanged == 0
    assert [line.partition(": ")[0] for line in case.problems.lines()] == ["row 1 (D-1)", "row 2 (D-2)"]


def test_a_row_that_names_another_id_than_the_dataset_fails(store: SyncStore) -> None:
    case = Case(store)
    case.want(1, "own", code="D-1", label="Other")
    case.want(2, desk(2)[KEY], code="D-2", label="Other")
    case.want(3, wrong=True, code="D-3", label="Other")
    found = case.compare([desk(1), desk(2), desk(3)])
    assert [change.key for change in found] == ["D-2"]
    assert case.failed() == [(1, "D-1", [f"{KEY} is own, but in the dataset it is {desk(1)[KEY]}"])]
    assert case.comparison.unchanged == 0


def test_an_id_that_a_row_of_another_key_has_is_replaced_by_the_next_free_one(store: SyncStore) -> None:
    case = Case(store, missing="ignore")
    case.want(1, chosen=desk(1)[KEY], code="N-1")
    case.want(2, chosen=desk(2)[KEY], code="N-2")
    case.want(3, desk(3)[KEY], code="N-3")
    case.want(4, chosen="free", code="N-4")
    first, second = (new_id("4001", "code", "N-1", attempt) for attempt in (1, 2))
    other = new_id("4001", "code", "N-2", 1)
    found = case.compare([desk(1), desk(3)], [desk(2)], taken=[first])
    assert [(change.key, change.id) for change in found] == [("N-1", second), ("N-2", other), ("N-4", "free")]
    assert [set(ids) for ids in case.asked] == [{first, other}, {second}]
    assert case.failed() == [(3, "N-3", [f"{KEY} {desk(3)[KEY]} belongs to a row with another code"])]


def test_an_id_that_another_row_names_is_replaced(store: SyncStore) -> None:
    case = Case(store)
    case.want(1, chosen="named", code="N-1")
    case.want(2, "named", code="N-2")
    found = case.compare([])
    assert [(change.key, change.id) for change in found] == [
        ("N-1", new_id("4001", "code", "N-1", 1)),
        ("N-2", "named"),
    ]


@pytest.mark.parametrize(
    ("names", "key", "label"),
    [
        (["name", "title", "label"], "code", "of name"),
        (["title", "label"], "code", "of title"),
        (["label"], "code", "of label"),
        (["name", "title"], "name", "of title"),
        (["label"], "label", ""),
        (["XX"], "code", ""),
    ],
)
def test_a_change_is_named_by_the_first_field_that_names_rows(
    store: SyncStore, names: list[str], key: str, label: str
) -> None:
    columns = [{"name": name, "type": "string"} for name in dict.fromkeys(["code", *names])]
    case = Case(store, key=key, columns=columns)
    body: dict[str, Any] = {"code": "1", **{name: f"of {name}" for name in names}}
    case.want(1, **body)
    (change,) = case.compare([])
    assert (change.name, change.outline) == (label, "")


def test_a_name_is_cut_and_may_be_missing(store: SyncStore) -> None:
    case = Case(store)
    case.want(1, code="N-1", label="x" * 300)
    case.want(2, code="N-2", label=None)
    case.want(3, code="N-3")
    assert [change.name for change in case.compare([])] == ["x" * 200, "", ""]


@pytest.mark.parametrize(("place", "outline"), [(POINT, POINT), (None, ""), (7, "")])
def test_an_outline_is_a_text_or_none(store: SyncStore, place: Any, outline: str) -> None:
    (change,) = Case(store).compare([{**desk(1), "place": place}])
    assert change.outline == outline


def test_keys_that_several_missing_rows_have_are_named(store: SyncStore) -> None:
    case = Case(store)
    case.compare([desk(1), {**desk(3), "code": "D-1"}, desk(4)], [{**desk(2), "code": "D-1"}])
    assert list(case.comparison.duplicates()) == [
        f"code 'D-1' is that of 3 rows of the dataset: {desk(1)[KEY]}, {desk(3)[KEY]}"
    ]


# -- status -------------------------------------------------------------------------------------------


class Status:
    """A check of the status of some changes, with what it asks for."""

    def __init__(self, store: SyncStore, changes: list[Change], *, rows: int = 30, key: str = "code") -> None:
        self.store, self.asked, self.page = store, [], []  # type: ignore[var-annotated]
        for change in changes:
            store.add_change(change)
        reader: Any = SimpleNamespace(all_rows=self.all_rows, some_rows=self.some_rows)
        self.check = StatusCheck(reader, store, Schema(COLUMNS), key, rows)

    def all_rows(self) -> Iterator[list[dict[str, Any]]]:
        self.asked.append("all")
        yield from self.page

    def some_rows(self, state: str, ids: Any, keys: Any, key: str) -> Iterator[list[dict[str, Any]]]:
        self.asked.append((state, list(ids), list(keys), key))
        yield from self.page

    def read(self, *page: list[dict[str, Any]], **given: Any) -> list[tuple[str, ...]]:
        self.page = list(page)
        self.check.read("s", **given)
        return list(self.store.db.execute("SELECT status, detail, other FROM changes ORDER BY n"))


def updated(number: int, **fields: Any) -> Change:
    row = desk(number)
    pairs = {name: [row[name], value] for name, value in fields.items()}
    return Change(
        operation=UPDATE, key=row["code"], id=row[KEY], fields=pairs, body=fields, before=row_hash(row)
    )


def deleted(number: int) -> Change:
    return Change(operation=DELETE, key=f"D-{number}", id=desk(number)[KEY], before=row_hash(desk(number)))


CREATED = Change(operation=CREATE, key="N-1", id="new", body={"code": "N-1", "label": "New"})


def test_rows_that_are_not_there_are_created_deleted_or_drifted(store: SyncStore) -> None:
    found = Status(store, [CREATED, updated(1, label="Other"), deleted(2)]).read()
    assert found == [(BEFORE, "is not there", ""), (DRIFTED, "is not there", ""), (DONE, "", "")]


def test_each_change_is_before_done_or_drifted(store: SyncStore) -> None:
    changes = [CREATED, updated(1, label="Other"), updated(2, label="Other"), deleted(3), deleted(4)]
    new = {**desk(9), KEY: "new", "code": "N-1"}
    status = Status(store, changes)
    found = status.read(
        [{**new, "label": "New"}, desk(1), {**desk(2), "label": "Other"}], [desk(3), {**desk(4), "seats": 9}]
    )
    assert found == [
        (DONE, "", ""),
        (BEFORE, "label is 'Desk 1', not 'Other'", ""),
        (DONE, "", ""),
        (BEFORE, "still exists", ""),
        (DRIFTED, "was changed", ""),
    ]
    assert status.asked == [("s", ["new", *(desk(n)[KEY] for n in (1, 2, 3, 4))], ["N-1"], "code")]
    found = status.read([{**new, "label": "Their"}, {**desk(1), "label": "Their"}])
    assert found[:2] == [
        (DRIFTED, "label is 'Their', not 'New'", ""),
        (DRIFTED, "label is 'Their', not 'Other'", ""),
    ]


def test_a_drift_before_the_write_names_what_was_changed(store: SyncStore) -> None:
    changes = [
        CREATED,
        updated(1, label="Other", seats=9),
        updated(2, label="Other"),
        updated(3, seats=9, label="O"),
    ]
    new = {**desk(9), KEY: "new", "code": "N-1", "label": "Their"}
    page = [
        new,
        {**desk(1), "label": "Their"},
        {**desk(2), "price": 7.5},
        {**desk(3), "seats": 9, "label": "Their"},
    ]
    assert Status(store, changes).read(page, is_written=False) == [
        (DRIFTED, "label is 'Their', not 'New'", ""),
        (DRIFTED, "label was 'Desk 1', now it is 'Their'", ""),
        (DRIFTED, "another field was changed", ""),
        (DRIFTED, "label was 'Desk 3', now it is 'Their'", ""),
    ]


def test_a_new_row_whose_key_another_row_has_is_told(store: SyncStore) -> None:
    status = Status(store, [CREATED, updated(1, label="Other")])
    found = status.read([{**desk(9), "code": "N-1"}, {**desk(1), "label": "Other"}])
    assert found == [(BEFORE, "is not there", desk(9)[KEY]), (DONE, "", "")]
    assert list(status.check.describe("1")) == [
        f"create new (N-1): is not there; code is that of row {desk(9)[KEY]}, too",
        f"update {desk(1)[KEY]} (D-1): ",
    ]


def test_only_the_changes_of_a_condition_are_read(store: SyncStore) -> None:
    status = Status(store, [CREATED, updated(1, label="Other")])
    found = status.read([desk(1)], where="operation = 'update'")
    assert found == [("", "", ""), (BEFORE, "label is 'Desk 1', not 'Other'", "")]
    assert status.asked == [("s", [desk(1)[KEY]], [], "code")]


def test_keys_that_are_ids_are_asked_for_once(store: SyncStore) -> None:
    status = Status(store, [CREATED], key=KEY)
    status.read()
    assert status.asked == [("s", ["new"], [], KEY)]


@pytest.mark.parametrize(
    ("changes", "rows", "reads_all"), [(75, 1000, False), (76, 1000, True), (76, 1001, False)]
)
def test_all_rows_are_read_where_that_takes_fewer_requests(
    store: SyncStore, changes: int, rows: int, reads_all: bool
) -> None:
    status = Status(store, [updated(number, label="x") for number in range(changes)], rows=rows)
    status.read()
    assert (status.asked == ["all"]) is reads_all


@pytest.mark.parametrize(
    ("count", "last"), [(9, "(D-8): was changed"), (10, "(D-9): was changed"), (13, "and 3 more")]
)
def test_ten_changes_are_listed_and_the_others_counted(store: SyncStore, count: int, last: str) -> None:
    status = Status(store, [deleted(number) for number in range(count)])
    status.read([{**desk(number), "seats": 99} for number in range(count)])
    told = status.check.first("1", count)
    assert len(told) == min(count, 11)
    assert told[-1].endswith(last)
    assert told[0] == f"delete {desk(0)[KEY]} (D-0): was changed"
