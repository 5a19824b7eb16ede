"""Waits for the map to look as expected, in the triggerer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider.core.shared_polls import shared_result
from airflow_provider.core.triggers import PollTrigger
from airflow_provider.mapsindoors.geodata.diff import mismatches
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook


class MapsIndoorsGeodataTrigger(PollTrigger):
    """Fires when the live objects equal the expected fields, with their number, or at the deadline.

    All triggers of one connection share their polls: the service gives the whole map at once.

    :param mapsindoors_conn_id: the connection; nothing else of it is kept.
    :param expected: the objects, each with the match key and the fields that are expected.
    :param match_on: by what objects are found.
    :param deadline: seconds since the epoch.
    :param poll_interval: the longest interval in seconds.
    """

    def __init__(
        self,
        *,
        mapsindoors_conn_id: str,
        expected: Sequence[Mapping[str, Any]],
        match_on: str,
        deadline: float,
        poll_interval: float,
    ) -> None:
        super().__init__(deadline=deadline, poll_interval=poll_interval)
        self.mapsindoors_conn_id = mapsindoors_conn_id
        self.expected = expected
        self.match_on = match_on
        self._hook: MapsIndoorsHook | None = None

    def arguments(self) -> dict[str, Any]:
        """Give what is expected, the connection's id, deadline and interval."""
        return {
            "mapsindoors_conn_id": self.mapsindoors_conn_id,
            "expected": [dict(item) for item in self.expected],
            "match_on": self.match_on,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Look once, or take what another trigger has just seen."""
        hook = self._hook = self._hook or MapsIndoorsHook(self.mapsindoors_conn_id)
        key = ("mapsindoors geodata", self.mapsindoors_conn_id)
        objects = await shared_result(key, self.poll_interval * 0.8, hook.alist_geodata)
        return None if mismatches(self.expected, objects, self.match_on) else {"matched": len(self.expected)}
