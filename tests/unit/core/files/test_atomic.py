from __future__ import annotations

import hashlib
import os
import re
import resource
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.files import atomic
from airflow_provider.core.files.atomic import AtomicFile, remove_leftovers
from airflow_provider.core.files.spool import Spool
from airflow_provider.core.files.storage import ensure_writable
from airflow_provider.core.state import pauses
from airflow_provider.errors import InputError
from airflow_provider.warehouse.load.source.spool import ColumnSpool
from tests.support.fake_clock import set_in_module


def test_a_file_gets_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.bin"
    with AtomicFile(str(target)) as out:
        out.write(b"half")
        assert not target.exists()
        out.write(b" whole")
    assert target.read_bytes() == b"half whole"
    assert out.bytes == 10
    assert out.sha256 == hashlib.sha256(b"half whole").hexdigest()


def test_a_failure_leaves_the_earlier_file_and_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"yesterday")
    with pytest.raises(RuntimeError), AtomicFile(f"file://{target}") as out:
        out.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"yesterday"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_killed_processes_are_removed_and_of_living_ones_kept(tmp_path: Path) -> None:
    left = tmp_path / ".out.bin.0123456789ab.part"
    left.write_bytes(b"half")
    with AtomicFile(str(tmp_path / "out.bin")) as first, AtomicFile(str(tmp_path / "out.bin")) as second:
        assert not left.exists()
        second.write(b"two")
        first.write(b"one")
    assert (tmp_path / "out.bin").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_leftovers_of_names_that_differ_are_removed_and_of_living_processes_kept(tmp_path: Path) -> None:
    for name in (
        ".a-12ab.csv.0123456789ab.part",
        ".b-34cd.csv.0123456789ab.part",
        ".a-12.txt.0123456789ab.part",
    ):
        (tmp_path / name).write_bytes(b"half")
    with AtomicFile(str(tmp_path / "c-56ef.csv")) as living:
        remove_leftovers(f"{tmp_path}/", "*-[0-9a-f][0-9a-f][0-9a-f][0-9a-f].csv")
        living.write(b"all")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a-12.txt.0123456789ab.part", "c-56ef.csv"]


def test_pipes_and_links_under_such_a_name_are_neither_opened_nor_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".out.bin.0123456789ab.part")
    (tmp_path / ".out.bin.0123456789ac.part").mkdir()
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    link = tmp_path / ".out.bin.0123456789ad.part"
    link.symlink_to(theirs)
    with AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"ours")
    assert (tmp_path / "out.bin").read_bytes() == b"ours"
    assert theirs.read_bytes() == b"theirs"
    assert link.is_symlink()


def test_a_symbolic_link_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "out.bin").symlink_to("theirs")
    with AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"ours")
    assert not (tmp_path / "out.bin").is_symlink()
    assert [(tmp_path / name).read_bytes() for name in ("out.bin", "theirs")] == [b"ours", b"theirs"]


def test_a_file_before_its_upload_is_readable_by_its_owner_only(tmp_path: Path, monkeypatch) -> None:
    waits = tmp_path / "waits"
    waits.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(waits))
    monkeypatch.setattr(atomic, "is_local", lambda _: False)  # as object storage
    with AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"rows")
        (part,) = waits.iterdir()
        assert part.stat().st_mode & 0o777 == 0o600
    assert list(waits.iterdir()) == []
    assert (tmp_path / "out.bin").read_bytes() == b"rows"


@pytest.mark.parametrize("path", ["", " ", "some/folder/"])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="names no file"), AtomicFile(path):
        pass


def test_size_and_hash_are_those_of_what_was_written(tmp_path: Path) -> None:
    file = AtomicFile(str(tmp_path / "new" / "folder" / "a.csv"))
    assert (file.closed, file.bytes) == (True, 0)
    with pytest.raises(ValueError, match="^the file is not open$"):
        file.write(b"x")
    with file:
        assert not file.closed
        assert [file.write(b"abc"), file.write(b"de")] == [3, 2]
        file.flush()
    assert (file.closed, file.bytes) == (True, 5)
    assert file.sha256 == hashlib.sha256(b"abcde").hexdigest()
    assert (tmp_path / "new" / "folder" / "a.csv").read_bytes() == b"abcde"
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.csv"]


def test_a_file_is_hashed_unless_that_is_left_out(tmp_path: Path) -> None:
    for hashed, digest in ((True, hashlib.sha256(b"x").hexdigest()), (False, "")):
        with AtomicFile(f"{tmp_path}/x", hashed=hashed) as file:
            file.write(b"x")
        assert file.sha256 == digest


def test_a_file_has_the_modes_that_the_process_gives_new_files(tmp_path: Path) -> None:
    for mask, mode in ((0o027, 0o640), (0, 0o666)):
        before = os.umask(mask)
        try:
            with AtomicFile(str(tmp_path / "a.csv")) as file:
                file.write(b"x")
        finally:
            os.umask(before)
        assert (tmp_path / "a.csv").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("letter", ["n", "å", "名"])
def test_a_name_may_be_as_long_as_the_disk_takes_it(tmp_path: Path, letter: str) -> None:
    """Names of temporary files are longer than those of the files."""
    target = tmp_path / (letter * (255 // len(letter.encode())))
    ensure_writable(str(target))
    with AtomicFile(str(target)) as out:
        out.write(b"x")
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Leave room for 100 bytes in a file: a limit of their size stands for a disk without space."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [101, 100_000], ids=["when it ends", "while it is written"])
def test_a_full_disk_is_named_by_its_file(tmp_path: Path, full_disk: None, size: int) -> None:
    """The error was a bare `[Errno 28] No space left on device`, of no file."""
    with pytest.raises(OSError, match=r"out\.bin\..*\.part"), AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"x" * size)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_does_not_hide_the_first_error(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(InputError), AtomicFile(str(tmp_path / "out.bin")) as out:
        out.write(b"x" * 200)
        raise InputError("row 3: no", "rows")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spool", [Spool, ColumnSpool])
def test_a_full_disk_is_named_by_the_folder_of_a_spool(spool: type, full_disk: None) -> None:
    with pytest.raises(OSError, match=re.escape(tempfile.gettempdir())), spool() as rows:
        rows.add([{"a": "x" * 100_000}] if spool is Spool else {"a": "x" * 100_000})
        list(rows.batches()) if spool is Spool else rows.flush()


def test_a_complete_file_is_on_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[list[tuple[str, int]]] = []

    def fsync(descriptor: int) -> None:
        synced.append([(path.name[:6], path.stat().st_size) for path in tmp_path.iterdir()])

    set_in_module(monkeypatch, atomic, "os", fsync=fsync)
    with AtomicFile(str(tmp_path / "x.csv")) as file:
        file.write(b"abc")
        assert [path.name[:7] + path.name[-5:] for path in tmp_path.iterdir()] == [".x.csv..part"]
    assert synced == [[(".x.csv", 3)]]


def test_a_temporary_file_that_another_process_took_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[Any] = []

    def flock(file: Any, _: int) -> None:
        locked.append(file)
        if len(locked) == 1:
            (leftover,) = tmp_path.iterdir()
            leftover.unlink()

    set_in_module(monkeypatch, atomic, "fcntl", flock=flock)
    with AtomicFile(str(tmp_path / "x.csv")) as file:
        file.write(b"abc")
    assert [file.closed for file in locked] == [True, True]
    assert (tmp_path / "x.csv").read_bytes() == b"abc"


def test_a_file_system_without_locks_keeps_leftovers_and_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: Any, _: int) -> None:
        raise OSError("no locks")

    (tmp_path / ".x.csv.0123456789ab.part").write_bytes(b"half")
    set_in_module(monkeypatch, atomic, "fcntl", flock=flock)
    with AtomicFile(str(tmp_path / "x.csv")) as file:
        file.write(b"abc")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.csv.0123456789ab.part", "x.csv"]


def test_a_temporary_file_that_is_gone_hides_no_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="^first$"), AtomicFile(str(tmp_path / "x.csv")) as file:
        (part,) = tmp_path.iterdir()
        part.unlink()
        raise RuntimeError("first")
    assert file.closed


def test_a_failed_rename_leaves_no_temporary_file_and_closes_it(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(IsADirectoryError), AtomicFile(str(tmp_path / "x.csv")) as file:
        opened = file._file
        file.write(b"abc")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert file.closed
    assert opened
    assert opened.closed


def test_names_with_the_characters_of_wildcards_have_leftovers_of_their_own(tmp_path: Path) -> None:
    for name in (".a[1].csv.0123456789ab.part", ".a1.csv.0123456789ab.part"):
        (tmp_path / name).write_bytes(b"half")
    with AtomicFile(str(tmp_path / "a[1].csv")):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a1.csv.0123456789ab.part", "a[1].csv"]


def test_leftovers_of_uploads_are_in_the_folder_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / ".a.csv.0123456789ab.part").write_bytes(b"half")
    remove_leftovers("memory://twin/out/", "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_file_on_disk_is_renamed_and_one_in_object_storage_is_uploaded(tmp_path: Path, s3: Any) -> None:
    with AtomicFile(str(tmp_path / "x.csv")) as file:
        (part,) = tmp_path.iterdir()
        identity = part.stat().st_ino
        file.write(b"abc")
    assert (tmp_path / "x.csv").stat().st_ino == identity
    file.__exit__(None)  # It was closed already.
    assert (tmp_path / "x.csv").read_bytes() == b"abc"
    with AtomicFile("s3://aws_s3@twin/out/x.csv") as file:
        file.write(b"abc")
        assert "Contents" not in s3.list_objects_v2(Bucket="twin")
    assert s3.get_object(Bucket="twin", Key="out/x.csv")["Body"].read() == b"abc"


def test_pauses_of_a_process_are_noticed_from_the_beginning_of_a_file_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "_task_pauses", {})
    with AtomicFile(str(tmp_path / "a.csv")):
        assert list(pauses._task_pauses) == [os.getpid()]
