"""Selection of tests by a rule, which prints how many it leaves out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from dev.changed import UNIT

CASES = "further cases of tests of which others run"
NIGHTLY = "marked nightly"

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


def short_form(items: Sequence[pytest.Item]) -> list[str]:
    """Return for each test the reason for which the short form leaves it out; empty for one that it runs.

    Of a test with many cases the first one runs; the last one, too, when it has the mark
    ``both_engines``, or is about pages in a browser: that is the other engine, or the widest page with
    the most on it. All cases run in modules about the whole project, those directly in the folder of unit
    tests: there they are files, classes, connection types or DAGs. Tests with the mark ``nightly`` are
    left out.

    :param items: the tests.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for number, item in enumerate(items):
        name = item.nodeid.partition("[")[0]
        first.setdefault(name, number)
        if item.get_closest_marker("both_engines") or not item.path.is_relative_to(UNIT):
            last[name] = number
    chosen = {*first.values(), *last.values()}
    return [_reason(item, is_chosen=number in chosen) for number, item in enumerate(items)]


def _reason(item: pytest.Item, *, is_chosen: bool) -> str:
    if item.get_closest_marker("nightly"):
        return NIGHTLY
    return "" if is_chosen or item.path.parent == UNIT else CASES
