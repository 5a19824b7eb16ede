"""Session: one run of the checks of one connection, from the first request to the report."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider.conformance.catalogue import lacking, selected
from airflow_provider.conformance.check import Check, Level
from airflow_provider.conformance.created import Created, CreatedObjects, UnusableFileError
from airflow_provider.conformance.meter import MAX_REQUESTS, RESERVED, Clock, Meter
from airflow_provider.conformance.opening import OpenService, open_service
from airflow_provider.conformance.reports.report import Report
from airflow_provider.conformance.runner import Result, Runner
from airflow_provider.errors import (
    AuthenticationError,
    InputError,
    PermissionDeniedError,
    ProviderError,
    TransportError,
)


class NoAccessError(Exception):
    """The statement that the service cannot be reached, or refuses the credentials.

    :param reason: the cause in one sentence.
    """


@dataclass(frozen=True)
class Choice:
    """The choice of checks.

    :param level: level of the run.
    :param only: groups and ids of checks; empty for all.
    :param burst: whether checks that send many requests run, too.
    :param wait: whether checks that wait run, too.
    :param parent: id of the object below which scratch objects are made, for services that need one.
    """

    level: Level = "read"
    only: tuple[str, ...] = ()
    burst: bool = False
    wait: bool = False
    parent: str = ""


@dataclass
class Session:
    """A run of the checks.

    :param conn_id: id of the connection.
    :param choice: the choice of checks.
    :param clock: the time.
    :param show: receives a result as soon as it is known.
    :param folder: folder of the file that names created objects; None for the working folder.
    :raises UnknownConnectionError: when the connection does not exist, or has another type.
    :raises InputError: with all problems of the connection; when a name chooses no check that runs.
    """

    conn_id: str
    choice: Choice = field(default_factory=Choice)
    clock: Clock = field(default_factory=Clock)
    show: Callable[[OpenService, Result], None] = lambda *_: None
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.meter = Meter(self.clock)
        self.opened = open_service(self.conn_id, self.choice.level, self.meter)
        self.runner = Runner(self.opened.service, self.opened.wire, self.opened.facts)
        if self.choice.parent:
            self.opened.facts["parent"] = self.choice.parent
        if problems := [text for name in self.choice.only if (text := self._problem_of(name))]:
            self.close()
            raise InputError(problems, "only")

    @property
    def checks(self) -> list[Check]:
        """The checks that are chosen."""
        return [check for check in self._selected if not self._lacking(check)]

    @property
    def _selected(self) -> list[Check]:
        return selected(self.opened.service.checks, self.choice.only)

    def _lacking(self, check: Check) -> str:
        choice = self.choice
        return lacking(check, choice.level, opt_in=choice.burst, wait=choice.wait)

    def _problem_of(self, name: str) -> str:
        """Return why a name chooses nothing that runs; empty when it chooses a check."""
        found = selected(self.opened.service.checks, [name])
        if not found:
            return f"there is no check {name!r}"
        options = min((self._lacking(check) for check in found), key=lambda text: len(text.split()))
        return f"{name} needs {options}" if options else ""

    @property
    def created(self) -> CreatedObjects | None:
        """The objects of the run; None at levels that make none."""
        return self.runner.created

    @property
    def left(self) -> list[Created]:
        """The objects that may be there still."""
        return self.created.left if self.created is not None else []

    def run(self) -> Report:
        """Run the checks, remove what they have made, and return their report.

        :raises NoAccessError: when the service cannot be reached, or refuses the credentials.
        """
        if self.choice.level != "public":
            self._sign_in()
        if self.choice.level == "scratch":
            self._use(self._new_file())
            self.meter.maximum = MAX_REQUESTS - RESERVED
        try:
            results = [*self._run_checks(self.checks), *self._left_out()]
        finally:
            self._clean_up()
        level, host = self.choice.level, self.opened.settings.host
        return Report(self.opened.service, level, host, results, self.meter.sent)

    def clean_up_after(self, path: Path) -> None:
        """Remove what an earlier run has made.

        :param path: the file that names it.
        :raises UnusableFileError: when it is no such file, or of another service.
        :raises NoAccessError: when the service cannot be reached, or refuses the credentials.
        """
        objects = CreatedObjects.open(path)
        if objects.head.get("place") != self._place():
            raise UnusableFileError(f"{path.name} is from a run on another service")
        self._use(objects)
        self._sign_in()
        self._clean_up(is_later=True)

    def close(self) -> None:
        """Close the connection pool."""
        self.opened.wire.close()

    def _use(self, objects: CreatedObjects) -> None:
        objects.ids.add(self.opened.facts["unknown"])  # No service has it: a check writes to it.
        self.runner.created = objects
        self.opened.facts["run"] = objects.run
        self.opened.guard.own, self.opened.guard.run = objects.ids, objects.run

    def _new_file(self) -> CreatedObjects:
        run = f"conformance-{secrets.token_hex(6)}"
        head = {"run": run, "service": self.opened.service.name, "place": self._place()}
        folder = self.folder or Path.cwd()
        try:
            return CreatedObjects.start(folder / f"{run}.jsonl", head)
        except OSError:
            return CreatedObjects.start(Path(tempfile.gettempdir()) / f"{run}.jsonl", head)

    def _place(self) -> str:
        """Return a fingerprint of the host, and of the part of it that the connection leads to."""
        settings = self.opened.settings
        parts = [settings.extras.get(name) or "" for name in ("api_key", "project_url", "space")]
        return hashlib.sha256("\0".join([settings.host, *parts]).encode()).hexdigest()[:16]

    def _clean_up(self, *, is_later: bool = False) -> None:
        self.meter.maximum = MAX_REQUESTS
        try:
            self.runner.clean_up(is_later=is_later)
        finally:
            if self.created is not None and not self.left:
                self.created.path.unlink(missing_ok=True)

    def _sign_in(self) -> None:
        try:
            self.opened.wire.sign_in(self.opened.service.sign_in, self.opened.facts)
        except (AuthenticationError, TransportError) as error:
            raise NoAccessError(str(error)) from None
        except PermissionDeniedError:
            self.runner.is_forbidden = True
        except ProviderError:
            return  # A missing permission, for example; the checks that need it say so.

    def _left_out(self) -> list[Result]:
        """Return the checks of chosen groups that need further options, as skipped ones."""
        if not self.choice.only:
            return []
        needs = [(check, self._lacking(check)) for check in self._selected]
        results = [Result(check, "skipped", f"it needs {options}") for check, options in needs if options]
        for result in results:
            self.show(self.opened, result)
        return results

    def _run_checks(self, checks: Iterable[Check]) -> list[Result]:
        results = []
        for result in self.runner.run(checks):
            results.append(result)
            self.show(self.opened, result)
        if results and not self.runner.answered and any(one.outcome == "unsettled" for one in results):
            raise NoAccessError("no request was answered")
        return results
