"""Settings: switches and loads on the command line, read against the services before any of them starts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider.sandbox.loads import FIRST, parse_load, read_load
from airflow_provider.sandbox.server import all_kinds
from airflow_provider.sandbox.service import Service, Surroundings
from airflow_provider.sandbox.switches import SwitchError, Switches, plain

REPORT_SCHEMA = "airflow-provider-digital-twin/conformance/"
"""How the schema of reports begins."""

MAX_REPORT_BYTES = 20_000_000


@dataclass
class Settings:
    """Settings of the command line.

    :param switches: values by ``<service>.<name>``.
    :param loads: loads with their arguments.
    :param problems: a sentence about each setting that cannot be used.
    """

    switches: dict[str, Any] = field(default_factory=dict)
    loads: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_settings(switches: Iterable[str], loads: Iterable[str]) -> Settings:
    """Read settings.

    :param switches: texts such as ``leanix.run_seconds=60``.
    :param loads: texts such as ``amigocloud.rows=1000000``.
    """
    settings = Settings()
    services = _services()
    _read_switches(switches, services, settings)
    for text in loads:
        try:
            name, given = parse_load(text)
            load = read_load(services, name, given, as_text=True).load
            named = [load.kind if key == FIRST else key for key in given]
        except SwitchError as error:
            settings.problems += error.problems
        else:
            settings.loads.append((name, {key: getattr(load, key) for key in named}))
    return settings


def _read_switches(switches: Iterable[str], services: dict[str, Service], settings: Settings) -> None:
    pairs = []
    for text in switches:
        name, equals, value = text.partition("=")
        if equals:
            pairs.append((name.strip(), value))
        else:
            settings.problems.append(f"{text}: must be SERVICE.SWITCH=VALUE")
    board = Switches(services)
    try:
        found = board.check_texts(pairs)
    except SwitchError as error:
        settings.problems += error.problems
    else:
        names = {switch: name for name, switch in board.by_name.items()}
        settings.switches = {names[switch]: value for switch, value in found.items()}


def read_report(path: Path, settings: Settings) -> None:
    """Set the switches that a report of the conformance checks names, unless the command line sets them.

    :param path: the report; of its content only the switches of its service are read.
    :param settings: the settings, which have a problem more when the report cannot be used.
    """
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise ValueError("it is too large")
        given = _switches_of_report(json.loads(path.read_text()))
        board = Switches(_services())
        found = board.check(given)
    except (OSError, ValueError, RecursionError) as error:
        reason = "; ".join(error.problems) if isinstance(error, SwitchError) else _reason(error)
        settings.problems.append(f"{path.name} is no report that can be used: {reason}")
        return
    names = {switch: name for name, switch in board.by_name.items()}
    settings.switches = {**{names[switch]: value for switch, value in found.items()}, **settings.switches}


def _switches_of_report(report: Any) -> dict[str, Any]:
    if not isinstance(report, dict) or not str(report.get("schema")).startswith(REPORT_SCHEMA):
        raise ValueError("it has another schema")
    service, given = report.get("service"), report.get("switches")
    if not isinstance(service, str) or not isinstance(given, dict):
        raise ValueError("it names no service, or no switches")
    if others := [name for name in given if name.partition(".")[0] != service]:
        raise ValueError(f"{others[0]} belongs to another service")
    return given


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not JSON" if isinstance(error, (json.JSONDecodeError, RecursionError)) else str(error)


def list_switches() -> str:
    """Return all switches with their defaults and descriptions, a line each."""
    board = Switches(_services())
    return "\n".join(
        f"{name}={json.dumps(plain(switch.default))}  # {switch.about}"
        for name, switch in board.by_name.items()
    )


def _services() -> dict[str, Service]:
    return {kind.name: kind(Surroundings()) for kind in all_kinds()}
