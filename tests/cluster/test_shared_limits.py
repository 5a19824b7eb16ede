"""Budgets, tokens and places of requests, shared by the tasks of two workers through Redis."""

from __future__ import annotations

import os
import signal

from tests.cluster.conftest import REFUSED, Proof
from tests.support.many_processes import Done, fairness

TASKS, REQUESTS = 8, 60


def test_eight_tasks_on_two_workers_keep_one_rate(proof: Proof) -> None:
    """10 a second, margin 1.05: at most 1 % refused, at least 92 % of the ideal rate, fair."""
    proof.sandbox.counters.clear()
    run_id = proof.runs.run("budgets")
    tasks = proof.runs.tasks("budgets", run_id)
    assert {task["hostname"] for task in tasks} == {"host-a", "host-b"}
    done = [Done(proof.runs.returned("budgets", run_id, "read_map", number), "") for number in range(TASKS)]
    moments = sorted(moment for one in done for moment in one.answered)
    assert len(moments) == TASKS * REQUESTS
    refused = proof.sandbox.counters.replies("mapsindoors ")[REFUSED]
    rate = (len(moments) - 10) / (moments[-1] - moments[0])  # The last ten begin a further second.
    fair = fairness(done)
    print(f"\n{refused} of {len(moments)} refused, {rate:.2f} a second, fairness {fair:.3f}")
    assert refused <= len(moments) * 0.01
    assert rate >= 9.2
    assert fair > 0.95


def test_forty_tasks_share_one_token(proof: Proof) -> None:
    proof.sandbox.counters.clear()
    proof.runs.run("tokens")
    assert proof.sandbox.counters.tokens_issued["leanix"] == 1


def test_tasks_continue_while_redis_hangs(proof: Proof) -> None:
    """For five seconds; each task says so once, and the machine's budget counts meanwhile."""
    run_id = proof.runs.start("redis_hangs")
    counters = proof.sandbox.counters
    counters.clear()
    proof.runs.wait(lambda: counters.total("mapsindoors GET") > 60, 120, "tasks read")
    os.kill(proof.cluster.redis.pid, signal.SIGSTOP)
    read = counters.total("mapsindoors GET")
    proof.runs.wait(lambda: counters.total("mapsindoors GET") > read + 50, 60, "tasks read without Redis")
    os.kill(proof.cluster.redis.pid, signal.SIGCONT)
    proof.runs.finish("redis_hangs", run_id)
    logs = [proof.runs.log("redis_hangs", run_id, task) for task in proof.runs.tasks("redis_hangs", run_id)]
    warned = [sum("cannot be used (TimeoutError" in line for line in log) for log in logs]
    assert max(warned) == 1
    assert sum(warned) >= 2
