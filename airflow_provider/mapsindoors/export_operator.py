"""The task that writes the map to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.errors import InputError
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class MapsIndoorsExportGeodataOperator(BaseOperator):
    """Write a solution's geodata to a file: for a warehouse, for a map tool, or as a backup.

    The file appears when it is whole. A GeoJSON or GeoParquet file can be read back by the sync.

    :param output_path: where, anything ``ObjectStoragePath`` takes. The ending says the format: ``.jsonl``
        (objects as the service sends them) and ``.geojson``, both also with ``.gz``; ``.geoparquet`` and
        ``.parquet`` (nested fields as JSON text).
    :param base_types: only these types (``room``, ``poi``, ...).
    :param root_element: only this object and what is below it.
    :param mapsindoors_conn_id: the connection.
    :return: the manifest: ``{"uri", "format", "rows", "bytes", "files", "columns", "requests", "seconds"}``.
    """

    template_fields: Sequence[str] = ("mapsindoors_conn_id", "output_path", "base_types", "root_element")
    ui_color = "#d5ebe8"

    def __init__(
        self,
        *,
        output_path: str,
        base_types: list[str] | str | None = None,
        root_element: str | None = None,
        mapsindoors_conn_id: str = MapsIndoorsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.base_types = base_types
        self.root_element = root_element
        self.mapsindoors_conn_id = mapsindoors_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read everything with one request and write the file."""
        from airflow_provider.mapsindoors.checks import BASE_TYPES
        from airflow_provider.mapsindoors.export import choose_format, export

        wanted = {self.base_types} if isinstance(self.base_types, str) else set(self.base_types or ())
        if unknown := wanted - set(BASE_TYPES):
            raise InputError(f"base_types has unknown types: {', '.join(sorted(unknown))}")
        choose_format(self.output_path)
        with MapsIndoorsHook(self.mapsindoors_conn_id) as hook:
            made = export(hook, self.output_path, wanted, self.root_element)
        return tell(context, self.outlets, made)
