"""Tokens that 40 tasks cost at one service, and the cost of reading a stored token.

Run: ``python -m tests.benchmarks.shared_tokens [tasks]``
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from airflow_provider.core.limits.machine import FOLDER_VARIABLE
from airflow_provider.core.tokens.record import IssuedToken
from airflow_provider.core.tokens.sharing import SharedToken, TokenRequest
from airflow_provider.sandbox.leanix import LeanIXService
from airflow_provider.sandbox.server import Sandbox
from dev.redis_server import running
from tests.support.token_tasks import Forker

ROUNDS = 3000
TASKS = 40
VALUE = "x" * 1200
"""A token of the length of a signed one."""


def cost(address: str) -> str:
    """Return the median and the slowest hundredth of reading a stored token.

    :param address: value of the extra ``rate_limit_store``.
    """
    token = SharedToken(address, TokenRequest(b"secret", b"identity", False), time.monotonic)
    durations = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        token.obtain(lambda: IssuedToken(VALUE, 0.0, 3600.0), (), lambda: 0.0, heed_refusals=True)
        durations.append(time.perf_counter() - began)
    return f"median {median(durations) * 1e6:.0f} µs, p99 {quantiles(durations, n=100)[98] * 1e6:.0f} µs"


def together(extra: dict[str, object], tasks: int, machines: int, folder: Path) -> str:
    """Return the tokens that tasks cost which begin at the same time, each in a process of its own.

    :param extra: extra of their connection.
    :param machines: number of folders that stand for machines.
    """
    with Sandbox(kinds=[LeanIXService]) as sandbox:
        connection = dict(sandbox.leanix.connection())
        connection["extra"] = {**(connection.get("extra") or {}), **extra}
        env = {"AIRFLOW_CONN_LEANIX_DEFAULT": json.dumps(connection)}
        forker = Forker()
        try:
            stores = [str(folder / f"{len(extra)}{number}") for number in range(machines)]
            runs = [
                forker.start("leanix", tasks // machines, {**env, FOLDER_VARIABLE: store}) for store in stores
            ]
            done = [run.wait(600) for run in runs]
        finally:
            forker.close()
        failed = sum(len(one.errors) for one in done)
        return f"{sandbox.counters.tokens_issued['leanix']} tokens, {failed} failed"


def main() -> None:
    """Measure, and print one line for each."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name, running(Path(name)) as server:
        os.environ[FOLDER_VARIABLE] = f"{name}/store"
        for label, address in (("machine", ""), ("redis", server.url)):
            print(f"{label:20} a stored token is read in {cost(address)}", flush=True)
        shared = {"rate_limit_store": server.url, "share_tokens": True}
        for label, extra, machines in (
            ("machine", {}, 1),
            ("redis, two machines", shared, 2),
            ("not shared", {"share_tokens": False}, 1),
        ):
            found = together(extra, tasks, machines, Path(name))
            print(f"{label:20} {tasks} tasks: {found}", flush=True)


if __name__ == "__main__":
    main()
