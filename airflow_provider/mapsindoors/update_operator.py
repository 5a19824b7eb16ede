"""The task that updates objects on the map by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.mapsindoors.arguments import whole_number
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class MapsIndoorsUpdateGeodataOperator(BaseOperator):
    """Update places on the map: each object has its ``id`` and the fields that change.

    All objects are checked before the first request. A batch that fails fails the task, with an error that
    says which rows are updated and which are not; updating once more does no harm.

    :param geodata: a list of objects, or the path of a JSON, JSON Lines or GeoJSON file, see
        :func:`airflow_provider.mapsindoors.rows.read_updates`. Fields that an object does not have stay as
        they are. The docs do not say whether members of ``properties`` and ``baseTypeProperties`` that are
        missing stay too: send these whole.
    :param batch_size: objects a request. Requests count against the solution's 10 a second.
    :param mapsindoors_conn_id: the connection.
    :return: ``{"updated": n}``.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "geodata", "batch_size")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        geodata: list[dict[str, Any]] | str,
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.geodata = geodata
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Check all objects, then send them batch by batch."""
        from airflow_provider.mapsindoors.update import update_rows

        size = whole_number(self.batch_size, "batch_size", 1)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            updated = update_rows(hook, self.geodata, size, self.log)
        return tell(context, self.outlets, {"updated": updated})
