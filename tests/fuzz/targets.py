"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz import documents, files, frames, geometries, ldif, replies, state, tasks, wire
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (ldif, geometries, frames, files, documents, state, replies, tasks, wire)
    for target in module.TARGETS
}
