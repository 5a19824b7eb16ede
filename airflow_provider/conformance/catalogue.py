"""Catalogue: the checks of all services, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from airflow_provider.conformance.check import LEVELS, Check, Level, ServiceChecks, Step
from airflow_provider.conformance.checks import (
    amigocloud,
    amigocloud_account,
    amigocloud_scratch,
    amigocloud_sql,
    iotstudio,
    iotstudio_scratch,
    leanix,
    leanix_scratch,
    mapsindoors,
    mapsindoors_scratch,
)
from airflow_provider.conformance.checks.fields import FIELDS
from airflow_provider.conformance.unasked import unasked_questions, unasked_table
from airflow_provider.leanix.api import API


def by_group(*checks: Check) -> list[Check]:
    """Return checks in the order of their groups' numbers."""
    return sorted(checks, key=lambda check: int(check.group[1:]))


SERVICES: dict[str, ServiceChecks] = {
    "mapsindoors": ServiceChecks(
        "mapsindoors",
        (*mapsindoors.PUBLIC, *mapsindoors.READ, *mapsindoors_scratch.SCRATCH, *mapsindoors.BURST),
        sign_in=mapsindoors.DATASET,
        finders={**mapsindoors.FINDERS, **mapsindoors_scratch.FINDERS},
        creations=mapsindoors_scratch.CREATIONS,
        lag_step=mapsindoors_scratch.LAG,
        fields=FIELDS["mapsindoors"],
        token_path=("auth", "connect/token"),
        default_hosts=r"integration\.mapsindoors\.com",
    ),
    "amigocloud": ServiceChecks(
        "amigocloud",
        (
            *amigocloud.PUBLIC,
            *by_group(*amigocloud.READ, *amigocloud_account.READ, *amigocloud_sql.READ),
            *amigocloud_scratch.SCRATCH,
            *amigocloud_account.BURST,
        ),
        sign_in=amigocloud.ME,
        finders={**amigocloud.FINDERS, **amigocloud_account.FINDERS, **amigocloud_scratch.FINDERS},
        creations=amigocloud_scratch.CREATIONS,
        fields=FIELDS["amigocloud"],
        default_hosts=r"app\.amigocloud\.com",
    ),
    "iotstudio": ServiceChecks(
        "iotstudio",
        (
            *iotstudio.PUBLIC,
            *iotstudio.READ,
            *iotstudio_scratch.SCRATCH,
            *iotstudio.BURST,
            *iotstudio.WAIT,
        ),
        sign_in=iotstudio.ONE,
        finders={**iotstudio.FINDERS, **iotstudio_scratch.FINDERS},
        creations=iotstudio_scratch.CREATIONS,
        fields=FIELDS["iotstudio"],
        token_path=("api", "oauth2/token"),
        default_hosts=r"api\.swx\.altairone\.com",
    ),
    "leanix": ServiceChecks(
        "leanix",
        (*leanix.PUBLIC, *leanix.READ, *leanix_scratch.SCRATCH, *leanix.BURST, *leanix.WAIT),
        sign_in=Step("GET", f"{API}/configurations"),
        finders=leanix.FINDERS,
        creations=leanix_scratch.CREATIONS,
        note=leanix_scratch.NOTE,
        fields=FIELDS["leanix"],
        token_path=("auth", "services/mtm/v1/oauth2/token"),
        default_hosts=r"[\w-]+\.leanix\.net",
    ),
}
"""The checks by connection type."""


def lacking(check: Check, level: Level, *, opt_in: bool, wait: bool) -> str:
    """Return the options of the command that a check needs, and that are not given; empty for none.

    :param level: the level that is given.
    :param opt_in: whether ``--burst`` is given.
    :param wait: whether ``--wait`` is given.
    """
    is_below = LEVELS.index(level) < LEVELS.index(check.level)
    given = {"": True, "--burst": opt_in, "--wait": wait}
    needed = [f"--level {check.level}"] if is_below else []
    return " ".join(needed if given[check.option] else [*needed, check.option])


def selected(checks: Iterable[Check], only: Iterable[str]) -> list[Check]:
    """Return the checks that groups or ids name; all of them when nothing is named.

    :param only: groups such as ``M3``, and ids such as ``M3.keys``.
    """
    names = {name.lower() for name in only}
    return [check for check in checks if not names or {check.id.lower(), check.group.lower()} & names]


def value_text(value: object) -> str:
    """Return the value of a switch as the sandbox's command line takes it."""
    return json.dumps(value)


def table() -> str:
    """Return all open questions in Markdown, and the switches that no check asks about."""
    rows = [
        "| Check | Level | Question | Assumed | Switch | If it differs |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for service in SERVICES.values():
        for check in service.checks:
            level = f"{check.level}, `{check.option}`" if check.option else check.level
            switch = f"`{service.name}.{check.switch}={value_text(check.assumed)}`"
            outcome = "`differs!`" if check.danger else "`differs`"
            question = f"| `{check.id}` | {level} | {check.question} | {check.assumption} "
            rows.append(f"{question}| {switch} | {outcome} |")
    switches = [UNASKED_HEAD, "", unasked_table()]
    questions = [QUESTIONS_HEAD, "", unasked_questions()]
    return "\n".join([counted(), "", *rows, "", SKIPPED_HEAD, *_conditions(), "", *switches, "", *questions])


def counted() -> str:
    """Return a sentence with the number of questions, each of which has one check."""
    numbers = ", ".join(f"{len(service.checks)} about {service.name}" for service in SERVICES.values())
    return f"There are {sum(len(one.checks) for one in SERVICES.values())} open questions: {numbers}."


SKIPPED_HEAD = "These are `skipped` unless the account is like this:\n"
QUESTIONS_HEAD = "These questions have neither, because the provider relies on no answer:"
UNASKED_HEAD = "The other switches of the sandbox have no check:"


def _conditions() -> list[str]:
    rows = []
    for check in (check for service in SERVICES.values() for check in service.checks):
        if check.condition:
            rows.append(f"- `{check.id}`: {check.condition}")
        for name, reason in check.moot.items():
            rows.append(f"- `{check.id}`: `{name}` is as assumed; otherwise {reason}")
    return rows
