"""The cluster's store: budgets in Redis, for all processes of all machines that reach it.

The planning of :mod:`airflow_provider.core.limits.plan` runs as a script inside of Redis, on its clock,
so that the clocks of the machines do not matter.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider.core.limits.plan import HORIZON, LONGEST_PAUSE, LONGEST_WAIT, SECOND, Rate, pause_length
from airflow_provider.core.limits.store import Reservation, Store, StoreUnusableError, WouldBlockError
from airflow_provider.errors import InputError, cut

T = TypeVar("T")

TIMEOUT = 1.0
"""Maximum seconds to connect, and of one reply."""

_IDLE = 86_400_000
"""Milliseconds after its last use at which a budget is removed."""

_MAX_ALIASES = 8

READ_CLOCK = """
local function read_clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
"""
"""Lua: the microseconds of the clock of Redis, unless the script got them as its first argument."""

_LIBRARY = f"""{READ_CLOCK}
-- Returns the key that a budget is an alias of, or the pause and the slots. A budget that cannot be read
-- counts as if a full window of requests had just been sent.
local function read(key, now, requests)
  local text = redis.call('GET', key)
  if not text then return nil, 0, {{}} end
  local alias = string.match(text, '^alias (%x+)$')
  if alias then
    redis.call('PEXPIRE', key, {_IDLE})
    return alias
  end
  local slots = {{}}
  if string.match(text, '^%d+[ %d]*$') then
    local paused = nil
    for number in string.gmatch(text, '%d+') do
      if paused then slots[#slots + 1] = tonumber(number) else paused = tonumber(number) end
    end
    return nil, paused, slots
  end
  for i = 1, requests do slots[i] = now end
  return nil, 0, slots
end

local function write(key, paused, slots)
  local text = {{string.format('%.0f', paused)}}
  for i = 1, #slots do text[i + 1] = string.format('%.0f', slots[i]) end
  redis.call('SET', key, table.concat(text, ' '), 'PX', {_IDLE})
end
"""

_RESERVE = f"""{_LIBRARY}
local requests, window, longest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(ARGV[1]) or read_clock()
local alias, paused, slots = read(KEYS[1], now, requests)
if alias then return alias end
for i = 1, #slots do
  if slots[i] > now + {LONGEST_WAIT} then slots[i] = now end
end
table.sort(slots)
local slot = math.max(now, math.min(paused, now + {LONGEST_PAUSE}))
if requests > 0 and #slots >= requests then
  slot = math.max(slot, slots[#slots - requests + 1] + window)
end
local wait = slot - now
if wait > math.min(longest, {LONGEST_WAIT}) then return {{slot, wait, 0}} end
if requests > 0 then
  slots[#slots + 1] = slot
  table.sort(slots)
  local oldest = now - math.max({HORIZON}, requests > 1 and window or 0)
  local kept = {{}}
  for i = 1, #slots do
    if slots[i] >= oldest then kept[#kept + 1] = slots[i] end
  end
  write(KEYS[1], paused, kept)
end
return {{slot, wait, 1}}
"""

_PAUSE = f"""{_LIBRARY}
local now = tonumber(ARGV[1]) or read_clock()
local alias, paused, slots = read(KEYS[1], now, tonumber(ARGV[2]))
if alias then return alias end
local limit = now + {LONGEST_PAUSE}
write(KEYS[1], math.max(math.min(paused, limit), now + math.min(tonumber(ARGV[3]), {LONGEST_PAUSE})), slots)
return {{}}
"""

_PAUSED_UNTIL = f"""{_LIBRARY}
local alias, paused = read(KEYS[1], 0, 0)
if alias then return alias end
return {{paused}}
"""

_JOIN = f"""{_LIBRARY}
local now, requests = tonumber(ARGV[1]) or read_clock(), tonumber(ARGV[2])
local alias, paused, slots = read(KEYS[1], now, requests)
local other_alias, other_paused, other_slots = read(KEYS[2], now, requests)
if alias or other_alias then return {{alias or '', other_alias or ''}} end
for i = 1, #slots do other_slots[#other_slots + 1] = slots[i] end
table.sort(other_slots)
write(KEYS[2], math.max(paused, other_paused), other_slots)
redis.call('SET', KEYS[1], 'alias ' .. ARGV[3], 'PX', {_IDLE})
return {{}}
"""


class RedisStore(Store):
    """Holds each budget in one key of Redis.

    :param url: address with credentials.
    :param now: function that returns the time of Redis in microseconds; None for its clock. For tests.
    :raises InputError: when the URL is invalid.
    """

    def __init__(self, url: str, now: Callable[[], int] | None = None) -> None:
        parts = urlsplit(url)
        where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        self.place = f"Redis at {where}"
        self._url = url
        self._now = now
        self._client: Any = None
        self._process = 0
        self.open_client()

    def reserve(self, key: str, rate: Rate | None, longest: float, *, block: bool = True) -> Reservation:
        """Reserve the next free moment, unless it is more than ``longest`` seconds ahead."""
        requests, window = rate or (0, 0)
        values = (requests, window, int(min(longest * SECOND, LONGEST_WAIT)))
        key, (slot, wait, taken) = self._follow(_RESERVE, key, values, block)
        return Reservation(self, key, slot, wait / SECOND, bool(taken))

    def pause(self, key: str, rate: Rate | None, seconds: float, *, block: bool = True) -> None:
        """Pause a budget: no request leaves for some seconds."""
        microseconds = pause_length(seconds)
        self._follow(_PAUSE, key, (rate.requests if rate else 0, microseconds), block)

    def paused_until(self, reservation: Reservation, *, block: bool = True) -> int:
        """Return the moment before which no request of a reservation's budget leaves."""
        _, (until,) = self._follow(_PAUSED_UNTIL, reservation.key, (), block)
        return int(until)

    def join(self, key: str, other: str, rate: Rate | None, *, block: bool = True) -> None:
        """Make a budget an alias of another one, which counts the requests of both from now on."""
        for _ in range(_MAX_ALIASES):
            if key == other:
                return
            found = self.run(_JOIN, [key, other], (rate.requests if rate else 0, other), block)
            if not found:
                return
            key, other = _text(found[0]) or key, _text(found[1]) or other
        raise StoreUnusableError("the aliases of a budget lead in a circle")

    def _follow(self, script: str, key: str, values: tuple[int, ...], block: bool) -> tuple[str, list[Any]]:
        """Run a script on a budget, or on the one that it is an alias of; returns that one's key, too."""
        for _ in range(_MAX_ALIASES):
            found = self.run(script, [key], values, block)
            if isinstance(found, list):
                return key, found
            key = _text(found)
        raise StoreUnusableError("the aliases of a budget lead in a circle")

    def run(self, script: str, keys: Sequence[str], values: tuple[int | str, ...], block: bool = True) -> Any:
        """Run a script; a connection that was open before is replaced once, if it broke meanwhile.

        :param script: Lua; its first argument is the time in microseconds, or empty for Redis' own clock.
        :param keys: names without the prefix that all names in Redis have.
        :param values: further arguments.
        :raises StoreUnusableError: when Redis cannot be used.
        """
        if not block:
            raise WouldBlockError
        # The braces are a hash tag: in a cluster of Redis all budgets are on one node, as a join needs it.
        names = [f"airflow-dt:{{budgets}}:{key}" for key in keys]
        return self.use(lambda: self._evaluate(script, names, values))

    def use(self, operation: Callable[[], T]) -> T:
        """Run an operation; a connection that was open before is replaced once, if it broke meanwhile."""
        import redis

        try:
            try:
                return operation()
            except redis.ConnectionError:
                return operation()
        except (redis.RedisError, OSError) as error:
            raise StoreUnusableError(cut(f"{type(error).__name__}: {error}", 200)) from None

    def _evaluate(self, script: str, names: list[str], values: tuple[int | str, ...]) -> Any:
        import redis

        client = self.open_client()
        try:
            return _evaluate(client, script, names, (self._now() if self._now else "", *values))
        except redis.ResponseError as error:
            # Some services do not allow the command TIME inside of a script.
            if self._now or "TIME" not in str(error).upper():
                raise
        seconds, microseconds = client.time()
        return _evaluate(client, script, names, (seconds * SECOND + microseconds, *values))

    def open_client(self) -> Any:
        """Return the process's client: a connection from before a fork belongs to the parent."""
        if self._client is None or self._process != os.getpid():
            self._client, self._process = _new_client(self._url), os.getpid()
        return self._client


def _new_client(url: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    try:
        client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # Reads the options of the URL, and connects later.
    except (redis.RedisError, ValueError, TypeError):
        raise InputError("extra 'rate_limit_store' is no valid URL of Redis") from None
    return client


def _evaluate(client: Any, script: str, names: list[str], values: tuple[int | str, ...]) -> Any:
    """Run a script by its digest; one that Redis does not know, as after a restart, is sent whole."""
    import redis

    try:
        return client.evalsha(_digest(script), len(names), *names, *values)
    except redis.exceptions.NoScriptError:
        return client.eval(script, len(names), *names, *values)


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
