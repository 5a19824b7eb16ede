"""Writers: processors of an inbound run that write fact sheets into an LDIF."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.sandbox.leanix.runs import Run, duration
from airflow_provider.sandbox.leanix.seed import FactSheet

WRITER = "writeToLdif"
_WHOLE = re.compile(r"\$\{([^{}]*)\}")
_COMPARED = re.compile(r"(?P<left>.+?)\s*(?P<sign>==|!=)\s*(?P<right>.+)")
_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


class ExpressionError(Exception):
    """An expression that the emulated service does not evaluate."""


def evaluate(text: Any, scope: Mapping[str, Any]) -> Any:
    """Return the value of a template: of its only expression, or a text with its expressions replaced.

    Paths, literals and the comparisons ``==`` and ``!=`` are evaluated; a path that leads nowhere is None.

    :param scope: values by their names: ``lx``, ``content``, ``data``, ``header``, ``integration``.
    :raises ExpressionError: for other expressions.
    """
    if not isinstance(text, str):
        return text
    whole = _WHOLE.fullmatch(text)
    if whole:
        return _value(whole.group(1).strip(), scope)
    return _WHOLE.sub(lambda found: _shown(_value(found.group(1).strip(), scope)), text)


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _value(expression: str, scope: Mapping[str, Any]) -> Any:
    if compared := _COMPARED.fullmatch(expression):
        left, right = (_value(compared[side].strip(), scope) for side in ("left", "right"))
        return (left == right) == (compared["sign"] == "==")
    quoted = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", expression)
    if quoted:
        return quoted[1] if quoted[1] is not None else quoted[2]
    if expression in {"true", "false", "null"} or re.fullmatch(r"-?\d+(\.\d+)?", expression):
        return json.loads(expression)
    if not _PATH.fullmatch(expression):
        raise ExpressionError(f"The expression {expression} is not known")
    value: Any = scope
    for name in expression.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def write_to_ldif(run: Run, sheets: Mapping[str, FactSheet]) -> None:
    """Write fact sheets into the result of an inbound run whose configuration has writers for that.

    All writers fill one LDIF. Each runs once for every item of the content that its filter lets through, so
    a run needs an item, if only a dummy. The header is that of ``targetLdif``.
    """
    processors = run.configuration.get("processors", [])
    found = [one for one in processors if one.get("processorType") == WRITER and one.get("enabled", True)]
    writers = sorted(found, key=lambda one: one.get("run") or 0)
    if not writers or not run.content:
        return
    output = [item for writer in writers for item in _Writer(run, writer, sheets).items()]
    run.result = json.dumps({"lxVersion": "1.0.0", **_header(run), "content": output}).encode()


def _header(run: Run) -> dict[str, Any]:
    """Return the header of the new LDIF; a key that cannot be evaluated is left out, with an error."""
    out: dict[str, Any] = {}
    for row in (run.configuration.get("targetLdif") or {}).get("ldifKeys") or []:
        try:
            value = evaluate(row["value"], {"header": run.header})
        except ExpressionError as error:
            run.warnings.append(_warning("targetLdif", 0, row["key"], str(error)))
            continue
        if row["key"] == "customFields" and not isinstance(value, dict):
            run.warnings.append(_warning("targetLdif", 0, row["key"], "customFields must be a map"))
        elif value is not None:
            out[row["key"]] = value if row["key"] == "customFields" else _shown(value)
    return out


def _warning(name: str, index: int, item: str, message: str, status: str = "ERROR") -> dict[str, Any]:
    return {
        "processor": {"name": name, "index": index},
        "content": item,
        "message": message,
        "detail": f"Content object {item}",
        "category": "DATA_PROCESSING",
        "status": status,
    }


class _Writer:
    """A writer of a run.

    :param writer: the processor of the configuration.
    """

    def __init__(self, run: Run, writer: Mapping[str, Any], sheets: Mapping[str, FactSheet]) -> None:
        self.run, self.writer = run, writer
        self.name, self.index = writer.get("processorName", "Writer"), len(run.processors)
        search = (writer.get("identifier") or {}).get("search") or {}
        self.filter = search.get("filter") or search.get("expr") or "${true}"
        self.sheets = _in_scope(search.get("scope") or {}, sheets, {"header": run.header})
        self.errors = 0

    def items(self) -> list[dict[str, Any]]:
        """Return the items of the new LDIF, and add the processor's statistics to the run."""
        out, read = [], 0
        for number, item in enumerate(self.run.content):
            scope = {"content": item, "data": item["data"], "header": self.run.header}
            scope["integration"] = {"contentIndex": number}
            if self._lets_through(item, scope):
                read += 1
                out += list(self._written(scope))
        self.run.processors.append(
            {
                "processorIndex": self.index,
                "processorName": self.name,
                "processingTotalDuration": duration(self.run.work_seconds / 2),
                "processingNetworkDuration": duration(self.run.work_seconds / 3),
                "processedContentCount": 0,
                "graphQLRequestCount": read,
                "errorCount": self.errors,
            }
        )
        return out

    def _lets_through(self, item: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
        given = self.writer.get("filter") or {}
        if "exactType" in given and item["type"] != given["exactType"]:
            return False
        for name in ("type", "id"):
            if name in given and not re.fullmatch(given[name], item[name]):
                return False
        return self._is_true(given.get("advanced", "${true}"), scope, item["id"])

    def _is_true(self, text: Any, scope: Mapping[str, Any], item: str) -> bool:
        try:
            return evaluate(text, scope) in (True, "true")
        except ExpressionError as error:
            self._report(item, str(error))
            return False

    def _report(self, item: str, message: str) -> None:
        self.errors += 1
        self.run.warnings.append(_warning(self.name, self.index, item, message))

    def _written(self, scope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for sheet in self.sheets:
            known = {**sheet.data, "id": sheet.id, "type": sheet.type, "displayName": sheet.data.get("name")}
            inner = {**scope, "lx": {"factsheet": known, "relations": list(sheet.relations)}}
            if not self._is_true(self.filter, inner, sheet.id):
                continue
            updates = self.writer.get("updates")
            item = self._updated(updates, inner, sheet.id) if updates else sheet.item()
            if item:
                yield item

    def _updated(
        self, updates: list[dict[str, Any]], scope: Mapping[str, Any], sheet: str
    ) -> dict[str, Any] | None:
        """Return the item that a writer's templates make of a fact sheet; None when it lacks id or type."""
        data: dict[str, Any] = {}
        for update in updates:
            try:
                key = _shown(evaluate(update["key"]["expr"], scope))
                values = [evaluate(one.get("expr"), scope) for one in update.get("values") or []]
            except ExpressionError as error:
                self._report(sheet, str(error))
                continue
            found = [value for value in values if value is not None]
            if update.get("mode") == "list":
                data[key] = found
            elif found:
                data[key] = found[0]
            elif not update.get("optional"):
                self._report(sheet, f"The value of {key} is missing")
        own = {name: data.pop(f"content.{name}", None) for name in ("type", "id")}
        if not all(own.values()):
            self._report(sheet, "content.id and content.type are needed")
            return None
        return {"type": str(own["type"]), "id": str(own["id"]), "data": data}


def _in_scope(
    scope: Mapping[str, Any], sheets: Mapping[str, FactSheet], known: Mapping[str, Any]
) -> list[FactSheet]:
    """Return the fact sheets of a search scope: those of its ids and types; all applications without any."""
    facets = scope.get("facetFilters") or []
    keys = [key for facet in facets if facet.get("facetKey") == "FactSheetTypes" for key in facet["keys"]]
    ids = {evaluate(key, known) for key in scope.get("ids") or []} - {None}
    types = {evaluate(key, known) for key in keys} or (set() if ids else {"Application"})
    return [
        sheet
        for sheet in sheets.values()
        if not sheet.archived and (not types or sheet.type in types) and (not ids or sheet.id in ids)
    ]
