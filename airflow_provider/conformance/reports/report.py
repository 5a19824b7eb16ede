"""Report: the results of a run, made of shapes, with a last pass that finds credentials."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider import __version__
from airflow_provider.conformance.check import Level, ServiceChecks
from airflow_provider.conformance.reports import leaks
from airflow_provider.conformance.reports.shapes import body_shape, shown_headers
from airflow_provider.conformance.runner import Exchange, Outcome, Result

SCHEMA = "airflow-provider-digital-twin/conformance/1"

OUTCOMES: tuple[Outcome, ...] = ("same", "differs", "differs!", "unsettled", "skipped")


@dataclass(frozen=True)
class Report:
    """The results of a run.

    :param service: the service's checks.
    :param level: the run's level.
    :param host: URL of the service.
    :param results: results of the checks.
    :param requests: number of requests that were sent.
    """

    service: ServiceChecks
    level: Level
    host: str
    results: Sequence[Result]
    requests: int

    @property
    def counts(self) -> dict[Outcome, int]:
        """The number of checks by outcome."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def switches(self) -> dict[str, Any]:
        """Values of the sandbox's switches with which it behaves as the service, by full name."""
        out: dict[str, Any] = {}
        for result in self.results:
            for name, value in result.switches.items():
                out.setdefault(f"{self.service.name}.{name}", value)
        return out

    @property
    def exit_code(self) -> int:
        """0 if all is as assumed, 1 for harmless differences and open questions, 2 if data is at risk."""
        counts = self.counts
        if counts["differs!"]:
            return 2
        return 1 if counts["differs"] or counts["unsettled"] else 0

    def document(self) -> dict[str, Any]:
        """Return the report as JSON, without any value of a reply."""
        is_own = re.fullmatch(self.service.default_hosts, urlsplit(self.host).hostname or "")
        return {
            "schema": SCHEMA,
            "provider": __version__,
            "service": self.service.name,
            "level": self.level,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
            "host": "default" if is_own else "other",
            "requests": self.requests,
            "counts": dict(self.counts),
            "switches": self.switches,
            "checks": [_entry(result, self.service.fields) for result in self.results],
        }

    def text(self, secrets: Iterable[str]) -> str:
        """Return the report as the text of a file.

        :param secrets: credentials that it may not hold.
        :raises LeakError: when it holds one of them.
        """
        text = json.dumps(self.document(), indent=1)
        leaks.check(text, secrets)
        return text + "\n"


def _entry(result: Result, fields: Collection[str]) -> dict[str, Any]:
    check = result.check
    entry: dict[str, Any] = {
        "id": check.id,
        "verdict": result.outcome,
        "switch": check.switch,
        "assumed": check.assumed,
        "found": result.text,
        "milliseconds": round(result.seconds * 1000),
        "requests": [_request(exchange, fields) for exchange in result.exchanges],
    }
    if result.observed is not None:
        entry["observed"] = result.observed.value
    return entry


def _request(exchange: Exchange, fields: Collection[str]) -> Mapping[str, Any]:
    step = exchange.step
    return {
        "request": step.template,
        "login": step.login,
        "status": exchange.reply.status,
        "milliseconds": round(exchange.seconds * 1000),
        "headers": shown_headers(exchange.reply),
        "body": "not read" if step.status_only else body_shape(exchange.reply, fields),
    }


def line_of(result: Result, service: str) -> str:
    """Return the result of a check in one line."""
    head = f"{result.check.id:<18} {result.outcome:<9}"
    if result.outcome == "skipped":
        return f"{head} ({result.text})"
    if result.outcome == "unsettled":
        return f"{head} {result.text}"
    line = f"{head} assumed {result.check.assumption}, {result.text}"
    lines = [f"sandbox.{service}.{name}={value!r}" for name, value in result.switches.items()]
    return f"{line} → {', '.join(lines)}" if lines else line


def closing_lines(report: Report) -> list[str]:
    """Return the counts, and the switches to paste into a command."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items())
    lines = [f"{counts}; {report.requests} requests"]
    if report.switches:
        lines.append("The sandbox behaves like this service with:")
        lines += [f"--set {name}={json.dumps(value)}" for name, value in report.switches.items()]
    return lines
