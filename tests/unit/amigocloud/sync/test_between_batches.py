"""Between batches: rows that another client changes while a plan is written are not overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider.amigocloud.sync.execute import Execution
from airflow_provider.errors import PlanRejectedError
from tests.support.desks import DESKS, desk

pytestmark = pytest.mark.slow  # nothing of it depends on versions

TABLE = f"dataset_{DESKS}"
UPDATES = [{"code": f"D-{n}", "label": "ours"} for n in range(26, 30)]
EDIT = f"UPDATE {TABLE} SET label = 'theirs' WHERE code = 'D-29'"


@pytest.fixture
def between(service, monkeypatch):
    """Return a function that lets another client write before a batch is sent, or while its job runs."""

    def arrange(sql: str, batch: int = 2, *, while_sent: bool = False) -> None:
        name = "_send" if while_sent else "_write"
        original = getattr(Execution, name)

        def write(self: Any, number: int, **arguments: Any) -> Any:
            if number == batch:
                service.store.write(sql)
            return original(self, number, **arguments)

        monkeypatch.setattr(Execution, name, write)

    return arrange


@pytest.mark.parametrize("batch", [2, 3, 4])
@pytest.mark.parametrize("while_sent", [False, True])
def test_an_update_does_not_overwrite_what_changed_after_the_first_batch(
    sync, desks, between, batch, while_sent
):
    between(EDIT, batch - while_sent, while_sent=while_sent)
    with pytest.raises(PlanRejectedError, match=r"D-29.*now it is 'theirs' \[written: 3 updated"):
        sync(UPDATES, batch_size=1)
    assert [desks()[row["code"]]["label"] for row in UPDATES] == ["ours"] * 3 + ["theirs"]


def test_a_deletion_does_not_take_what_changed_after_the_first_batch(sync, desks, between):
    between(EDIT)
    with pytest.raises(PlanRejectedError, match=r"\(D-29\): was changed \[written: 1 deleted; not sent: 1\]"):
        sync([desk(n) for n in range(28)], missing="delete", max_deletes=5, batch_size=1)
    assert desks()["D-29"]["label"] == "theirs"


def test_a_creation_is_not_sent_when_its_key_was_taken_meanwhile(sync, desks, between):
    between(f"INSERT INTO {TABLE} (amigo_id, code) VALUES ('own', 'N-2')")
    with pytest.raises(PlanRejectedError, match=r"code is that of row own, too \[written: 1 created"):
        sync([{"code": "N-1"}, {"code": "N-2"}], batch_size=1)
    assert desks()["N-2"]["amigo_id"] == "own"


def test_other_rows_may_change_between_batches(sync, desks, between):
    between(f"UPDATE {TABLE} SET label = 'theirs' WHERE code = 'D-3'")
    assert sync(UPDATES, batch_size=1)["update"] == 4
    assert desks()["D-3"]["label"] == "theirs"


def test_rows_are_not_read_between_batches_when_nobody_else_writes(sandbox, sync):
    def reads(**given: Any) -> int:
        sandbox.counters.reset()
        sync([{"code": f"D-{n}", "label": str(given)} for n in range(20)], **given)
        return int(sandbox.counters.total("sql"))

    assert reads(batch_size=2) == reads(batch_size=20)


def test_a_row_that_changes_while_a_rejected_set_is_halved_is_kept(sandbox, sync, desks, between):
    sandbox.faults.add("status", status=400, path="submit_changeset", times=1)
    between(EDIT, 1, while_sent=True)
    with pytest.raises(PlanRejectedError, match=r"D-29.*now it is 'theirs'"):
        sync(UPDATES)
    assert desks()["D-29"]["label"] == "theirs"
