"""Session: one run of the checks of one connection, from the first request to the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from airflow_provider.conformance.catalogue import checks_at, selected
from airflow_provider.conformance.check import Check, Level
from airflow_provider.conformance.meter import Clock, Meter
from airflow_provider.conformance.opening import OpenService, open_service
from airflow_provider.conformance.report import Report
from airflow_provider.conformance.runner import Result, Runner
from airflow_provider.errors import AuthenticationError, ProviderError, TransportError


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
    """

    level: Level = "read"
    only: tuple[str, ...] = ()
    burst: bool = False


@dataclass
class Session:
    """A run of the checks.

    :param conn_id: id of the connection.
    :param choice: the choice of checks.
    :param clock: the time.
    :param show: receives a result as soon as it is known.
    """

    conn_id: str
    choice: Choice = field(default_factory=Choice)
    clock: Clock = field(default_factory=Clock)
    show: Callable[[OpenService, Result], None] = lambda *_: None

    def __post_init__(self) -> None:
        self.meter = Meter(self.clock)
        self.opened = open_service(self.conn_id, self.choice.level, self.meter)
        self.runner = Runner(self.opened.service, self.opened.wire, self.opened.facts)

    @property
    def checks(self) -> list[Check]:
        """The checks that are chosen."""
        choice = self.choice
        return selected(checks_at(self.opened.service, choice.level, opt_in=choice.burst), choice.only)

    def run(self) -> Report:
        """Run the checks, and return their report.

        :raises NoAccessError: when the service cannot be reached, or refuses the credentials.
        """
        if self.choice.level != "public":
            self._sign_in()
        results = self._run_checks(self.checks)
        return Report(
            self.opened.service, self.choice.level, self.opened.settings.host, results, self.meter.sent
        )

    def close(self) -> None:
        """Close the connection pool."""
        self.opened.wire.close()

    def _sign_in(self) -> None:
        try:
            self.opened.wire.sign_in(self.opened.service.sign_in, self.opened.facts)
        except (AuthenticationError, TransportError) as error:
            raise NoAccessError(str(error)) from None
        except ProviderError:
            return  # A missing permission, for example; the checks that need it say so.

    def _run_checks(self, checks: Iterable[Check]) -> list[Result]:
        results = []
        for result in self.runner.run(checks):
            results.append(result)
            self.show(self.opened, result)
        if results and not self.runner.answered and any(one.outcome == "unsettled" for one in results):
            raise NoAccessError("no request was answered")
        return results
