"""Operators for MapsIndoors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.errors import InputError, ProviderError
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
        from airflow_provider.mapsindoors.batches import batches, with_progress
        from airflow_provider.mapsindoors.rows import check_updates, read_updates

        size = _positive(self.batch_size, "batch_size")
        count = check_updates(self.geodata)
        done = 0
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            for batch in batches(read_updates(self.geodata), size):
                try:
                    hook.update_geodata([item for _, item in batch])
                except ProviderError as error:
                    raise with_progress(error, batch, done, count) from error
                done += len(batch)
                self.log.info("Updated %d of %d objects", done, count)
        return {"updated": done}


def _positive(value: Any, name: str) -> int:
    """Read a whole number above 0, which a template may have made a text."""
    text = str(value).strip()
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"{name} must be a whole number above 0, not {value!r}")
    return int(text)
