"""Many tasks at one service, each in a process of its own: one token, one refusal, no secret on the way."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.core.http import auth
from airflow_provider.core.redaction import encodings
from airflow_provider.core.tokens import store as stores
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.sandbox.server import Sandbox
from dev.redis_server import RedisServer
from tests.support.budgets import forget_process
from tests.support.token_tasks import Forker, RunningTasks, TokenTasks, shown
from tests.support.wait import until

pytestmark = pytest.mark.slow

HOOKS = {"leanix": LeanIXHook, "iotstudio": IoTStudioHook, "mapsindoors": MapsIndoorsHook}
TOKEN_PATHS = {"leanix": "/oauth2/token$", "iotstudio": "/oauth2/token$", "mapsindoors": "connect/token$"}

Change = Callable[..., str]


def tokens(sandbox: Sandbox, kind: str) -> int:
    return sandbox.counters.tokens_issued[kind]


def token_requests(sandbox: Sandbox, kind: str) -> int:
    return sandbox.counters.total(TOKEN_PATHS[kind].rstrip("$"))


@pytest.mark.long
@pytest.mark.parametrize("kind", list(HOOKS))
def test_twenty_processes_request_one_token(sandbox: Sandbox, kind: str, tasks: Forker) -> None:
    sandbox.mapsindoors.rate_limit = None
    done = tasks.run(kind, 20)
    assert done.errors == []
    assert tokens(sandbox, kind) == 1
    assert len(done.tokens) == 1
    assert done.log.count("access token requested, shared in this machine") == 1
    assert done.log.count("access token shared in this machine") == 19


def test_a_later_process_uses_the_token_of_an_earlier_one(sandbox: Sandbox, tasks: Forker) -> None:
    first, later = tasks.run("leanix", 1), tasks.run("leanix", 1)
    assert first.tokens == later.tokens
    assert tokens(sandbox, "leanix") == 1


def test_with_share_tokens_false_or_process_tokens_stay_in_the_process(
    sandbox: Sandbox, change: Change, budget_folder: Path, tasks: Forker
) -> None:
    for extra in ({"share_tokens": False}, {"rate_limit_store": "process", "share_tokens": True}):
        before = tokens(sandbox, "leanix")
        change("leanix", extra)
        assert len(tasks.run("leanix", 3).tokens) == 3
        assert tokens(sandbox, "leanix") - before == 3
    assert list(budget_folder.glob("*.token")) == []


def test_a_named_folder_shares_tokens_too(
    sandbox: Sandbox, change: Change, tmp_path: Path, tasks: Forker
) -> None:
    change("leanix", {"rate_limit_store": str(tmp_path / "shared")})
    assert len(tasks.run("leanix", 4).tokens) == 1
    assert len(list((tmp_path / "shared").glob("*.token"))) == 1


def test_a_401_storm_requests_one_new_token(sandbox: Sandbox, tasks: Forker) -> None:
    first = tasks.run("leanix", 1)
    sandbox.leanix.expire_tokens()
    done = tasks.run("leanix", 12, requests_each=2)
    assert done.errors == []
    assert tokens(sandbox, "leanix") == 2
    assert len(done.tokens) == 1
    assert done.tokens != first.tokens


def test_processes_that_hold_a_dead_token_request_one_new_token(sandbox: Sandbox, tasks: Forker) -> None:
    """Both processes hold the token in memory, and find out one after the other."""
    LeanIXHook().list_runs()
    sandbox.leanix.expire_tokens()
    assert tasks.run("leanix", 1).errors == []
    LeanIXHook().list_runs()
    assert tokens(sandbox, "leanix") == 2


@pytest.mark.parametrize("in_loop", [False, True], ids=["sync", "async"])
def test_a_process_survives_two_dead_tokens_of_which_it_knew_one(
    sandbox: Sandbox, in_loop: bool, tasks: Forker
) -> None:
    """It held the first; the second one came from another process, and died before it was used."""

    def list_runs() -> Any:
        hook = LeanIXHook()
        return asyncio.run(hook.asend(_list_runs())) if in_loop else hook.list_runs()

    list_runs()
    sandbox.leanix.expire_tokens()
    assert tasks.run("leanix", 1).errors == []
    sandbox.leanix.expire_tokens()
    list_runs()
    assert tokens(sandbox, "leanix") == 3


def _list_runs() -> Any:
    from airflow_provider.leanix import api

    return api.list_runs()


def test_refused_credentials_are_sent_once_a_minute_by_many_processes(
    sandbox: Sandbox, change: Change, tasks: Forker
) -> None:
    change("iotstudio", password="wr0ng+secret/&x")
    done = tasks.run("iotstudio", 10)
    assert token_requests(sandbox, "iotstudio") == 1
    assert len(done.errors) == 10
    assert all("AuthenticationError" in error for error in done.errors)
    later = [error for error in done.errors if "refused these credentials" in error]
    assert len(later) == 9
    assert all("a corrected credential is used at once" in error for error in later)
    change("iotstudio")  # Corrected: it works at once.
    assert tasks.run("iotstudio", 3).errors == []
    assert token_requests(sandbox, "iotstudio") == 2


@pytest.mark.parametrize(
    "refusal",
    [
        {"status": 400, "body": {"error": "invalid_request"}},
        {"status": 403, "body": "forbidden"},
        {"status": 401, "body": "<html>log in</html>", "content_type": "text/html"},
    ],
)
def test_a_refusal_that_may_pass_is_not_remembered(
    sandbox: Sandbox, refusal: dict[str, Any], tasks: Forker
) -> None:
    fault = sandbox.faults.add("status", path=TOKEN_PATHS["iotstudio"], times=None, **refusal)
    assert len(tasks.run("iotstudio", 3).errors) == 3
    assert fault.hits >= 3


def test_the_connection_test_asks_the_service_though_it_refused_the_credentials(
    sandbox: Sandbox, change: Change, tasks: Forker
) -> None:
    fault = sandbox.faults.add(
        "status", path=TOKEN_PATHS["iotstudio"], status=401, times=None, body={"error": "invalid_client"}
    )
    assert len(tasks.run("iotstudio", 2).errors) == 2
    assert fault.hits == 1
    works, sentence = IoTStudioHook().test_connection()
    assert (works, fault.hits) == (False, 2)
    assert "s ago" not in sentence
    sandbox.faults.clear()  # Mended on the side of the service.
    assert tasks.run("iotstudio", 1).errors != []
    assert IoTStudioHook().test_connection()[0]
    assert tasks.run("iotstudio", 2).errors == []  # The success replaced the refusal.


def test_a_web_page_in_place_of_the_token_service_is_not_remembered(sandbox: Sandbox, tasks: Forker) -> None:
    options: dict[str, Any] = {"body": "<html><title>Login</title></html>", "content_type": "text/html"}
    sandbox.faults.add("status", path=TOKEN_PATHS["leanix"], status=403, **options)
    assert len(tasks.run("leanix", 1).errors) == 1
    assert tasks.run("leanix", 1).errors == []


def test_a_rotated_secret_gets_a_new_token_at_once(sandbox: Sandbox, change: Change, tasks: Forker) -> None:
    first = tasks.run("leanix", 2)
    sandbox.leanix.api_token = "rotated+t0ken/&="
    change("leanix", password="rotated+t0ken/&=")
    done = tasks.run("leanix", 3)
    assert (done.errors, len(done.tokens)) == ([], 1)
    assert not done.tokens & first.tokens
    assert tokens(sandbox, "leanix") == 2


def test_connections_with_different_secrets_or_scopes_never_share(
    sandbox: Sandbox, change: Change, tasks: Forker
) -> None:
    found = []
    for extra in ({"scopes": "thing"}, {"scopes": "thing category"}, {}):
        change("iotstudio", extra)
        found.append(tasks.run("iotstudio", 2, requests_each=0).tokens)
    assert [len(one) for one in found] == [1, 1, 1]
    assert len(set.union(*found)) == tokens(sandbox, "iotstudio")


# -- killed and stopped -----------------------------------------------------------------------------------


@pytest.fixture
def minter(sandbox: Sandbox, tasks: Forker) -> Iterator[RunningTasks]:
    """Yield a process that has sent a token request, whose reply is late."""
    fault = sandbox.faults.add("delay", path=TOKEN_PATHS["leanix"], seconds=300)
    process = tasks.start("leanix", 1)
    until(lambda: fault.hits == 1, 60)
    yield process
    process.signal(signal.SIGKILL)


def test_a_killed_minter_is_replaced_at_once(sandbox: Sandbox, minter: RunningTasks, tasks: Forker) -> None:
    minter.signal(signal.SIGKILL)
    done = tasks.run("leanix", 6)
    assert (done.errors, len(done.tokens)) == ([], 1)
    assert tokens(sandbox, "leanix") == 1
    assert "WARNING" not in done.log


def test_a_stopped_minter_is_replaced_by_one_process_after_a_while(
    sandbox: Sandbox, minter: RunningTasks, tasks: Forker
) -> None:
    minter.signal(signal.SIGSTOP)
    done = tasks.run("leanix", 6, longest_fetch=2.0)
    assert (done.errors, len(done.tokens)) == ([], 1)
    assert tokens(sandbox, "leanix") == 1
    (warning,) = [line for line in done.log.splitlines() if line.startswith("WARNING")]
    assert "another process has requested an access token for more than 2 s" in warning
    assert "this process requests one, too" in warning


def test_two_stopped_minters_are_waited_for_no_longer(
    sandbox: Sandbox, minter: RunningTasks, monkeypatch: pytest.MonkeyPatch, budget_folder: Path
) -> None:
    import fcntl

    monkeypatch.setattr(stores, "LONGEST_FETCH", 0.1)
    (file,) = budget_folder.glob("*.token")
    second = os.open(file.with_name(file.name.replace(".token", "-1.token")), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(second, fcntl.LOCK_EX)
    LeanIXHook().list_runs()
    assert tokens(sandbox, "leanix") == 1
    os.close(second)
    forget_process()
    LeanIXHook().list_runs()  # What it stored without a lock is shared, too.
    assert tokens(sandbox, "leanix") == 1


# -- an event loop ------------------------------------------------------------------------------------------


async def test_a_trigger_and_tasks_share_one_token(sandbox: Sandbox, tasks: Forker) -> None:
    hook = LeanIXHook()
    running = asyncio.create_task(asyncio.to_thread(tasks.run, "leanix", 6))
    await hook.asend(_list_runs())
    done: TokenTasks = await running
    assert done.errors == []
    assert tokens(sandbox, "leanix") == 1
    assert done.tokens == {shown(await hook.aaccess_token())}


async def test_an_event_loop_runs_on_while_another_process_requests_the_token(
    sandbox: Sandbox, minter: RunningTasks
) -> None:
    waiting = asyncio.create_task(LeanIXHook().asend(_list_runs()))
    await _ticks(20)
    assert not waiting.done()
    minter.signal(signal.SIGKILL)
    await waiting
    assert tokens(sandbox, "leanix") == 1


async def test_a_cancelled_wait_leaves_no_lock(sandbox: Sandbox, minter: RunningTasks, tasks: Forker) -> None:
    for ticks in (0, 1, 3, 10):
        waiting = asyncio.create_task(LeanIXHook().asend(_list_runs()))
        await _ticks(ticks)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    minter.signal(signal.SIGKILL)
    done = await asyncio.to_thread(tasks.run, "leanix", 2)
    assert (done.errors, "WARNING" in done.log) == ([], False)


async def test_a_trigger_cancelled_during_its_token_request_leaves_no_lock(
    sandbox: Sandbox,
    tasks: Forker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "_LAST_SECONDS", 0.05)
    fault = sandbox.faults.add("delay", path=TOKEN_PATHS["leanix"], seconds=300)
    asking = asyncio.create_task(LeanIXHook().asend(_list_runs()))
    while not fault.hits:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    done = await asyncio.to_thread(tasks.run, "leanix", 2)
    assert (done.errors, "WARNING" in done.log) == ([], False)
    assert tokens(sandbox, "leanix") == 1


async def _ticks(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0.005)


# -- Redis --------------------------------------------------------------------------------------------


def test_two_machines_request_one_token_over_redis(
    sandbox: Sandbox,
    change: Change,
    redis_client: Any,
    running_redis: RedisServer,
    tmp_path: Path,
    tasks: Forker,
) -> None:
    change("leanix", {"rate_limit_store": running_redis.url, "share_tokens": True})
    runs = [tasks.start("leanix", 10, {"DIGITAL_TWIN_STORE": str(tmp_path / machine)}) for machine in "ab"]
    done = [run.wait() for run in runs]
    assert [error for one in done for error in one.errors] == []
    assert len(set.union(*(one.tokens for one in done))) == 1
    assert tokens(sandbox, "leanix") == 1, done[0].log + done[1].log
    assert "shared in Redis at 127.0.0.1" in done[0].log + done[1].log


def test_tokens_are_shared_over_redis_only_where_the_connection_says_so(
    sandbox: Sandbox, change: Change, redis_client: Any, running_redis: RedisServer, tasks: Forker
) -> None:
    change("leanix", {"rate_limit_store": running_redis.url})
    assert len(tasks.run("leanix", 3).tokens) == 3
    assert list(redis_client.scan_iter("airflow-dt:{tokens}:*")) == []


def test_refused_credentials_are_sent_once_a_minute_over_redis(
    sandbox: Sandbox, change: Change, redis_client: Any, running_redis: RedisServer, tasks: Forker
) -> None:
    extra = {"rate_limit_store": running_redis.url, "share_tokens": True}
    change("iotstudio", extra, password="wr0ng+secret/&x")
    assert len(tasks.run("iotstudio", 8).errors) == 8
    assert token_requests(sandbox, "iotstudio") == 1


# -- secrets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(HOOKS))
@pytest.mark.parametrize("where", ["machine", "redis"])
def test_no_token_secret_or_client_in_files_names_keys_and_logs(
    sandbox: Sandbox,
    change: Change,
    kind: str,
    where: str,
    running_redis: RedisServer,
    redis_client: Any,
    budget_folder: Path,
    tasks: Forker,
) -> None:
    store = {"rate_limit_store": running_redis.url, "share_tokens": True} if where == "redis" else {}
    connection = json.loads(change(kind, store))
    hook = HOOKS[kind]()
    token = hook.access_token()
    log = tasks.run(kind, 2).log
    wrong = "wr0ng+secret/&% x"
    change(kind, store, password=wrong)
    log += tasks.run(kind, 2).log
    left = {path.name.encode() + b" " + path.read_bytes() for path in budget_folder.iterdir()}
    for key in redis_client.scan_iter():
        value = redis_client.get(key)
        left |= {key, value, base64.b64decode(value) if b"{tokens}" in key and b":lock" not in key else b""}
    stored = b"\n".join(left) + log.encode()
    secrets = [token, connection["password"], wrong, *filter(None, [connection.get("login")])]
    found = [text for secret in secrets for text in encodings(secret) if text.encode() in stored]
    assert found == []
    assert (b"{tokens}" if where == "redis" else b".token") in stored


def test_access_token_waits_for_another_process_no_longer_than_until_allows(
    sandbox: Sandbox, minter: RunningTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "LONGEST_FETCH", 3600.0)  # Without the bound, the test would not end.
    with LeanIXHook() as hook, hook.until(time.time() + 0.3):
        assert hook.access_token()
    assert tokens(sandbox, "leanix") == 1
