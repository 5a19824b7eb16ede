"""Access to token stores: opened once a process, and left alone for a while when they cannot be used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from airflow_provider.core.limits.address import place_of
from airflow_provider.core.limits.store import StoreUnusableError
from airflow_provider.core.tokens.store import TokenStore

RECHECK_SECONDS = 30.0
"""Seconds before a store that could not be used is used once more."""

_log = logging.getLogger(__name__)


class StoreAccess:
    """A store, and whether it can be used.

    :param store: the store.
    """

    def __init__(self, store: TokenStore) -> None:
        self.store = store
        self._unusable_until = float("-inf")
        self._is_warned = False

    @property
    def is_usable(self) -> bool:
        """True unless the store could not be used a short time ago."""
        return time.monotonic() >= self._unusable_until

    def give_up(self, error: StoreUnusableError) -> None:
        """Use the store no longer for a while, and say so once."""
        self._unusable_until = time.monotonic() + RECHECK_SECONDS
        if not self._is_warned:
            self._is_warned = True
            _log.warning(
                "access tokens cannot be shared in %s (%s); until they can, this process requests its own;"
                " next check in %.0f s",
                self.store.place,
                error,
                RECHECK_SECONDS,
            )

    def recover(self) -> None:
        """Note that the store could be used."""
        if self._is_warned:
            self._is_warned = False
            _log.info("access tokens can be shared in %s", self.store.place)


_accesses: dict[tuple[str, str], StoreAccess] = {}


def open_access(address: str, clock: Callable[[], float]) -> StoreAccess:
    """Return the process's access to the store at an address; a library that it needs is imported here.

    :param clock: function that returns the seconds of the machine's monotonic clock.
    """
    key = place_of(address)
    found = _accesses.get(key)
    return found if found is not None else _accesses.setdefault(key, StoreAccess(_new_store(address, clock)))


def _new_store(address: str, clock: Callable[[], float]) -> TokenStore:
    if "://" in address:
        from airflow_provider.core.tokens.redis_tokens import RedisTokens

        return RedisTokens(address)
    from airflow_provider.core.tokens.machine import MachineTokens

    return MachineTokens(address, clock)
