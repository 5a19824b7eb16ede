"""State of the emulated IoT Studio: seeded space, clients, tokens, and switches."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider.sandbox.iotstudio.auth import Client
from airflow_provider.sandbox.iotstudio.formats import ulid
from airflow_provider.sandbox.iotstudio.push.link import BrokerLink
from airflow_provider.sandbox.iotstudio.records import QueryCursor, Space
from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET, SPACE, seeded_space
from airflow_provider.sandbox.iotstudio.switches import Switches
from airflow_provider.sandbox.service import MEMBER_NUMBERS, Service
from airflow_provider.sandbox.tokens import AccessTokens


class IoTStudioState(Service, Switches):
    """Data and switches of the service, below the routes.

    The switches are those of :class:`Switches`; ``reset`` restores them all.
    """

    name: ClassVar[str] = "iotstudio"
    link: BrokerLink | None = None

    def reset(self) -> None:
        """Restore the seeded space, the clients and the default switches."""
        Switches.__init__(self)
        space = seeded_space()
        self.spaces: dict[str, Space] = {space.name: space}
        self.clients: dict[str, Client] = {CLIENT_ID: Client(CLIENT_ID, CLIENT_SECRET)}
        self.access = AccessTokens(self.name, self.around, self)
        self.tokens = self.access.by_value
        self.limit = self.around.rate_limit(self.name)
        self.revoked: list[str] = []
        self.cursor_times: dict[str, float] = {}
        self.cursors: dict[str, QueryCursor] = {}
        self.mqtt: dict[str, dict[str, Any]] = {}
        self._ids = 0
        self._tokens = 0
        self._reads = 0

    @property
    def space(self) -> Space:
        """The seeded space."""
        return self.spaces[SPACE]

    @property
    def client(self) -> Client:
        """The client of :meth:`connection`; tests may change its scopes and policies."""
        return self.clients[CLIENT_ID]

    def new_id(self) -> str:
        """Return the next id; later ids sort after earlier ids."""
        self._ids += 1
        # The counter is part of the time, so that ids made within one millisecond stay in order.
        return ulid(int(self.around.clock.now() * 1000) + self._ids, f"id {self._ids}")

    def is_stray(self) -> bool:
        """Return whether this read of a Thing is answered with a 404, and count it."""
        self._reads += 1
        return bool(self.stray_every) and self._reads % self.stray_every == 0

    def count_token(self) -> int:
        """Return the number of a token that is being issued."""
        self._tokens += 1
        return self.around.member * MEMBER_NUMBERS + self._tokens

    def count_rows(self, rows: int) -> None:
        """Count rows that were served."""
        self.around.counters.rows_served[self.name] += rows
