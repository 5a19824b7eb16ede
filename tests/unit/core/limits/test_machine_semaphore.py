"""The machine's semaphore, file by file: who holds the queue and a place, and what a waiter gives back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider.core.limits import machine_semaphore
from airflow_provider.core.limits.machine import MachineStore, boot_id
from airflow_provider.core.limits.machine_semaphore import MachineSemaphore
from airflow_provider.core.limits.semaphore import Permit
from airflow_provider.core.limits.store import StoreUnusableError

pytestmark = pytest.mark.slow

KEY = "ab12" * 10


@pytest.fixture
def semaphore(tmp_path: Path) -> MachineSemaphore:
    return MachineSemaphore(MachineStore(str(tmp_path / "permits")), KEY, 2)


def test_a_permit_holds_a_place_and_no_longer_the_queue(semaphore: MachineSemaphore) -> None:
    permit = Permit()
    assert semaphore.try_enter(permit)
    assert list(permit.files) == ["place"]
    assert permit.waits_in is semaphore
    semaphore.leave(permit)
    assert permit.files == {}


def test_places_are_counted_by_their_files(semaphore: MachineSemaphore, tmp_path: Path) -> None:
    permits = [Permit(id=f"{number:016x}") for number in (7, 7)]
    assert [semaphore.try_enter(permit) for permit in permits] == [True, True]
    names = sorted(path.name for path in (tmp_path / "permits").iterdir())
    # Workers of two releases share these.
    assert names == [f"{KEY}-{name}-{boot_id()}.permit" for name in ("0", "1", "queue")]
    assert not semaphore.try_enter(Permit())


def test_the_first_waiter_holds_the_queue_and_asks_for_it_once(semaphore: MachineSemaphore) -> None:
    held = [Permit(), Permit()]
    assert all(semaphore.try_enter(permit) for permit in held)
    first, second = Permit(), Permit()
    for _ in range(2):
        assert not semaphore.try_enter(first)
        assert not semaphore.try_enter(second)
    assert (list(first.files), list(second.files)) == (["queue"], [])
    semaphore.leave(held[0])
    assert not semaphore.try_enter(second)
    assert semaphore.try_enter(first)
    semaphore.leave(held[1])
    assert semaphore.try_enter(second)


def test_a_waiter_asks_without_the_queue_when_its_first_process_was_stopped(
    semaphore: MachineSemaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [Permit(), Permit()]
    assert all(semaphore.try_enter(permit) for permit in held)
    assert not semaphore.try_enter(Permit())
    semaphore.leave(held[0])
    monkeypatch.setattr(machine_semaphore, "_QUEUE_SECONDS", 30.0)
    late = Permit(since=time.monotonic() - 29)
    assert not semaphore.try_enter(late)
    late.since -= 2
    assert semaphore.try_enter(late)


def test_leaving_without_files_does_nothing(semaphore: MachineSemaphore) -> None:
    permit = Permit()
    semaphore.leave(permit)
    assert permit.files == {}


def test_a_folder_that_cannot_be_used_is_an_unusable_store(tmp_path: Path) -> None:
    (tmp_path / "permits").write_text("a file")
    semaphore = MachineSemaphore(MachineStore(str(tmp_path / "permits")), KEY, 2)
    with pytest.raises(StoreUnusableError, match=r"^NotADirectoryError: Not a directory$"):
        semaphore.try_enter(Permit())
    assert semaphore.place == f"this machine ({tmp_path / 'permits'})"
