"""Record which lines of the measured modules each test runs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

from dev.mutants.swap import Place, nested, place

# Python 3.11 lacks the module.
monitoring: Any = getattr(sys, "monitoring", None)
TOOL = 3


class ImportRecorder:
    """Functions of the modules that run while tests are imported: a change of them needs a fresh import.

    :param folder: folder of the package; functions outside are ignored.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.started: set[tuple[str, Place]] = set()

    def start(self) -> None:
        """Begin to record."""
        monitoring.use_tool_id(TOOL, "mutants")
        monitoring.register_callback(TOOL, monitoring.events.PY_START, self._on_start)
        monitoring.set_events(TOOL, monitoring.events.PY_START)

    def stop(self) -> None:
        """End recording."""
        monitoring.set_events(TOOL, 0)
        monitoring.register_callback(TOOL, monitoring.events.PY_START, None)

    def _on_start(self, code: CodeType, _: int) -> object:
        if code.co_filename.startswith(self.folder):
            self.started.add((code.co_filename, place(code)))
        return monitoring.DISABLE


class LineRecorder:
    """Lines that run in each test.

    :param functions: the functions whose lines are recorded.
    """

    def __init__(self, functions: Iterable[FunctionType]) -> None:
        self.functions = functions
        self.lines: dict[str, set[int]] = defaultdict(set)

    def start(self) -> None:
        """Begin to record."""
        monitoring.register_callback(TOOL, monitoring.events.LINE, self._on_line)
        for function in self.functions:
            for code in nested(function.__code__):
                monitoring.set_local_events(TOOL, code, monitoring.events.LINE)

    def take(self) -> dict[str, set[int]]:
        """Return the lines since the last call, by path."""
        lines, self.lines = self.lines, defaultdict(set)
        monitoring.restart_events()
        return dict(lines)

    def _on_line(self, code: CodeType, line: int) -> object:
        self.lines[code.co_filename].add(line)
        return monitoring.DISABLE
