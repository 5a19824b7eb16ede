"""The task that creates what is not on the map yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.mapsindoors.arguments import whole_number
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class MapsIndoorsCreateGeodataOperator(BaseOperator):
    """Create places on the map that are not there yet; those that are, are left as they are.

    So a task that is tried again creates nothing twice, nor does one whose answer was lost.

    :param geodata: rows, or the path of a file with rows, as for a sync; each has the match key.
    :param match_on: by what it is seen that a place is there already.
    :param defaults: fields for rows that do not have them.
    :param batch_size: objects a request.
    :param mapsindoors_conn_id: the connection.
    :return: ``{"created": n, "existing": n}``.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "geodata", "match_on", "defaults")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        geodata: list[dict[str, Any]] | str,
        match_on: str = "externalId",
        defaults: dict[str, Any] | None = None,
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geodata = geodata
        self.match_on = match_on
        self.defaults = defaults
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Find out what is missing on the map, and create that."""
        from airflow_provider.mapsindoors.sync import Sync

        size = whole_number(self.batch_size, "batch_size", 1)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            sync = Sync(hook, self.log, match_on=self.match_on, defaults=self.defaults or {}, batch_size=size)
            plan, rows = sync.make(self.geodata)
            plan.changes = [one for one in plan.changes if one.operation == "create"]
            created = sync.apply(plan, rows).done["create"]
        return tell(context, self.outlets, {"created": created, "existing": rows - created})
