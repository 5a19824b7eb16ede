"""Tasks and a trigger in processes of their own, which send requests by one connection at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.http.call import Call
from tests.support import forked

EACH = 12
"""Requests of each process."""


def run_processes(kinds: list[str], seconds: float = 60) -> list[int | None]:
    """Run processes that begin together, and return their exit codes; None is one that hangs.

    :param kinds: ``task`` for four threads with a hook, ``trigger`` for coroutines with hooks of their own.
    :param seconds: maximum seconds.
    """
    ready = forked.context().Barrier(len(kinds))
    processes = [forked.start(_run, kind, ready) for kind in kinds]
    for process in processes:
        process.join(seconds)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def _run(kind: str, ready: Any) -> None:
    with AmigoCloudHook("counted") as hook, ThreadPoolExecutor(4) as pool:
        ready.wait(30)
        if kind == "trigger":
            asyncio.run(_watch())
        else:
            list(pool.map(lambda _: hook.get("me"), range(EACH)))


async def _watch() -> None:
    await asyncio.gather(*(AmigoCloudHook("counted").asend(Call("GET", "me")) for _ in range(EACH)))
