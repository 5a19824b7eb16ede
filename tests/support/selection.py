"""Selection of tests by a rule, which prints how many it leaves out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from dev.changed import UNIT

CASES = "further cases of tests of which others run"

Rule = Callable[[Sequence[pytest.Item]], list[str]]
"""Takes the tests; returns for each of them the reason to leave it out, empty for one that runs."""


class Selection:
    """Deselect the tests that a rule leaves out.

    :param name: name of the rule, in what is printed.
    :param rule: the rule.
    """

    def __init__(self, name: str, rule: Rule) -> None:
        self.name = name
        self.rule = rule
        self.counts: Counter[str] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Choose among the tests."""
        reasons = self.rule(items)
        self.counts = Counter(reasons)
        chosen = list(zip(items, reasons, strict=True))
        config.hook.pytest_deselected(items=[item for item, reason in chosen if reason])
        items[:] = [item for item, reason in chosen if not reason]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Pass the counts on from a process of xdist."""
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output[self.name] = dict(self.counts)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take the counts of a process of xdist: each of them has collected all tests."""
        self.counts = Counter(getattr(node, "workeroutput", {}).get(self.name, self.counts))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what was left out."""
        total = self.counts.total()
        terminalreporter.write_line(f"{self.name}: {self.counts['']:,} of {total:,} tests run; left out:")
        for reason, number in self.counts.most_common():
            if reason:
                terminalreporter.write_line(f"  {number:,} {reason}")


def spread_cases(items: Sequence[pytest.Item], most: int) -> list[str]:
    """Leave out cases of tests with many of them.

    Those that run are spread over all: the first, the last, and others between them at equal distances. All
    cases run in modules about the whole project, those directly in the folder of unit tests: there they are
    files, classes, connection types or DAGs.

    :param items: the tests.
    :param most: cases of each test that run, at least one.
    """
    found: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        found.setdefault(item.nodeid.partition("[")[0], []).append(number)
    chosen: set[int] = set()
    for numbers in found.values():
        whole = items[numbers[0]].path.parent == UNIT
        chosen.update(numbers if whole else spread(numbers, most))
    return ["" if number in chosen else CASES for number in range(len(items))]


def spread(numbers: Sequence[int], most: int) -> Sequence[int]:
    """Return some numbers of a list, at equal distances, its ends among them.

    :param numbers: the list.
    :param most: how many of them, at least one.
    """
    if len(numbers) <= most:
        return numbers
    steps = max(most - 1, 1)
    return [numbers[step * (len(numbers) - 1) // steps] for step in range(most)]
