"""State of the emulated IoT Studio: seeded space, clients, tokens, and switches."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from airflow_provider.sandbox.iotstudio.auth import Client, Token
from airflow_provider.sandbox.iotstudio.formats import ulid
from airflow_provider.sandbox.iotstudio.records import QueryCursor, Space
from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET, SPACE, seeded_space
from airflow_provider.sandbox.service import Service


class IoTStudioState(Service):
    """Data and switches of the service, below the routes.

    The switches are described at :class:`~airflow_provider.sandbox.iotstudio.service.IoTStudioService`.
    """

    name: ClassVar[str] = "iotstudio"

    def reset(self) -> None:
        """Restore the seeded space, the clients and the default switches."""
        space = seeded_space()
        self.spaces: dict[str, Space] = {space.name: space}
        self.clients: dict[str, Client] = {CLIENT_ID: Client(CLIENT_ID, CLIENT_SECRET)}
        self.tokens: dict[str, Token] = {}
        self.revoked: list[str] = []
        self.cursors: dict[str, QueryCursor] = {}
        self.mqtt: dict[str, dict[str, Any]] = {}
        self._ids = 0
        self._tokens = 0
        self._reset_switches()

    def _reset_switches(self) -> None:
        self.token_lifetime: float = 604_799
        self.read_only: Literal["accept", "reject"] = "accept"
        self.unknown_property: Literal["accept", "reject"] = "reject"
        self.out_of_range: Literal["accept", "reject", "clamp"] = "reject"
        self.lost_writes: set[str | tuple[str, str]] = set()
        self.rounding: dict[str, int] = {}
        self.max_message_bytes: int | None = 5 * 1024
        self.longest_url: int | None = None
        self.empty_page_in_the_middle = False
        self.forgotten_before = ""
        self.unknown_space_status = 404
        self.device_seconds: float | None = 2.0
        self.device_answers: dict[str, tuple[str, Any]] = {}
        self.actions_show_output = True
        self.nan_literals = False

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

    def count_token(self) -> int:
        """Count a token that is being issued; return its number."""
        self._tokens += 1
        self.around.counters.tokens_issued[self.name] += 1
        return self._tokens

    def count_rows(self, rows: int) -> None:
        """Count rows that were served."""
        self.around.counters.rows_served[self.name] += rows
