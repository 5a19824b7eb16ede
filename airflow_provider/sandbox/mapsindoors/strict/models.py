"""Models: the types of all JSON fields, as the classes of an ASP.NET Core service declare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scalar:
    """A type without members.

    :param name: its name in error messages.
    :param nullable: whether null is a value of it; a value type of .NET has none.
    """

    name: str
    nullable: bool = True


TEXT = Scalar("System.String")
BOOLEAN = Scalar("System.Nullable`1[System.Boolean]")
NUMBER = Scalar("System.Nullable`1[System.Double]")
COORDINATE = Scalar("System.Double", nullable=False)
INTEGER = Scalar("System.Int32", nullable=False)
SCALARS: Mapping[Scalar, tuple[type, ...]] = {
    TEXT: (str,),
    BOOLEAN: (bool,),
    NUMBER: (int, float),
    COORDINATE: (int, float),
    INTEGER: (int,),
}
"""Python types of each scalar."""

INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class ListOf:
    """A list whose items have one type."""

    inner: Any

    name = "System.Collections.Generic.List`1"


@dataclass(frozen=True)
class MapOf:
    """A dictionary from texts to values of one type."""

    inner: Any

    name = "System.Collections.Generic.Dictionary`2"


@dataclass(frozen=True, eq=False)
class Model:
    """A class with fields; names are matched without case, and further fields are ignored.

    :param fields: type by field.
    """

    name: str
    fields: Mapping[str, Any]

    def field_of(self, name: str) -> str | None:
        """Return the field that a key of JSON sets; None when there is none."""
        if name in self.fields:
            return name
        return next((field for field in self.fields if field.lower() == name.lower()), None)


@dataclass(frozen=True)
class Coordinates:
    """Numbers in lists of any depth."""

    name = "System.Double[]"


TEXTS = ListOf(TEXT)
GEOMETRY = Model("GeoJSON.Geometry", {"type": TEXT, "coordinates": Coordinates(), "bbox": ListOf(COORDINATE)})
_LABEL_STYLE = Model(
    "LabelStyle",
    {"textSize": NUMBER, "textColor": TEXT, "textOpacity": NUMBER, "haloColor": TEXT, "bearing": NUMBER},
)
_MODEL_2D = Model(
    "Model2D", {"model": TEXT, "widthMeters": NUMBER, "heightMeters": NUMBER, "bearing": NUMBER}
)
_POLYGON = Model(
    "PolygonStyle",
    {
        "visible": BOOLEAN,
        "strokeWidth": NUMBER,
        "strokeColor": TEXT,
        "strokeOpacity": NUMBER,
        "fillColor": TEXT,
        "fillOpacity": NUMBER,
    },
)
DISPLAY_RULE = Model(
    "DisplayRule",
    {
        "name": TEXT,
        "visible": BOOLEAN,
        "iconVisible": BOOLEAN,
        "labelVisible": BOOLEAN,
        "zoomFrom": NUMBER,
        "zoomTo": NUMBER,
        "labelZoomFrom": NUMBER,
        "labelZoomTo": NUMBER,
        "labelMaxWidth": NUMBER,
        "labelType": TEXT,
        "iconUrl": TEXT,
        "labelStyle": _LABEL_STYLE,
        "model2D": _MODEL_2D,
        "polygon": _POLYGON,
    },
)
_OPENING_DAY = Model("OpeningDay", {"closedAllDay": BOOLEAN, "startTime": TEXT, "endTime": TEXT})
_OPENING_HOURS = Model("OpeningHours", {"standardOpeningHours": MapOf(_OPENING_DAY)})
_DETAIL = Model(
    "AdditionalDetail",
    {
        "key": TEXT,
        "detailType": TEXT,
        "value": TEXT,
        "active": BOOLEAN,
        "icon": TEXT,
        "displayText": MapOf(TEXT),
        "openingHours": _OPENING_HOURS,
    },
)
GEODATA = Model(
    "Geodata",
    {
        "id": TEXT,
        "parentId": TEXT,
        "datasetId": TEXT,
        "externalId": TEXT,
        "baseType": TEXT,
        "displayTypeId": TEXT,
        "displaySetting": DISPLAY_RULE,
        "geometry": GEOMETRY,
        "anchor": GEOMETRY,
        "aliases": TEXTS,
        "categories": TEXTS,
        "status": INTEGER,
        "baseTypeProperties": MapOf(TEXT),
        "properties": MapOf(TEXT),
        "additionalDetails": ListOf(_DETAIL),
        "tilesUrl": TEXT,
        "tileStyles": ListOf(Model("TileStyle", {"displayName": TEXT, "style": TEXT})),
    },
)
DISPLAY_TYPE = Model(
    "DisplayType",
    {
        "id": TEXT,
        "name": TEXT,
        "aliases": TEXTS,
        "displayRules": ListOf(DISPLAY_RULE),
        "propertyTemplates": ListOf(Model("PropertyTemplate", {"text": TEXT, "type": TEXT})),
        "properties": MapOf(TEXT),
    },
)
CATEGORY = Model(
    "Category",
    {"id": TEXT, "key": TEXT, "name": MapOf(TEXT), "properties": MapOf(TEXT), "childKeys": TEXTS},
)
ROUTE_ELEMENT = Model(
    "RouteElement",
    {
        "id": TEXT,
        "datasetId": TEXT,
        "externalId": TEXT,
        "geometry": GEOMETRY,
        "restrictions": TEXTS,
        "onewayDirection": NUMBER,
        "waitTime": INTEGER,
    },
)
