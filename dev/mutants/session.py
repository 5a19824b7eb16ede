"""Plugin of pytest that runs an area's mutants, each in a process forked from one that has imported all."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import hashlib
import importlib
import json
import os
import pickle  # nosec B403
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from dev.mutants.areas import AREAS, LEFT_OUT, PACKAGE, ROOT, UNIT
from dev.mutants.operators import Mutant, mutants_of, sample
from dev.mutants.readers import reads
from dev.mutants.recorder import ImportRecorder, LineRecorder
from dev.mutants.results import KILLED, SURVIVED, TIMED_OUT, Result, Results, tests_version
from dev.mutants.swap import CannotSwapError, functions_of, swap

LONGEST = 900.0
"""Seconds after which a mutant's process is killed, whatever it does."""

CONTROLS = 20
"""After so many mutants the tests of one run without it: a failure then says nothing about mutants."""

PREFERENCE = 5.0
"""A test of the module's name comes before another one that takes a fifth of its time."""

EXAMPLES = 20
"""Maximum examples of a property test; more would kill few further mutants, and take most of the time."""

MOST_FAILED = 0.05
"""Largest share of an area's tests that may fail without a mutant; a score of the others would say little."""

SERVERS = ("running_postgres", "running_mariadb")
"""Session fixtures that are started once for all mutants."""

DONE, KILL, LATE, BROKEN, CANNOT = 0, 10, 1, 11, 12
"""Exit statuses of a mutant's process."""


@dataclass
class Recording:
    """Durations and lines of the tests without a mutant.

    :param seconds: duration by test.
    :param lines: lines by path, by test.
    :param failed: tests that fail, with the error.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, other: Recording) -> None:
        """Add the tests of another file.

        :param other: what they do.
        """
        self.seconds |= other.seconds
        self.lines |= other.lines
        self.failed |= other.failed


class Watch:
    """Remembers the first failure, and ends the process when a test takes too long.

    :param limit: seconds that a test may take, by its id.
    :param on_end: called after each test with its id and seconds.
    """

    def __init__(
        self, limit: Callable[[str], float], on_end: Callable[[str, float], None] | None = None
    ) -> None:
        self.limit = limit
        self.on_end = on_end
        self.failures: dict[str, str] = {}
        self.current = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch one test."""
        self.current = item.nodeid
        faulthandler.dump_traceback_later(self.limit(item.nodeid), exit=True, file=2)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()
            if self.on_end:
                self.on_end(item.nodeid, time.monotonic() - began)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a failure."""
        if report.failed:
            self.failures.setdefault(report.nodeid, f"{report.when}: {report.longreprtext[-400:]}")


class AreaSession:
    """The tests of an area in one process of pytest.

    :param area: name of the area.
    :param results: where results are kept.
    :param size: number of mutants; 0 for all.
    :param seed: text that decides which.
    :param budget: maximum seconds of tests for one mutant, as they took without it.
    """

    def __init__(self, area: str, results: Results, size: int, seed: str, budget: float) -> None:
        self.area = area
        self.budget = budget
        self.results = results
        self.sources = {path: (ROOT / path).read_text() for path in AREAS[area].sources(ROOT)}
        every = [mutant for path, text in self.sources.items() for mutant in mutants_of(path, text)]
        self.total = len(every)
        self.mutants = list(sample(every, size, seed))
        self.seed, self.size = seed, size
        self.imports = ImportRecorder(str(ROOT / PACKAGE))
        self.answer = Path(tempfile.gettempdir()) / "answer"
        self.cache = results.path.parent / "recordings" / f"{area}.pickle"
        self.edits = 0

    # Called by pytest

    def pytest_configure(self) -> None:
        """Record what runs while tests are imported."""
        self.imports.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all mutants instead of the tests."""
        self.imports.stop()
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # become the parent of what mutants leave behind
        self.session = session
        self.items = {item.nodeid: item for item in session.items if not _is_left_out(item.nodeid)}
        _skip_shrinking(session.items)
        for path in self.sources:  # some are imported by the tests only, and would have no functions yet
            importlib.import_module(path.removesuffix(".py").replace("/", "."))
        self.living = functions_of([str(ROOT / path) for path in self.sources])
        with contextlib.ExitStack() as stack:
            self._start_servers(stack)
            self.keep = {process.pid for process in psutil.Process().children()}
            self.recording = self._record()
            self._run_all()
        return True

    # Steps

    def _start_servers(self, stack: contextlib.ExitStack) -> None:
        from tests.support import mariadb, postgres

        used = {name for item in self.items.values() for name in getattr(item, "fixturenames", ())}
        modules: dict[str, Any] = {"running_postgres": postgres, "running_mariadb": mariadb}
        for name in SERVERS:
            wanted = name in used or (name == "running_postgres" and self._needs_postgres())
            definitions = self.session._fixturemanager.getfixturedefs(name, self.session.items[0])
            if wanted and definitions:
                folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
                server = stack.enter_context(modules[name].running_server(folder))
                definitions[-1].cached_result = (server, None, None)

    def _needs_postgres(self) -> bool:
        return any(
            getattr(item, "callspec", None) is not None
            and item.callspec.params.get("sql_engine") == "postgresql"  # type: ignore[attr-defined]
            for item in self.items.values()
        )

    def _record(self) -> Recording:
        """Run the tests of files that have changed since they were recorded; return what all of them do."""
        began = time.monotonic()
        kept = self._stored_recordings()
        new = [item for item in self.items.values() if item.path not in kept]
        if new and (code := self._fork(lambda: self._record_in_child(new), limit=7200)) != DONE:
            raise pytest.UsageError(f"recording the tests of {self.area} ended with {code}")
        # The child wrote this file, and no other user can write to its folder.
        made: dict[Path, Recording] = pickle.loads(self.answer.read_bytes()) if new else {}  # nosec B301
        kept |= made
        self.cache.parent.mkdir(parents=True, exist_ok=True)
        stored = {path: (_hash(path.read_bytes()), recording) for path, recording in kept.items()}
        self.cache.write_bytes(pickle.dumps((self._sources_hash(), stored)))
        whole = Recording()
        for recording in kept.values():
            whole.add(recording)
        print(
            f"{self.area}: {len(whole.seconds)} tests, {len(new)} of them recorded in "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
        for test, problem in whole.failed.items():
            print(f"  left out, because it fails without a mutant: {test}: {problem[-200:]}", flush=True)
        if len(whole.failed) > MOST_FAILED * len(whole.seconds):
            raise pytest.UsageError(
                f"{len(whole.failed)} of {len(whole.seconds)} tests fail without a mutant"
            )
        return whole

    def _stored_recordings(self) -> dict[Path, Recording]:
        if not self.cache.exists():
            return {}
        # An earlier run of this command wrote it, below the checkout.
        sources, stored = pickle.loads(self.cache.read_bytes())  # nosec B301
        if sources != self._sources_hash():
            return {}
        present = {item.path for item in self.items.values()}
        return {
            path: recording
            for path, (content, recording) in stored.items()
            if path in present and _hash(path.read_bytes()) == content and not recording.failed
        }

    def _sources_hash(self) -> str:
        recorders = (Path(__file__).with_name(name).read_text() for name in ("recorder.py", "swap.py"))
        return _hash("\0".join((*recorders, *self.sources.values())).encode())

    def _record_in_child(self, items: list[pytest.Item]) -> int:
        recordings: dict[Path, Recording] = defaultdict(Recording)
        functions = [one for places in self.living.values() for many in places.values() for one in many]
        recorder = LineRecorder(functions)
        recorder.start()

        def end(test: str, seconds: float) -> None:
            recording = recordings[self.items[test].path]
            recording.seconds[test] = seconds
            recording.lines[test] = recorder.take()

        watch = Watch(lambda _: 600, end)
        self._run_items(watch, items, stop=False)
        for test, problem in watch.failures.items():
            recordings[self.items[test].path].failed[test] = problem
        self.answer.write_bytes(pickle.dumps(dict(recordings)))
        return DONE

    def _run_all(self) -> None:
        version = tests_version(AREAS[self.area].test_paths())
        left = [mutant for mutant in self.mutants if not self.results.stands(mutant.key, version)]
        print(f"{self.area}: {len(left)} to run, of {len(self.mutants)} of {self.total} mutants", flush=True)
        for number, mutant in enumerate(left, start=1):
            result = self._run(mutant, version)
            self.results.add(result)
            if result.status == SURVIVED:
                print(
                    f"  survived: {mutant.path}:{mutant.line} {mutant.function}: {mutant.change}", flush=True
                )
            if number % CONTROLS == 0:
                self._control(mutant)
        killed = sum(self.results.status(mutant.key) != SURVIVED for mutant in self.mutants)
        self.results.add_sample(self.area, self.seed, self.size, 100 * killed / max(1, len(self.mutants)))
        print(f"{self.area}: {killed} of {len(self.mutants)} killed", flush=True)

    def _run(self, mutant: Mutant, version: str) -> Result:
        began = time.monotonic()
        tests = self._tests(mutant)
        status, by, detail, how = SURVIVED, "", "", "no test runs it"
        if tests:
            with self._on_disk(mutant):
                code, how = CANNOT, "import"
                if not self._needs_import(mutant):
                    code, how = self._fork(lambda: self._swapped(mutant, tests)), "swap"
                if code == CANNOT:
                    code, how = self._fork(lambda: self._imported(tests)), "import"
            answer = json.loads(self.answer.read_text()) if self.answer.exists() else {}
            if code == BROKEN:
                raise RuntimeError(f"{mutant.path}:{mutant.line} {mutant.change}: {answer}")
            by, detail = answer.get("by", ""), answer.get("detail", "")
            status = {DONE: SURVIVED, KILL: KILLED}.get(code, TIMED_OUT)
        return Result(
            area=self.area,
            status=status,
            by=by,
            detail=detail,
            tests=len(tests),
            how=how,
            seconds=round(time.monotonic() - began, 2),
            version=version,
            **{name: asdict(mutant)[name] for name in ("key", "path", "function", "line")},
            change=mutant.change,
        )

    def _control(self, mutant: Mutant) -> None:
        """Run a mutant's tests without the mutant."""
        tests = self._tests(mutant)
        if not tests:
            return
        code = self._fork(lambda: self._imported(tests) if self._needs_import(mutant) else self._plain(tests))
        if code != DONE:
            answer = self.answer.read_text() if self.answer.exists() else ""
            print(f"  CONTROL FAILED ({code}): {answer}", flush=True)
        self.results.add_control(self.area, code == DONE)

    # Which tests, and how

    def _needs_import(self, mutant: Mutant) -> bool:
        if not mutant.lines:
            return True
        path = str(ROOT / mutant.path)
        return any(
            where == path and (name == mutant.function or name.startswith(f"{mutant.function}.<locals>"))
            for where, (name, _) in self.imports.started
        )

    def _tests(self, mutant: Mutant) -> list[str]:
        """Return the tests of a mutant: the fastest first, those of its module sooner.

        A second case of a test counts as twice as long, a third as three times: tests differ more than cases.
        """
        chosen = self._chosen(mutant)
        name = f"test_{Path(mutant.path).stem}.py"
        cost = {test: self.recording.seconds[test] / (PREFERENCE if name in test else 1) for test in chosen}
        cases = Counter[str]()
        for test in sorted(chosen, key=cost.__getitem__):
            cases[test.partition("[")[0]] += 1
            cost[test] *= cases[test.partition("[")[0]]
        return self._within_budget(sorted(chosen, key=cost.__getitem__))

    def _chosen(self, mutant: Mutant) -> list[str]:
        """Return the tests that run the changed line; of code that only runs on import, its module's."""
        path, (first, last) = str(ROOT / mutant.path), mutant.lines or (0, 0)
        failed = self.recording.failed
        run = {test: ls.get(path, set()) for test, ls in self.recording.lines.items() if test not in failed}
        chosen = [test for test, lines in run.items() if any(first <= line <= last for line in lines)]
        if chosen or not self._needs_import(mutant):
            return chosen
        module = mutant.path.removesuffix(".py").replace("/", ".")
        return [test for test, lines in run.items() if lines or reads(self.items[test], module)]

    def _within_budget(self, tests: list[str]) -> list[str]:
        spent, kept = 0.0, list[str]()
        for test in tests:
            spent += self.recording.seconds[test]
            if kept and spent > self.budget:
                break
            kept.append(test)
        return kept

    def _limit(self, test: str) -> float:
        return 20 + 10 * self.recording.seconds.get(test, 0)

    # In the child

    def _swapped(self, mutant: Mutant, tests: Sequence[str]) -> int:
        path, source = str(ROOT / mutant.path), self.sources[mutant.path]
        try:
            swap(self.living[path], path, source, mutant.apply(source), mutant.function)
        except CannotSwapError:
            return CANNOT
        return self._plain(tests)

    def _plain(self, tests: Sequence[str]) -> int:
        watch = Watch(self._limit)
        self._run_items(watch, [self.items[test] for test in tests], stop=True)
        return self._status_of(watch)

    def _imported(self, tests: Sequence[str]) -> int:
        """Run tests with the package imported once more, from the changed file."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if file.startswith(f"{ROOT}/") and not name.startswith("dev.mutants"):
                del sys.modules[name]
        watch = Watch(self._limit)
        code = pytest.main(["-x", "-p", "no:cacheprovider", *tests], plugins=[watch])
        if code and not watch.failures:
            watch.failures["import"] = f"pytest ended with {code}"
        return self._status_of(watch)

    def _status_of(self, watch: Watch) -> int:
        for test, problem in watch.failures.items():
            self.answer.write_text(json.dumps({"by": test, "detail": problem}))
            return KILL
        return DONE

    def _run_items(self, watch: Watch, items: list[pytest.Item], stop: bool) -> None:
        session = self.session
        session.config.pluginmanager.register(watch)
        for place, item in enumerate(items):
            following = items[place + 1] if place + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if stop and watch.failures:
                break
        faulthandler.dump_traceback_later(20, exit=True, file=2)
        with contextlib.suppress(Exception):
            session._setupstate.teardown_exact(None)
        faulthandler.cancel_dump_traceback_later()

    # Processes

    def _fork(self, work: Callable[[], int], limit: float = LONGEST) -> int:
        """Return the exit status of a function that runs in a process of its own."""
        self.answer.unlink(missing_ok=True)
        before = set(os.listdir(tempfile.gettempdir()))
        sys.stdout.flush()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            pid = os.fork()  # the threads that numerical libraries have started hold no locks
        if pid == 0:
            self._be_child(work)
        ended = os.pidfd_open(pid)
        if not select.select([ended], [], [], limit)[0]:
            os.kill(pid, signal.SIGKILL)
        os.close(ended)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._clean(before)
        return status

    def _be_child(self, work: Callable[[], int]) -> None:
        code = BROKEN
        try:
            os.setsid()
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            self.session.config.get_terminal_writer()._file = open(os.devnull, "w")  # noqa: SIM115
            code = work()
        except BaseException as problem:
            self.answer.write_text(json.dumps({"by": "", "detail": repr(problem)}))
        finally:
            os._exit(code)

    def _clean(self, before: set[str]) -> None:
        """Kill the processes, and remove the temporary files, that a mutant left behind."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # those of servers that are kept end by themselves, too
                parents = {process.pid, *(parent.pid for parent in process.parents())}
                if not parents & self.keep if hasattr(self, "keep") else False:
                    process.kill()
                    process.wait(5)
        folder = Path(tempfile.gettempdir())
        for name in set(os.listdir(folder)) - before - {self.answer.name}:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _on_disk(self, mutant: Mutant) -> Iterator[None]:
        """Change the module's file, for fresh imports and for processes that tests start."""
        path = ROOT / mutant.path
        times = path.stat()
        self.edits += 1
        path.write_text(mutant.apply(self.sources[mutant.path]))
        # Python takes compiled code for current when the second is the same.
        os.utime(path, (times.st_atime, times.st_mtime + 10 * self.edits))
        try:
            yield
        finally:
            path.write_text(self.sources[mutant.path])
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _is_left_out(test: str) -> bool:
    return test.partition("[")[0].removeprefix(f"{UNIT}/") in LEFT_OUT


def _skip_shrinking(items: list[pytest.Item]) -> None:
    """Make Hypothesis stop at the first example that fails: to find the smallest one takes minutes."""
    from hypothesis import Phase, settings

    for item in items:
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        if function is not None and hasattr(function, "hypothesis"):
            own: Any = getattr(function, "_hypothesis_internal_use_settings", settings.default)
            quick = settings(
                own,
                max_examples=min(own.max_examples, EXAMPLES),
                phases=(Phase.explicit, Phase.generate),
                report_multiple_bugs=False,
            )
            function._hypothesis_internal_use_settings = quick


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pytest_configure(config: pytest.Config) -> None:
    """Register the session that the environment describes."""
    job = json.loads(os.environ["MUTANTS_JOB"])
    results = Results(Path(job["results"]))
    session = AreaSession(job["area"], results, job["size"], job["seed"], job["budget"])
    config.pluginmanager.register(session)
