"""Stores of tokens on bad days: hostile files and folders, full disks, a Redis that is gone, other boots."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.limits import machine
from airflow_provider.core.tokens import access
from airflow_provider.core.tokens.machine import MachineTokens
from airflow_provider.core.tokens.redis_tokens import RedisTokens
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.sandbox.server import Sandbox
from dev.redis_server import RedisServer
from tests.support.budgets import forget_process

Change = Callable[..., str]


def use(process: str = "new") -> str:
    """Return the token that a task uses, in a process that knows none."""
    if process == "new":
        forget_process()
    with LeanIXHook() as hook:
        hook.list_runs()
        return hook.cached_access_token()


def minted(sandbox: Sandbox) -> int:
    return sandbox.counters.tokens_issued["leanix"]


def file_of(folder: Path) -> Path:
    (found,) = folder.glob("*.token")
    return found


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "tokens" in record.name
    ]


# -- files --------------------------------------------------------------------------------------------


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for the machine's own one, which only its owner may use."""
    monkeypatch.delenv(machine.FOLDER_VARIABLE)
    monkeypatch.setattr(machine, "default_folder", lambda: str(tmp_path / "own"))
    return tmp_path / "own"


def test_a_later_process_reads_the_file_that_is_its_owners_alone(sandbox: Sandbox, own_folder: Path) -> None:
    assert use() == use()
    assert minted(sandbox) == 1
    assert stat.S_IMODE(file_of(own_folder).stat().st_mode) == 0o600
    assert file_of(own_folder).name.endswith(f"-{machine.boot_id()}.token")


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


FORGED = b'{"type":"token","value":"forged","issued_at":0,"renew_after":1e9}'

DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda file: file.write_bytes(b""),
    "truncated": _truncated,
    "flipped": _flipped,
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "plain": lambda file: file.write_bytes(
        b'{"type":"token","value":"forged","issued_at":0,"renew_after":1e9}'
    ),
    "huge": lambda file: os.truncate(file, 1 << 40),
    "removed": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_or_forged_file_is_ignored_and_replaced(
    sandbox: Sandbox, budget_folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    use()
    DAMAGES[damage](file_of(budget_folder))
    assert use() == use()
    assert minted(sandbox) == 2
    assert file_of(budget_folder).stat().st_size < 10_000
    assert warnings(caplog) == []


def test_a_file_that_was_copied_from_another_credential_is_ignored(
    sandbox: Sandbox, change: Change, budget_folder: Path
) -> None:
    use()
    before = file_of(budget_folder)
    sandbox.leanix.api_token = "an0ther+t0ken"
    change("leanix", password="an0ther+t0ken")
    second = use()
    (other,) = set(budget_folder.glob("*.token")) - {before}
    shutil.copy(before, other)
    assert use() != second
    assert minted(sandbox) == 3


def test_a_token_of_an_earlier_boot_is_ignored_also_when_its_file_is_renamed(
    sandbox: Sandbox, budget_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use()
    before = file_of(budget_folder)
    monkeypatch.setattr(machine, "boot_id", lambda: "another")
    use()
    assert minted(sandbox) == 2
    (after,) = set(budget_folder.glob("*.token")) - {before}
    shutil.copy(before, after)
    use()
    assert minted(sandbox) == 3


def test_a_token_is_renewed_by_one_process_when_it_is_due(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider.core.http import auth

    now = [1000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: now[0])
    first = use()
    now[0] += sandbox.leanix.token_seconds - 65
    assert use() == first
    now[0] += 10  # The renewal is 60 seconds before the end.
    second = use()
    assert second != first
    assert use() == second
    now[0] -= 10_000  # A clock that stands before the issue: not trusted.
    assert use() != second


def test_a_token_that_was_read_counts_its_age_from_its_issue(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 403 renews a token that is older than a minute, also when another process has issued it."""
    from airflow_provider.core.http import auth

    now = [1000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: now[0])
    sandbox.leanix.refused_token_status = 403
    use()
    now[0] += 61
    sandbox.leanix.expire_tokens()
    use()
    assert minted(sandbox) == 2


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "open": (lambda folder: folder.chmod(0o777), "other users may write into the folder"),
    "foreign": (lambda folder: os.chown(folder, 12345, 12345), "the folder belongs to another user"),
    "file": (lambda folder: (folder.rmdir(), folder.write_text("x")), "NotADirectoryError"),
    "link": (
        lambda folder: (folder.rmdir(), folder.symlink_to(folder.parent, target_is_directory=True)),
        "Error",
    ),
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_a_hostile_folder_leaves_tokens_in_the_process_with_one_warning(
    sandbox: Sandbox, own_folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    if kind == "foreign" and os.geteuid():
        pytest.skip("needs root")
    make, cause = HOSTILE[kind]
    own_folder.mkdir(mode=0o700)
    make(own_folder)
    token = use()
    assert use("same") == token
    (warning,) = warnings(caplog)
    assert warning.startswith(f"access tokens cannot be shared in this machine ({own_folder}) (")
    assert cause in warning
    assert "until they can, this process requests its own; next check in 30 s" in warning
    use()
    assert minted(sandbox) == 2


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "folder", "fifo", "open"])
def test_a_hostile_file_leaves_the_token_in_the_process(
    sandbox: Sandbox, budget_folder: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    use()
    file = file_of(budget_folder)
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    file.unlink()
    if kind == "symlink":
        file.symlink_to(target)
    elif kind == "hardlink":
        file.hardlink_to(target)
    elif kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    else:
        file.write_bytes(b"")
        file.chmod(0o666)
    use()
    assert minted(sandbox) == 2
    assert target.read_bytes() == b"precious"
    assert len(warnings(caplog)) == 1


def test_a_full_disk_leaves_the_token_in_the_process(
    sandbox: Sandbox, budget_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit of the size of files stands for a disk without space; budgets are smaller than tokens."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    try:
        token = use()
        assert use("same") == token
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert file_of(budget_folder).read_bytes() == b""
    assert len(warnings(caplog)) == 1
    use()
    assert minted(sandbox) == 2


def test_a_read_only_folder_leaves_the_token_in_the_process() -> None:
    """Root may write into any folder, so that another user tries it."""
    code = (
        "import os, sys\n"
        "from airflow_provider.core.limits.store import StoreUnusableError\n"
        "from airflow_provider.core.tokens.machine import MachineTokens\n"
        "os.geteuid() or os.setuid(65534)\n"
        "try: MachineTokens(sys.argv[1], lambda: 0.0).lock('ab.token', 0)\n"
        "except StoreUnusableError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o555)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert "PermissionError" in done.stdout, done.stderr


def test_the_store_is_used_again_when_it_can_be(
    sandbox: Sandbox, own_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    own_folder.mkdir(mode=0o777)
    own_folder.chmod(0o777)
    use()
    own_folder.chmod(0o700)
    monkeypatch.setattr(access, "RECHECK_SECONDS", 0.0)
    found = access.open_access("", time.monotonic)
    found._unusable_until = 0.0
    from airflow_provider.core.http import auth

    auth._slots.clear()
    use("same")
    assert f"access tokens can be shared in this machine ({own_folder})" in caplog.text
    assert len(warnings(caplog)) == 1
    use()
    assert minted(sandbox) == 2


def test_tokens_that_were_unused_for_a_day_are_removed(sandbox: Sandbox, budget_folder: Path) -> None:
    use()
    budget_folder.joinpath("ab12-oldboot.token").write_bytes(b"x")
    for path in budget_folder.glob("*.token"):
        os.utime(path, (0, time.time() - 2 * 86400))
    use()  # The file that is read stays.
    MachineTokens(str(budget_folder), time.monotonic).lock("cd34.token", 0)
    assert sorted(path.name == "ab12-oldboot.token" for path in budget_folder.glob("*.token")) == [
        False,
        False,
    ]
    assert minted(sandbox) == 1


# -- Redis --------------------------------------------------------------------------------------------


@pytest.fixture
def over_redis(own_redis: RedisServer, change: Change) -> RedisServer:
    change("leanix", {"rate_limit_store": own_redis.url, "share_tokens": True})
    return own_redis


def test_a_stopped_redis_leaves_tokens_in_the_process(
    sandbox: Sandbox, over_redis: RedisServer, caplog: pytest.LogCaptureFixture, budget_folder: Path
) -> None:
    first = use()
    over_redis.stop()
    assert use() == use("same") != first
    (warning,) = warnings(caplog)
    assert f"cannot be shared in Redis at 127.0.0.1:{over_redis.port} (ConnectionError" in warning
    assert list(budget_folder.glob("*.token")) == []
    over_redis.start()  # Without persistence: it has forgotten the token.
    assert use() == use()
    assert minted(sandbox) == 3


def test_a_hung_redis_leaves_tokens_in_the_process(
    sandbox: Sandbox, over_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    use()
    os.kill(over_redis.pid, signal.SIGSTOP)
    assert use() == use("same")
    os.kill(over_redis.pid, signal.SIGCONT)
    (warning,) = warnings(caplog)
    assert "Timeout" in warning
    assert minted(sandbox) == 2


def test_a_flushed_redis_gets_a_new_token(sandbox: Sandbox, over_redis: RedisServer) -> None:
    import redis

    use()
    with redis.Redis.from_url(over_redis.url) as client:
        client.flushall()
        client.script_flush()
    assert use() == use()
    assert minted(sandbox) == 2


def test_a_redis_without_memory_leaves_tokens_in_the_process(
    sandbox: Sandbox, over_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    import redis

    with redis.Redis.from_url(over_redis.url) as client:
        client.config_set("maxmemory", 1)
    assert use() == use("same")
    (warning,) = warnings(caplog)
    assert "OutOfMemory" in warning


@pytest.mark.parametrize("content", ["list", "text", "copied"])
def test_foreign_content_of_a_key_is_ignored_and_replaced(
    sandbox: Sandbox, change: Change, over_redis: RedisServer, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    import redis

    use()
    with redis.Redis.from_url(over_redis.url) as client:
        (key,) = client.scan_iter("airflow-dt:{tokens}:*")
        sealed = client.get(key)
        client.delete(key)
        if content == "list":
            client.lpush(key, "x")
        else:
            client.set(key, b"not base64 \xff" if content == "text" else sealed[:-8] + b"AAAAAA==")
        assert use() == use()
        assert 0 < client.ttl(key) <= sandbox.leanix.token_seconds
    assert minted(sandbox) == 2
    assert warnings(caplog) == []


def test_the_lock_of_a_killed_process_ends_by_itself(
    running_redis: RedisServer, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RedisTokens(running_redis.url)
    name = store.full_name("ab")
    lock = store.lock(name, 0)
    assert lock
    assert store.lock(name, 0) is None
    assert 15_000 < redis_client.pttl(f"{name}:lock") <= 20_000
    redis_client.delete(f"{name}:lock")
    other = store.lock(name, 0)
    lock.release()  # It is another process's lock now.
    assert store.lock(name, 0) is None
    assert other
    other.release()
    assert store.lock(name, 0)


def test_the_clock_of_redis_counts(running_redis: RedisServer, redis_client: Any) -> None:
    store = RedisTokens(running_redis.url)
    seconds, microseconds = redis_client.time()
    assert store.now() == pytest.approx(seconds + microseconds / 1e6, abs=5)
    data, now = store.read(store.full_name("ab"))
    assert (data, now) == (b"", pytest.approx(store.now(), abs=5))


# -- hooks --------------------------------------------------------------------------------------------


def test_a_read_token_is_redacted_and_masked_as_a_fetched_one(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from airflow.sdk._shared.secrets_masker import _secrets_masker

    from airflow_provider.core import redaction

    token = use()
    for in_loop in (False, True):
        forget_process()
        _secrets_masker().reset_masker()
        monkeypatch.setattr(redaction, "_redactor", redaction.Redactor())
        hook = LeanIXHook()
        assert (asyncio.run(hook.aaccess_token()) if in_loop else hook.access_token()) == token
        assert token not in redaction.redact(f"x {token} y")
        assert token not in str(_secrets_masker().redact(f"x {token} y"))
    assert minted(sandbox) == 1


def test_a_hook_that_revokes_its_token_shares_none(
    sandbox: Sandbox, change: Change, budget_folder: Path
) -> None:
    change("iotstudio")
    with IoTStudioHook() as sharing:
        sharing.list_categories()
        shared = sharing.cached_access_token()
        change("iotstudio", {"revoke_on_close": True})
        with IoTStudioHook() as revoking:
            revoking.list_categories()
            own = revoking.cached_access_token()
        assert sandbox.iotstudio.revoked == [own] != [shared]
        assert sharing.list_categories()
    assert sandbox.counters.tokens_issued["iotstudio"] == 2
    assert len(list(budget_folder.glob("*.token"))) == 1


def test_a_token_that_a_task_revokes_leaves_the_store(sandbox: Sandbox, change: Change) -> None:
    change("iotstudio")
    with IoTStudioHook() as hook:
        hook.list_categories()
        hook.revoke_token()
    forget_process()
    with IoTStudioHook() as hook:
        hook.list_categories()
        assert hook.requests == 2  # The token request and the list: no 401 in between.
    assert sandbox.counters.tokens_issued["iotstudio"] == 2


def test_a_wait_for_another_process_ends_at_the_deadline(sandbox: Sandbox, budget_folder: Path) -> None:
    import fcntl

    use()
    file = file_of(budget_folder)
    file.write_bytes(b"")
    forget_process()
    with file.open("rb+") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        began = time.monotonic()
        with LeanIXHook() as hook, hook.until(time.time() + 0.3):
            hook.list_runs()
        assert time.monotonic() - began < 15
    assert minted(sandbox) == 2


def test_share_tokens_is_no_error_where_the_token_is_static(
    sandbox: Sandbox, change: Change, budget_folder: Path
) -> None:
    from airflow_provider.amigocloud.hooks import AmigoCloudHook

    change("amigocloud", {"share_tokens": True})
    assert AmigoCloudHook().test_connection()[0]
    assert list(budget_folder.glob("*.token")) == []


def test_redis_by_a_connections_id_shares_tokens_on_demand_only(
    sandbox: Sandbox, change: Change, running_redis: RedisServer, redis_client: Any, monkeypatch: Any
) -> None:
    stored = f'{{"conn_type": "redis", "host": "127.0.0.1", "port": {running_redis.port}}}'
    monkeypatch.setenv("AIRFLOW_CONN_CACHE", stored)
    change("leanix", {"rate_limit_store": "cache"})
    use()
    assert list(redis_client.scan_iter("airflow-dt:{tokens}:*")) == []
    change("leanix", {"rate_limit_store": "cache", "share_tokens": True})
    assert use() == use()
    assert len(list(redis_client.scan_iter("airflow-dt:{tokens}:*"))) == 1


def test_nothing_is_imported_before_a_token_is_needed() -> None:
    code = (
        "import sys; from airflow_provider.core.http import auth; import airflow_provider.leanix.hooks;"
        "assert not {'cryptography.hazmat.primitives.kdf.hkdf', 'redis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
