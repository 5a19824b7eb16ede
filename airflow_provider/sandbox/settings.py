"""Settings: switches and loads on the command line, read against the services before any of them starts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider.sandbox.loads import FIRST, parse_load, read_load
from airflow_provider.sandbox.server import all_kinds
from airflow_provider.sandbox.service import Service, Surroundings
from airflow_provider.sandbox.switches import SwitchError, Switches, plain


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


def list_switches() -> str:
    """Return all switches with their defaults and descriptions, a line each."""
    board = Switches(_services())
    return "\n".join(
        f"{name}={json.dumps(plain(switch.default))}  # {switch.about}"
        for name, switch in board.by_name.items()
    )


def _services() -> dict[str, Service]:
    return {kind.name: kind(Surroundings()) for kind in all_kinds()}
