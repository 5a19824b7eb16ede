"""Report: the tables of a soak as Markdown, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.soak.samples import Sample, growth_an_hour, longest_life

MEGABYTE = 1 << 20
ALLOWED = {"descriptors": 8, "sockets": 6, "threads": 6}
"""What a part may hold more at the end than at the begin, for connections that are kept open."""

GROWTH_SHARE = 0.1
"""Share of its memory by which a part may grow in an hour."""

GROWTH_BYTES = 16 * MEGABYTE
"""Bytes by which any part may grow in an hour: pages of the allocator, and what the sandbox stores."""

OWN_CODE = {"sandbox", "triggerer"}
"""Parts in which code of this project runs all the time; the others are Airflow's own."""

AIRFLOW_BYTES = 64 * MEGABYTE
"""Bytes by which the other parts may grow in an hour."""


@dataclass
class Result:
    """What a soak has found.

    :param head: lines about the run: seed, length, counts.
    :param differences: lines by system; empty where all is as predicted.
    :param rows: number of predicted keys by system.
    :param parts: first and last calm sample of each part.
    :param samples: the samples of each part.
    :param stores: rows, files or bytes at the begin and at the end, with the limit.
    :param disturbances: number of each kind that has happened.
    :param problems: what is wrong besides.
    """

    head: list[str] = field(default_factory=list)
    differences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, tuple[Sample, Sample]] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    stores: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    disturbances: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """Return all that is not as it should be."""
        found = list(self.problems)
        found += [f"{system}: {line}" for system, lines in self.differences.items() for line in lines]
        for name, (begin, end) in self.parts.items():
            found += [
                f"{name} has {getattr(end, what)} {what}, at the begin {getattr(begin, what)}"
                for what, more in ALLOWED.items()
                if getattr(end, what) > getattr(begin, what) + more
            ]
        found += [
            f"{name} grows by {growth / MEGABYTE:.1f} MB an hour, the limit is {limit / MEGABYTE:.1f}"
            for name, (growth, limit) in self.growth().items()
            if growth is not None and growth > limit
        ]
        found += [
            f"{name}: {end:g}, the limit is {limit:g}"
            for name, (_, end, limit) in self.stores.items()
            if end > limit
        ]
        return found

    def growth(self) -> dict[str, tuple[float | None, float]]:
        """Return the growth of each part in bytes an hour, None without a trend, and its limit."""
        found: dict[str, tuple[float | None, float]] = {}
        for name, samples in self.samples.items():
            steady = longest_life(samples)
            limit: float = AIRFLOW_BYTES
            if name in OWN_CODE:
                limit = max(GROWTH_BYTES, GROWTH_SHARE * steady[0].memory) if steady else GROWTH_BYTES
            found[name] = (growth_an_hour(samples), limit)
        return found


def markdown(result: Result) -> str:
    """Return the tables of a soak."""
    blocks = [
        "\n".join(f"- {line}" for line in result.head),
        _table(
            ["Disturbance", "Times"],
            [[name, str(count)] for name, count in sorted(result.disturbances.items())],
        ),
        _table(["System", "Keys predicted", "Differences"], _systems(result)),
        _table(
            ["Part", "Descriptors", "Sockets", "Threads", "Memory, MB", "Growth, MB an hour"], _parts(result)
        ),
        _table(
            ["Store", "Begin", "End", "Limit"],
            [[name, *(f"{value:,.0f}" for value in row)] for name, row in result.stores.items()],
        ),
    ]
    wrong = result.violations()
    blocks.append(
        "**Violations**\n\n" + "\n".join(f"- {line}" for line in wrong) if wrong else "No violation."
    )
    return "\n\n".join(blocks) + "\n"


def _systems(result: Result) -> list[list[str]]:
    names = [name for name in result.rows if not name.startswith("files of night ")]
    nights = [name for name in result.rows if name.startswith("files of night ")]
    rows = [[name, str(result.rows[name]), str(len(result.differences.get(name, ())))] for name in names]
    wrong = sum(len(result.differences.get(name, ())) for name in nights)
    return [*rows, ["files of all nights", str(sum(result.rows[name] for name in nights)), str(wrong)]]


def _parts(result: Result) -> list[list[str]]:
    growth = result.growth()
    rows = []
    for name, (begin, end) in result.parts.items():
        found, limit = growth.get(name, (None, 0.0))
        trend = "too short" if found is None else f"{found / MEGABYTE:+.1f} (limit {limit / MEGABYTE:.0f})"
        rows.append(
            [
                name,
                f"{begin.descriptors} → {end.descriptors}",
                f"{begin.sockets} → {end.sockets}",
                f"{begin.threads} → {end.threads}",
                f"{begin.memory / MEGABYTE:.0f} → {end.memory / MEGABYTE:.0f}",
                trend,
            ]
        )
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
