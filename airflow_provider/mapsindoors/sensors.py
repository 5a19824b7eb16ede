"""Sensors: wait until the map is as expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.json_types import Json
from airflow_provider.core.polling import clock
from airflow_provider.core.sensor import PollSensor
from airflow_provider.errors import InputError
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
            match_on=str(self.match_on).strip(),
            deadline=clock() + self.timeout,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return "the map is not as expected"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Compare once, and log the first mismatches."""
        from airflow_provider.mapsindoors.geodata.diff import mismatches

        rows = self._rows()
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            found = mismatches(rows, hook.list_geodata(), str(self.match_on).strip())
        for mismatch in found[:5]:
            self.log.info("Not yet: %s", mismatch)
        return None if found else {"matched": len(rows)}

    def _rows(self) -> list[Json]:
        """Read the expected objects.

        :raises InputError: with the problems of all rows.
        """
        from airflow_provider.mapsindoors.arguments import Arguments
        from airflow_provider.mapsindoors.geodata.snapshot import key_of
        from airflow_provider.mapsindoors.plan.desired import raise_for_rows, read_desired_rows, set_languages

        arguments = Arguments()
        match_on = arguments.match_on(self.match_on)
        arguments.raise_if_any()
        rows = read_desired_rows(self.expected, "expected", match_on=match_on)
        set_languages(rows, "")
        for row in rows:
            if not key_of(row.item, match_on):
                row.problems.append(f"has no {match_on}")
            if row.columns > 1 and row.item.keys() <= {"id", match_on}:
                row.problems.append("has no expected value: each is null")
            if row.references:
                row.problems.append("has a reference to its parent; use parentId")
        raise_for_rows(rows, "expected", match_on)
        if not rows:
            raise InputError("is empty", "expected")
        return [row.item for row in rows]
