"""Results of mutants, kept in a file so that a run can be resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.mutants.areas import ROOT

KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"


@dataclass(frozen=True)
class Result:
    """Result of one mutant.

    :param area: name of the area.
    :param key: the mutant's key.
    :param path: the module.
    :param function: qualified name of the function.
    :param line: line of the change.
    :param change: the change as text.
    :param status: ``killed``, ``survived`` or ``timed out``.
    :param by: the test that failed.
    :param detail: end of its error.
    :param tests: number of tests that were to run.
    :param how: ``swap``, ``import``, or why no test was run.
    :param seconds: duration.
    :param version: version of the tests.
    """

    area: str
    key: str
    path: str
    function: str
    line: int
    change: str
    status: str
    by: str
    detail: str
    tests: int
    how: str
    seconds: float
    version: str


class Results:
    """The last result of each mutant, and the score of each sample when it was run first.

    :param path: file with one JSON object a line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, Result] = {}
        self.samples: dict[tuple[str, str], tuple[int, float]] = {}
        self.controls: dict[str, list[bool]] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            self._keep(json.loads(line))

    def _keep(self, value: dict[str, object]) -> None:
        if "control" in value:
            self.controls.setdefault(str(value["control"]), []).append(bool(value["passed"]))
        elif "sample" in value:
            first = int(str(value["size"])), float(str(value["percent"]))
            self.samples[str(value["sample"]), str(value["seed"])] = first
        else:
            result = Result(**value)  # type: ignore[arg-type]
            self.found[result.key] = result

    def stands(self, key: str, version: str) -> bool:
        """Return whether a mutant need not be run: it was killed, or survived some tests, which are the same.

        :param key: the mutant's key.
        :param version: version of the tests.
        """
        result = self.found.get(key)
        if result is None or result.status != SURVIVED:
            return result is not None
        return result.tests > 0 and result.version == version

    def status(self, key: str) -> str:
        """Return the status of a mutant; survived when it was not run.

        :param key: the mutant's key.
        """
        return self.found[key].status if key in self.found else SURVIVED

    def add(self, result: Result) -> None:
        """Keep a result.

        :param result: the result.
        """
        self._append(asdict(result))

    def add_control(self, area: str, passed: bool) -> None:
        """Keep the result of tests without a mutant.

        :param area: name of the area.
        :param passed: whether they passed.
        """
        self._append({"control": area, "passed": passed})

    def add_sample(self, area: str, seed: str, size: int, percent: float) -> None:
        """Keep the score of a sample, unless one of its size was kept: tests are written for its survivors.

        :param area: name of the area.
        :param seed: text that decides which mutants the sample has.
        :param size: their number; 0 for all.
        :param percent: percent that were killed.
        """
        if self.samples.get((area, seed), (None, 0.0))[0] != size:
            self._append({"sample": area, "seed": seed, "size": size, "percent": round(percent, 1)})

    def _append(self, value: dict[str, object]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(value) + "\n")
        self._keep(value)


def tests_version(paths: list[str]) -> str:
    """Return a text that changes with the tests.

    :param paths: their files and folders, relative to the repository.
    """
    digest = hashlib.sha256()
    for name in paths:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
