"""Sensors: wait until the map is as expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider.core.sensor import PollSensor
from airflow_provider.errors import one_line, shorten
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.core.json_types import Json
    from airflow_provider.mapsindoors.plan.desired import DesiredRow
    from airflow_provider.mapsindoors.triggers import MapsIndoorsGeodataTrigger


class MapsIndoorsGeodataSensor(PollSensor):
    """Wait until live objects equal the expected fields, compared as in a sync.

    Each poll is one request for all objects. Interval and timeout are the sensor's ``poke_interval`` and
    ``timeout``. Returns ``{"matched": n}``, the number of expected objects.

    :param expected: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file; each has the match
        key and the expected fields. Display types and categories are given by id, key or name, the parent by
        ``parentId``. A name or language that the solution does not have is an error at once.
    :param match_on: the match key: ``id``, ``externalId``, ``administrativeid``, or a property such as
        ``roomno@generic``. The sensor also waits while several objects have the same key.
    :param deferrable: wait in the triggerer, not on a worker; None for Airflow's option
        ``[operators] default_deferrable``.
    :param mapsindoors_conn_id: id of the connection.
    """

    template_fields: Sequence[str] = ("expected", "match_on", "mapsindoors_conn_id")
    ui_color = "#d5ebe8"
    polls_before_deferring = True
    _expected: list[DesiredRow] | None = None
    _is_resolved = False

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

        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            rows = self._rows(hook)
        return MapsIndoorsGeodataTrigger(
            mapsindoors_conn_id=self.mapsindoors_conn_id,
            expected=[row.item for row in rows],
            match_on=self._match_on(),
            deadline=self.end,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return "the map is not as expected"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Compare once, and log the first mismatches."""
        from airflow_provider.mapsindoors.geodata.diff import mismatches

        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook, hook.until(self.poll_end()):
            rows = self._rows(hook)
            found = mismatches([row.item for row in rows], hook.list_geodata(), self._match_on())
            if found:
                self._resolve(hook)
        for mismatch in shorten(found, 5):
            self.log.info("Not yet: %s", one_line(mismatch))
        return None if found else {"matched": len(rows)}

    def _match_on(self) -> str:
        from airflow_provider.mapsindoors.arguments import Arguments

        arguments = Arguments()
        match_on = arguments.match_on(self.match_on)
        arguments.raise_if_any()
        return match_on

    def _rows(self, hook: MapsIndoorsHook | None = None) -> list[DesiredRow]:
        """Read the expected objects once; with a hook, names in them are replaced by ids.

        :raises InputError: with the problems of all rows.
        """
        from airflow_provider.mapsindoors.plan import expected

        if self._expected is None:
            self._expected = expected.read_expected(self.expected, self._match_on())
        if hook is not None and not self._is_resolved and expected.has_names(self._expected):
            self._resolve(hook)
        return self._expected

    def _resolve(self, hook: MapsIndoorsHook) -> None:
        """Check once that the solution has the languages, display types and categories of the rows."""
        from airflow_provider.mapsindoors.plan.expected import resolve_expected

        if not self._is_resolved:
            resolve_expected(hook, self._rows(), self._match_on())
            self._is_resolved = True
