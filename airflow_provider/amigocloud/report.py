"""Report of an export: its subject, and geometries as GeoJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider.amigocloud.sync.geometry import read_stored
from airflow_provider.core.input.values import UnreadableValueError
from airflow_provider.core.json_types import Json
from airflow_provider.core.reports.report import Subject
from airflow_provider.core.reports.rows import Focus

if TYPE_CHECKING:
    from airflow_provider.amigocloud.export.request import ExportRequest

_GEOMETRIES = ("wkb_geometry", "geom", "geometry")

_TYPES = ("type", "category", "kind", "class", "status")
"""Names of columns that are likely to tell a row's type."""

_DEGREES = (None, 0, 4326, 4979)
"""SRIDs of geometries that are drawn: longitude and latitude."""


def subject_of(task: Any, request: ExportRequest) -> Subject:
    """Return the subject of an export's report.

    :param task: the operator, after its templates were rendered.
    :param request: its arguments.
    """
    part = request.part
    name = f"dataset {part.dataset}" if part else _source(task)
    title = f"Export of {name}"
    if part:
        title = f"{title}, part {part.number + 1} of {part.count}"
    column = task.incremental_column
    focus = Focus((column,) if column else (), _TYPES, _GEOMETRIES, read_geometry)
    source = f"AmigoCloud, connection {task.amigocloud_conn_id}, {name}"
    if request.state:
        source = f"{source} in its state {request.state}"
    return Subject(title, source, focus, is_slice=column is not None, is_part=part is not None)


def _source(task: Any) -> str:
    """Return the name of a source; a query itself may have values that are no part of its rows."""
    if task.dataset is not None:
        return f"dataset {task.dataset}"
    if task.saved_query is not None:
        return f"the saved query {task.saved_query}"
    return "a query" if task.sql is not None else "a list"


def read_geometry(value: Any) -> Json:
    """Return a geometry of a row as GeoJSON.

    :param value: hex EWKB.
    :raises ValueError: when it is none in degrees.
    """
    try:
        shape = read_stored(value)
    except UnreadableValueError:
        raise ValueError("no geometry") from None
    if shape.srid not in _DEGREES:
        raise ValueError("not in degrees")
    return shape.to_geojson()
