"""Geometries for PostGIS: which coordinate system they are in, and whether they fit their column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider.warehouse.load.columns.rows import LONGITUDE_LATITUDE, UNKNOWN_SRID
from airflow_provider.warehouse.load.columns.target import Pair, TargetColumn

if TYPE_CHECKING:
    from airflow_provider.warehouse.load.databases.base import Database
    from airflow_provider.warehouse.load.source.reading import Source

FIND_POSTGIS = """
SELECT set_config('search_path',
  concat_ws(', ', NULLIF(current_setting('search_path'), ''), quote_ident(n.nspname)), true)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'"""
"""Statement that makes PostGIS's names known, whatever schema they are in."""

_OUTSIDE = "(ST_XMin(g) < -180 OR ST_XMax(g) > 180 OR ST_YMin(g) < -90 OR ST_YMax(g) > 90)"
"""Whether a geometry is no longitude and latitude."""

_FAR_OUTSIDE = (
    "(ST_XMin(g) < -180.000001 OR ST_XMax(g) > 180.000001"
    " OR ST_YMin(g) < -90.000001 OR ST_YMax(g) > 90.000001)"
)
"""The same, but for what rounding does to coordinates of the edge."""

_DEGREES = "ST_MakeEnvelope(-180, -90, 180, 90)"
"""All longitudes and latitudes, for the operator that compares bounding boxes."""

_DIMENSIONS = {"": 0, "M": 1, "Z": 2, "ZM": 3}
"""Numbers that ``ST_Zmflag`` returns, by the ending of a column's kind."""


_LONGLAT = "SELECT 1 FROM spatial_ref_sys WHERE proj4text LIKE '%+proj=longlat%'"


def geometry_value(name: str, pair: Pair) -> str:
    """Return a staged geometry as the table's column takes it, in SQL.

    A geometry without SRID gets that of its file, else that of the column.

    :param name: the staged column in SQL.
    :param pair: its columns.
    """
    known = pair.source.srid if pair.source.srid != UNKNOWN_SRID else pair.target.srid
    value = (
        f"CASE WHEN ST_SRID({name}) = 0 THEN ST_SetSRID({name}, {known}) ELSE {name} END" if known else name
    )
    return f"({value})::geography" if pair.target.type.startswith("geography") else value


def geometry_problems(database: Database, source: Source, pair: Pair) -> list[str]:
    """Return why staged geometries do not fit their column.

    PostGIS takes a geometry without SRID into a column of any SRID. So coordinates that cannot be in the
    column's coordinate system are looked for.

    :param database: the database.
    :param source: the rows, for their names.
    :param pair: the columns.
    """
    target, place = pair.target, f"the column {pair.source.name!r}"
    staged = f"{database.numbered_stage()} AS s"
    column = f"SELECT {database.quotes.name(target.name)} AS g, _twin_row FROM {staged}"
    checks: dict[str, str] = {}
    if target.srid:
        if pair.source.srid not in (UNKNOWN_SRID, target.srid):
            return [
                f"{place} is in SRID {pair.source.srid}, as its file says, and the table's column"
                f" {target.name!r} takes {target.srid}: transform it first, as with ST_Transform"
            ]
        checks[f"ST_SRID(g) NOT IN (0, {target.srid})"] = (
            f"has another SRID than {target.srid}, which {target.name!r} takes: transform it first"
        )
        if pair.source.srid == UNKNOWN_SRID:
            checks.update(_guessed(database, target.srid))
    checks.update(_in_degrees(database, pair))
    checks.update(_of_shape(target))
    if _all_fit(database, pair):
        return []
    counts = _counts(database, pair, list(checks))
    problems = []
    for (condition, text), count in zip(checks.items(), counts, strict=True):
        if count:
            rows = database.rows(f"SELECT _twin_row FROM ({column}) c WHERE {condition} ORDER BY 1 LIMIT 3")
            names = ", ".join(source.label(row) for (row,) in rows)
            problems.append(f"{place} {text} ({count} rows: {names}{', …' if count > len(rows) else ''})")
    return problems


def _in_degrees(database: Database, pair: Pair) -> dict[str, str]:
    """Return the check of coordinates that no degrees have; a geography makes other places of them."""
    srids = {LONGITUDE_LATITUDE}
    target, known = pair.target.srid, pair.source.srid
    if target and _is_in_degrees(database, target):
        srids.add(target)
    # Without an SRID degrees and metres are compared with the column by another check.
    unset = (target in srids and known != UNKNOWN_SRID) or (not target and known in srids)
    listed = ", ".join(map(str, sorted([*srids, 0] if unset else srids)))
    text = "is outside of longitude and latitude, which its SRID is"
    return {f"ST_SRID(g) IN ({listed}) AND {_FAR_OUTSIDE}": text}


def _of_shape(target: TargetColumn) -> dict[str, str]:
    """Return the checks of a column's kind of geometry, ``POINTZ``."""
    if not target.shape:
        return {}
    base = target.shape.removesuffix("M").removesuffix("Z")
    ending = target.shape.removeprefix(base)
    called = f"which {target.name!r} takes"
    checks = {}
    if base != "GEOMETRY":
        checks[f"GeometryType(g) NOT IN ('{base}', '{base}M')"] = f"is no {base}, {called}"
    dimensions = f"XY{ending}"
    checks[f"ST_Zmflag(g) <> {_DIMENSIONS[ending]}"] = f"has other coordinates than {dimensions}, {called}"
    return checks


def is_stored_in_degrees(database: Database, pair: Pair) -> bool:
    """Return whether PostGIS sets the SRID of geometries without one, as the load would, to one of degrees.

    :param database: the database.
    :param pair: the columns.
    """
    target = pair.target
    is_typed = target.type.startswith("geometry(")
    return (
        is_typed
        and bool(target.srid)
        and pair.source.srid in (UNKNOWN_SRID, target.srid)
        and _is_in_degrees(database, target.srid)
    )


def _is_in_degrees(database: Database, srid: int) -> bool:
    return bool(database.rows(f"{_LONGLAT} AND srid = {srid}"))


def are_in_degrees(database: Database, table: str, pair: Pair) -> bool:
    """Return whether all geometries of a typed column of degrees are in them; PostGIS has checked the rest.

    :param database: the database.
    :param table: the table that they are in, in SQL.
    :param pair: the columns.
    """
    name = database.quotes.name(pair.target.name)
    return not database.rows(f"SELECT 1 FROM {table} WHERE NOT ({name} @ {_DEGREES}) LIMIT 1")


def _all_fit(database: Database, pair: Pair) -> bool:
    """Return whether all staged geometries have the column's SRID and kind, and are in its degrees.

    The checks that name what is wrong call four times as many functions for each row.
    """
    target = pair.target
    if not target.srid or not _is_in_degrees(database, target.srid):
        return False
    wrong = " OR ".join(_of_shape(target)) or "false"
    fits = f"ST_SRID(g) = {target.srid} AND g @ {_DEGREES} AND NOT ({wrong})"
    column = f"SELECT {database.quotes.name(target.name)} AS g FROM {database.stage}"
    return not database.rows(f"SELECT 1 FROM ({column}) c WHERE NOT ({fits}) LIMIT 1")


def _counts(database: Database, pair: Pair, conditions: list[str]) -> list[int]:
    """Return how many staged rows meet each condition, in one scan."""
    if not conditions:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions)
    column = f"SELECT {database.quotes.name(pair.target.name)} AS g FROM {database.stage}"
    return list(database.rows(f"SELECT {counts} FROM ({column}) c")[0])


def _guessed(database: Database, srid: int) -> dict[str, str]:
    """Return the check of geometries without SRID, for a column's SRID."""
    if not database.rows(f"SELECT 1 FROM spatial_ref_sys WHERE srid = {srid}"):
        return {}
    if _is_in_degrees(database, srid):
        text = f"has no SRID, and is outside of longitude and latitude, which SRID {srid} is"
        return {f"ST_SRID(g) = 0 AND {_FAR_OUTSIDE}": text}
    text = f"has no SRID, and looks like longitude and latitude, which SRID {srid} is not"
    return {f"ST_SRID(g) = 0 AND NOT {_OUTSIDE}": text}
