"""The cluster's semaphore: places in Redis, leased, for all processes of all machines that reach it.

A lease ends some seconds after its process was killed or stopped. Waiters are served in the order in which
they came.
"""

from __future__ import annotations

import contextlib
import os
import threading

from airflow_provider.core.limits.plan import SECOND
from airflow_provider.core.limits.redis_store import READ_CLOCK, RedisStore
from airflow_provider.core.limits.semaphore import STALE, Permit, Semaphore
from airflow_provider.core.limits.store import StoreUnusableError

LEASE = 15.0
"""Seconds of a lease."""

_RENEWAL = 5.0
"""Seconds between two renewals of the leases that a process holds."""

_ENTER = f"""{READ_CLOCK}
local now = tonumber(ARGV[1]) or read_clock()
local held, order, tried = KEYS[1], KEYS[2], KEYS[3]
local id, limit = ARGV[2], tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
-- No lease ends so late: the clock was set back, as after a failover.
redis.call('ZREMRANGEBYSCORE', held, string.format('(%.0f', now + {int(2 * LEASE * SECOND)}), '+inf')
for _, name in ipairs(redis.call('ZRANGEBYSCORE', tried, '-inf', now - {int(STALE * SECOND)})) do
  redis.call('ZREM', order, name)
  redis.call('ZREM', tried, name)
end
redis.call('ZADD', order, 'NX', now, id)
redis.call('ZADD', tried, now, id)
local free = limit - redis.call('ZCARD', held)
local taken = 0
if redis.call('ZRANK', order, id) < free then
  redis.call('ZREM', order, id)
  redis.call('ZREM', tried, id)
  redis.call('ZADD', held, now + {int(LEASE * SECOND)}, id)
  taken = 1
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], 3600) end
return {{taken}}
"""

_RENEW = f"""{READ_CLOCK}
local now = tonumber(ARGV[1]) or read_clock()
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + {int(LEASE * SECOND)}, ARGV[i]) end
return {{}}
"""

_LEAVE = """
for i = 1, 3 do redis.call('ZREM', KEYS[i], ARGV[2]) end
return {}
"""


class RedisSemaphore(Semaphore):
    """Counts the requests of all processes that reach a Redis.

    :param store: the store that runs the scripts.
    :param key: digest of the connection.
    :param limit: maximum requests at once.
    """

    def __init__(self, store: RedisStore, key: str, limit: int) -> None:
        self._store = store
        self._keys = [f"{key}:{part}" for part in ("held", "order", "tried")]
        self._limit = limit
        self.place = store.place
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._held: set[str] = set()
        self._changed = threading.Condition()
        self._renewer: threading.Thread | None = None

    def try_enter(self, permit: Permit) -> bool:
        """Take a place if one is free and no other waiter is before this one."""
        self.move(permit)
        (taken,) = self._store.run(_ENTER, self._keys, (permit.id, self._limit))
        if taken:
            self._hold(permit.id)
        return bool(taken)

    def leave(self, permit: Permit) -> None:
        """Release the place, or stop waiting; a place that Redis does not take back ends with its lease."""
        with self._changed:
            self._held.discard(permit.id)
        with contextlib.suppress(StoreUnusableError):
            self._store.run(_LEAVE, self._keys, (permit.id,))

    def _hold(self, permit_id: str) -> None:
        with self._changed:
            self._held.add(permit_id)
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="lease renewal", daemon=True)
                self._renewer.start()

    def _renew(self) -> None:
        """Renew the leases of this process until it holds none."""
        while True:
            with self._changed:
                self._changed.wait(_RENEWAL)
                if not self._held:
                    self._renewer = None
                    return
                held = sorted(self._held)
            with contextlib.suppress(StoreUnusableError):
                self._store.run(_RENEW, self._keys[:1], tuple(held))
