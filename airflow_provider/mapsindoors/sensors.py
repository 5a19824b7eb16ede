"""Sensors: wait until the map is as expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.json_types import Json
from airflow_provider.core.polling import clock
from airflow_provider.core.sensor import PollSensor
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.geodata.diff import mismatches
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger


class MapsIndoorsGeodataSensor(PollSensor):
    """Wait until live objects equal the expected fields, compared as in a sync.

    Each poll is one request for all objects. Interval and timeout are the sensor's ``poke_interval`` and
    ``timeout``. Returns ``{"matched": n}``, the number of expected objects.

    :param expected: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file; each has the match
        key and the expected fields, with references by id.
    :param match_on: the match key: ``id``, ``externalId``, ``administrativeid``, or a property such as
        ``roomno@generic``. The sensor also waits while several objects have the same key.
    :param deferrable: wait in the triggerer, not on a worker; None for Airflow's option
        ``[operators] default_deferrable``.
    :param mapsindoors_conn_id: id of the connection.
    """

    template_fields: Sequence[str] = ("expected", "match_on", "mapsindoors_conn_id")
    ui_color = "#d5ebe8"
    polls_before_deferring = True

    def __init__(
        self,
        *,
        expected: list[Json] | str,
        match_on: str = "id",
        deferrable: bool | None = None,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.expected = expected
        self.match_on = match_on
        self.deferrable = deferrable
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def check_arguments(self) -> None:
        """Read the expected rows; raises for invalid rows."""
        self._rows()

    def build_trigger(self, context: Context) -> MapsIndoorsGeodataTrigger:
        """Build the trigger that waits for the same objects."""
        from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger

        return MapsIndoorsGeodataTrigger(
            mapsindoors_conn_id=self.mapsindoors_conn_id,
            expected=self._rows(),
            match_on=self.match_on,
            deadline=clock() + self.timeout,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return "the map is not as expected"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Compare once, and log the first mismatches."""
        rows = self._rows()
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            found = mismatches(rows, hook.list_geodata(), self.match_on)
        for mismatch in found[:5]:
            self.log.info("Not yet: %s", mismatch)
        return None if found else {"matched": len(rows)}

    def _rows(self) -> list[Json]:
        """Read the expected objects.

        :raises InputError: with the problems of all rows.
        """
        from airflow_provider.mapsindoors.geodata.snapshot import key_of
        from airflow_provider.mapsindoors.plan.desired import read_desired_rows

        rows = read_desired_rows(self.expected, "")
        problems = [f"row {row.number}: {problem}" for row in rows for problem in row.problems]
        problems += [
            f"row {row.number} has no {self.match_on}" for row in rows if not key_of(row.item, self.match_on)
        ]
        problems += [
            f"row {row.number} has a reference to its parent; use parentId" for row in rows if row.references
        ]
        if problems or not rows:
            raise InputError(problems or "is empty", "expected")
        return [row.item for row in rows]
