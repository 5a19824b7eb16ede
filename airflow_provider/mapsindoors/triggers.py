"""Triggers: wait in the triggerer until the map is as expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider.core.input.values import is_missing
from airflow_provider.core.shared_polls import shared_result
from airflow_provider.core.triggers import PollTrigger
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook


class MapsIndoorsGeodataTrigger(PollTrigger):
    """Trigger that fires when live objects equal the expected fields, or at the deadline.

    All triggers of a connection share their polls, because each poll reads the whole map.

    :param mapsindoors_conn_id: id of the connection; no other part of the connection is serialised.
    :param expected: the expected objects, each with the match key and the expected fields.
    :param match_on: the match key.
    :param deadline: seconds since the epoch.
    :param poll_interval: maximum interval in seconds.
    """

    late_modules = ("airflow_provider.mapsindoors.geodata.diff", "airflow_provider.mapsindoors.arguments")

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
        """Return the constructor's arguments for the serialised trigger."""
        return {
            "mapsindoors_conn_id": self.mapsindoors_conn_id,
            "expected": [dict(item) for item in self.expected],
            "match_on": self.match_on,
            "deadline": self.deadline,
            "poll_interval": self.poll_interval,
        }

    async def poll(self) -> dict[str, Any] | None:
        """Poll once, or reuse the result of another trigger's recent poll.

        :raises InputError: when nothing is expected, which would be so at once.
        """
        if not self.expected or is_missing(self.match_on):
            raise InputError("expected and match_on must not be empty", "the trigger")
        hook = self._hook = self._hook or MapsIndoorsHook(self.mapsindoors_conn_id)
        key = ("mapsindoors geodata", self.mapsindoors_conn_id)
        from airflow_provider.mapsindoors.geodata.diff import mismatches

        objects = await shared_result(key, self.poll_interval * 0.8, hook.alist_geodata)
        return None if mismatches(self.expected, objects, self.match_on) else {"matched": len(self.expected)}
