"""Checks of processor configurations: types of fields, processors, and what they write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.sandbox.leanix.seed import KEY_FIELDS
from airflow_provider.sandbox.leanix.writers import WRITER

INBOUND = frozenset(
    {
        "inboundFactSheet",
        "inboundRelation",
        "inboundTag",
        "inboundDocument",
        "inboundSubscription",
        "inboundMetrics",
        "inboundImpact",
        "inboundToDo",
        "inboundToDos",
        "variableProcessor",
        WRITER,
    }
)
PROCESSORS: Mapping[str, frozenset[str]] = {
    "inbound": INBOUND,
    "outbound": frozenset({"outboundFactSheet"}),
}
"""Types of processors by direction."""

_NAMES: Mapping[Any, str] = {
    str: "a text",
    bool: "a boolean",
    int: "a whole number",
    list: "a list",
    dict: "an object",
}
_CONFIGURATION: Mapping[str, Any] = {
    "connectorType": str,
    "connectorId": str,
    "connectorVersion": str,
    "sequentialExecution": bool,
    "scope": (dict, list),
    "deletionScope": dict,
    "variables": dict,
    "dataProvider": dict,
    "credentials": dict,
    "dataConsumer": dict,
    "targetLdif": dict,
    "defaultInput": dict,
    "processors": list,
}
_PROCESSOR: Mapping[str, Any] = {
    "processorType": str,
    "processorName": str,
    "processorDescription": str,
    "filter": dict,
    "run": int,
    "enabled": bool,
    "identifier": dict,
    "updates": list,
    "output": list,
    "read": dict,
    "fields": list,
}
_FILTER: Mapping[str, Any] = dict.fromkeys(("exactType", "type", "id", "advanced", "onRead"), str)
_UPDATE: Mapping[str, Any] = {"key": dict, "mode": str, "values": list, "optional": bool}
_MOST = 500
"""Maximum characters of an expression."""


def configuration_errors(configuration: Mapping[str, Any]) -> list[str]:
    """Return the errors of a processor configuration, each with the path of its field."""
    direction = configuration.get("processingDirection")
    if direction not in tuple(PROCESSORS):
        return ["processingDirection must be inbound or outbound"]
    errors = [*_types(configuration, _CONFIGURATION, "")]
    mode = str(configuration.get("processingMode") or "partial").lower()
    if mode not in ({"partial", "full"} if direction == "inbound" else {"partial"}):
        errors.append(f"processingMode {mode} is not allowed for {direction}")
    if direction == "outbound" and configuration.get("scope") is None:
        errors.append("scope may not be null")
    errors += [
        f"{name} must not be longer than {_MOST} characters"
        for name in KEY_FIELDS
        if len(str(configuration.get(name))) > _MOST
    ]
    if errors:
        return errors
    for number, processor in enumerate(configuration.get("processors") or []):
        errors += _processor_errors(processor, PROCESSORS[str(direction)], f"processors[{number}]")
    target = configuration.get("targetLdif") or {}
    errors += _consumer_errors(configuration.get("dataConsumer"), "dataConsumer")
    return errors + list(_target_errors(target))


def _types(given: Mapping[str, Any], types: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, kind in types.items():
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            yield f"{path}{name} must be {' or '.join(_NAMES[one] for one in kinds)}"


def _processor_errors(processor: Any, known: frozenset[str], path: str) -> Iterator[str]:
    if not isinstance(processor, Mapping):
        yield f"{path} must be an object"
        return
    kind = processor.get("processorType")
    if kind not in tuple(known):
        yield f"{path}.processorType {kind} is not one of {', '.join(sorted(known))}"
        return
    wrong = [*_types(processor, _PROCESSOR, f"{path}."), *_filter_errors(processor.get("filter"), path)]
    yield from wrong
    if isinstance(processor.get("run"), int) and processor["run"] < 0:
        yield f"{path}.run must be 0 or more"
    if not wrong and kind in {WRITER, "outboundFactSheet"}:
        yield from _writer_errors(processor, path)


def _filter_errors(given: Any, path: str) -> Iterator[str]:
    if not isinstance(given, Mapping):
        return
    wrong = list(_types(given, _FILTER, f"{path}.filter."))
    yield from wrong
    for name in () if wrong else ("type", "id"):
        try:
            re.compile(given.get(name) or "")
        except re.error:
            yield f"{path}.filter.{name} is not a regular expression"


def _writer_errors(processor: Mapping[str, Any], path: str) -> Iterator[str]:
    name = "updates" if processor["processorType"] == WRITER else "output"
    for number, update in enumerate(processor.get(name) or []):
        yield from _update_errors(update, f"{path}.{name}[{number}]")
    search = (processor.get("identifier") or {}).get("search")
    if search is not None:
        yield from _search_errors(search, f"{path}.identifier.search")


def _update_errors(update: Any, path: str) -> Iterator[str]:
    if not isinstance(update, Mapping):
        yield f"{path} must be an object"
        return
    wrong = list(_types(update, _UPDATE, f"{path}."))
    yield from wrong
    if wrong:
        return
    if not isinstance((update.get("key") or {}).get("expr"), str):
        yield f"{path}.key.expr may not be null"
    if update.get("mode") not in {None, "list", "selectFirst"}:
        yield f"{path}.mode must be list or selectFirst"
    for number, value in enumerate(update.get("values") or []):
        where = f"{path}.values[{number}]"
        if not isinstance(value, Mapping):
            yield f"{where} must be an object"
        elif "expr" in value and "map" in value:
            yield f"{where} must not have both expr and map"
        elif len(str(value.get("expr", ""))) > _MOST:
            yield f"{where}.expr must not be longer than {_MOST} characters"


def _search_errors(search: Any, path: str) -> Iterator[str]:
    scope = search.get("scope") if isinstance(search, Mapping) else search
    facets = (scope or {}).get("facetFilters") if isinstance(scope or {}, Mapping) else scope
    if not isinstance(search, Mapping) or not isinstance(facets or [], list):
        yield f"{path}.scope must be an object with facetFilters, a list"
        return
    for number, facet in enumerate(facets or []):
        keys = facet.get("keys") if isinstance(facet, Mapping) else None
        if not isinstance(keys, list) or not isinstance(facet.get("facetKey"), str):
            yield f"{path}.scope.facetFilters[{number}] needs facetKey and keys"


def _target_errors(target: Mapping[str, Any]) -> Iterator[str]:
    keys = target.get("ldifKeys")
    if not isinstance(keys or [], list):
        yield "targetLdif.ldifKeys must be a list"
        return
    for number, row in enumerate(keys or []):
        if not isinstance(row, Mapping) or not all(
            isinstance(row.get(name), str) for name in ("key", "value")
        ):
            yield f"targetLdif.ldifKeys[{number}] needs key and value, both of them texts"
    yield from _consumer_errors(target.get("dataConsumer"), "targetLdif.dataConsumer")


def _consumer_errors(consumer: Any, path: str) -> Iterator[str]:
    if consumer is None:
        return
    kind = consumer.get("type") if isinstance(consumer, Mapping) else None
    if kind not in ("leanixStorage", "azureStorage"):
        yield f"{path}.type must be leanixStorage or azureStorage"
    elif kind == "azureStorage":
        for name in ("connectionString", "containerName"):
            if not consumer.get(name):
                yield f"{path}.{name} may not be empty"
