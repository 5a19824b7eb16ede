"""The page of the mutation score: a table of areas, and the survivors with a reason each."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from dev.mutants.areas import AREAS, ROOT
from dev.mutants.operators import Mutant, mutants_of, sample
from dev.mutants.results import KILLED, SURVIVED, TIMED_OUT, Results

LEAST = 90
"""Percent of an area's mutants that tests must kill."""

REASONS = Path(__file__).parent / "survivors.toml"
BEGIN, END = "<!-- begin: written by make mutants -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Score:
    """Numbers of an area's mutants by their status.

    :param area: name of the area.
    :param seed: text that decided the sample.
    :param total: mutants that the area has.
    :param killed: mutants of the sample that a test failed for.
    :param timed_out: those for which a test did not end.
    :param survivors: the others.
    :param not_run: mutants of the sample without a result.
    :param first: percent that did not survive when the sample was run first; None when it was not.
    """

    area: str
    seed: str
    total: int
    killed: int
    timed_out: int
    survivors: tuple[Mutant, ...]
    not_run: int
    first: float | None

    @property
    def size(self) -> int:
        """Number of mutants that were run."""
        return self.killed + self.timed_out + len(self.survivors)

    @property
    def percent(self) -> float:
        """Percent that did not survive."""
        return 100 * (self.killed + self.timed_out) / self.size if self.size else 0.0


def area_mutants(area: str) -> list[Mutant]:
    """Return all mutants of an area.

    :param area: its name.
    """
    return [
        mutant for path in AREAS[area].sources() for mutant in mutants_of(path, (ROOT / path).read_text())
    ]


def score(area: str, results: Results, size: int, seed: str) -> Score:
    """Return the numbers of an area's mutants by their status.

    :param area: its name.
    :param results: the results.
    :param size: mutants of the sample; 0 for all.
    :param seed: text that decides which.
    """
    every = area_mutants(area)
    chosen = list(sample(every, size, seed))
    run = [mutant for mutant in chosen if mutant.key in results.found]
    statuses = [results.status(mutant.key) for mutant in run]
    return Score(
        area,
        seed,
        len(every),
        statuses.count(KILLED),
        statuses.count(TIMED_OUT),
        tuple(mutant for mutant in run if results.status(mutant.key) == SURVIVED),
        len(chosen) - len(run),
        results.samples.get((area, seed), (0, None))[1],
    )


def all_scores(results: Results) -> list[Score]:
    """Return the scores of all samples that were run, by area and seed.

    :param results: the results.
    """
    return [
        score(area, results, results.samples[area, seed][0], seed)
        for area in AREAS
        for seed in sorted(
            (seed for one, seed in results.samples if one == area), key=lambda seed: (len(seed), seed)
        )
    ]


def reasons() -> dict[tuple[str, str, str], str]:
    """Return why survivors are no gap of the tests, by path, function and change."""
    listed = tomllib.loads(REASONS.read_text())["survivor"]
    return {(one["path"], one["function"], one["change"]): one["reason"] for one in listed}


def write_page(page: Path, results: Results) -> None:
    """Write the tables of a page between its marks.

    :param page: the page.
    :param results: the results.
    """
    text = page.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}{tables(all_scores(results), results)}{END}{after}")


def tables(scores: list[Score], results: Results) -> str:
    """Return the tables.

    :param scores: the samples.
    :param results: the results.
    """
    why = reasons()
    lines = [
        "",
        "| Area | Mutants | Seed | Run | Killed | By time | Survived | Explained | Score | At first |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.area} | {one.total} | {one.seed} | {one.size} | {one.killed} | {one.timed_out} | "
        f"{len(one.survivors)} | {sum(_place(mutant) in why for mutant in one.survivors)} | "
        f"{one.percent:.1f} % | {one.first or 0:.0f} % |"
        for one in scores
    ]
    controls = [passed for area in results.controls.values() for passed in area]
    lines += [
        "",
        f"Controls, tests that ran without a change: {len(controls)}, of which {controls.count(False)} "
        "failed.",
        "",
        "## Survivors",
        "",
    ]
    for area in AREAS:
        survivors = {mutant.key: mutant for one in scores if one.area == area for mutant in one.survivors}
        if survivors:
            lines += [f"### {area}", "", *_survivors(list(survivors.values())), ""]
    return "\n".join(lines)


def _place(mutant: Mutant) -> tuple[str, str, str]:
    """Return what a reason is listed by."""
    return mutant.path, mutant.function, mutant.change


def _survivors(mutants: list[Mutant]) -> list[str]:
    """Return the lines of a table of survivors."""
    lines, why = ["| Where | Change | Why no test fails |", "|---|---|---|"], reasons()
    for mutant in mutants:
        reason = why.get(_place(mutant), "**a gap**")
        where = f"{mutant.path.removeprefix('airflow_provider/')}, {mutant.function or 'on import'}"
        lines.append(f"| `{where}` | {_code(mutant.change)} | {reason} |")
    return lines


def _code(text: str) -> str:
    text = re.sub(r"\|", r"\\|", text if len(text) <= 160 else f"{text[:159]}…")
    return f"`` {text} ``" if "`" in text else f"`{text}`"
