"""A dataset of desks in AmigoCloud, with a field of each type."""

from __future__ import annotations

from typing import Any

DESKS = 4001
COLUMNS: list[dict[str, Any]] = [
    {"name": "amigo_id", "type": "string", "max_length": 32},
    {"name": "code", "type": "string", "max_length": 20},
    {"name": "label", "type": "string"},
    {"name": "seats", "type": "integer"},
    {"name": "price", "type": "float"},
    {"name": "free", "type": "boolean"},
    {"name": "bought_on", "type": "date"},
    {"name": "seen_at", "type": "datetime"},
    {"name": "place", "type": "geometry", "geometry_type": "POINT"},
]
POINT = "0101000020E6100000000000000000294000000000000049C0"
"""The point 12.5, -50.0."""


def desk(number: int) -> dict[str, Any]:
    """Return a desk of the dataset."""
    return {
        "amigo_id": f"{number:032x}",
        "code": f"D-{number}",
        "label": f"Desk {number}",
        "seats": number % 3,
        "price": number + 0.25,
        "free": number % 2 == 0,
        "bought_on": "2025-01-02",
        "seen_at": "2025-01-31 14:05:11+00:00",
        "place": POINT,
    }
