"""Samples: descriptors, sockets, threads and memory of each part, once a minute, and what grows."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil  # type: ignore[import-untyped]

from dev.processes import Started

WITH_CHILDREN = {"triggerer", "api-server"}
"""Parts whose children are parts of them: those of the others are tasks, and parsers of DAG files."""

WARM_UP_SHARE = 1 / 3
"""Share of the samples of a process, at its begin, that say nothing about growth."""

LEAST_SAMPLES = 6
"""Samples after the warm-up without which there is no trend."""


@dataclass(frozen=True)
class Sample:
    """What a part holds at one moment.

    :param at: seconds since the begin.
    :param pid: its main process.
    :param memory: resident bytes.
    """

    at: float
    pid: int
    descriptors: int
    sockets: int
    threads: int
    memory: int


def take(part: str, started: Started, began: float) -> Sample | None:
    """Return a sample of a part; None when it is ending.

    :param began: monotonic time of the begin.
    """
    found = [0, 0, 0, 0]
    for process in _processes(part, started):
        with suppress(psutil.Error, OSError):
            targets = _targets(process.pid)
            one = (
                len(targets),
                sum(target.startswith("socket:") for target in targets),
                process.num_threads(),
                process.memory_info().rss,
            )
            found = [total + more for total, more in zip(found, one, strict=True)]
    return Sample(time.monotonic() - began, started.pid, *found) if found[0] else None


def _processes(part: str, started: Started) -> list[psutil.Process]:
    with suppress(psutil.Error):
        main = psutil.Process(started.pid)
        return [main, *(main.children(recursive=True) if part in WITH_CHILDREN else [])]
    return []


def _targets(pid: int) -> list[str]:
    """Return what the descriptors of a process are."""
    folder, found = f"/proc/{pid}/fd", []
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"{folder}/{name}"))
    return found


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the growth a second: the median of the slopes between all pairs, which no outlier moves."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for n, earlier in enumerate(points)
        for later in points[n + 1 :]
        if later[0] > earlier[0]
    ]
    return median(slopes) if slopes else 0.0


def longest_life(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of the process that has most of them, without its warm-up."""
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    longest = max(lives.values(), key=len, default=[])
    return longest[int(len(longest) * WARM_UP_SHARE) :]


def growth_an_hour(samples: Sequence[Sample]) -> float | None:
    """Return the bytes by which a part grows in an hour; None without enough samples."""
    steady = longest_life(samples)
    if len(steady) < LEAST_SAMPLES:
        return None
    return slope([(sample.at, sample.memory) for sample in steady]) * 3600


def folder_size(folder: Path) -> tuple[int, int]:
    """Return the number of files below a folder, and their bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def names_below(folder: Path) -> list[str]:
    """Return the paths of the files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def latest(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Sample]:
    """Return the last sample of each part."""
    return {part: found[-1] for part, found in samples.items() if found}
