"""The task that deletes objects from the map by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.mapsindoors.arguments import whole_number
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class MapsIndoorsDeleteGeodataOperator(BaseOperator):
    """Delete places from the map by their ids.

    Ids that are gone already do no harm. What is deleted takes along, or leaves without a parent, what is
    below it (the docs do not say which), so an object is refused whose children are not in the list.

    :param ids: the ids, or the path of a JSON or JSON Lines file of objects with an ``id``.
    :param max_deletes: refuse to delete more than this.
    :param batch_size: objects a request.
    :param mapsindoors_conn_id: the connection.
    :return: ``{"deleted": n, "gone": n}``: how many were deleted, and how many did not exist.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "ids", "max_deletes")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        ids: list[str] | str,
        max_deletes: int = 100,
        batch_size: int = 500,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ids = ids
        self.max_deletes = max_deletes
        self.batch_size = batch_size
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Look at what would go, and delete it from the leaves up."""
        from airflow_provider.mapsindoors.deletion import delete, read_ids

        most = whole_number(self.max_deletes, "max_deletes")
        size = whole_number(self.batch_size, "batch_size", 1)
        ids = read_ids(self.ids)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            done = delete(hook, ids, most, size, self.log)
        return tell(context, self.outlets, done)
