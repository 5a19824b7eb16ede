"""Conformance: check the replies of a sandbox against a vendor's API description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from tests.contract.api_specs import ApiSpec, Reply


class ConformanceReport:
    """Replies, and the result of checking each of them.

    :param unused_routes: routes of the sandbox without a successful request.
    """

    def __init__(self, spec: ApiSpec, replies: Iterable[Reply], unused_routes: list[str]) -> None:
        self.spec, self.replies, self.unused_routes = spec, list(replies), unused_routes
        self.checks = [spec.check(reply) for reply in self.replies]

    def violations(self) -> list[str]:
        """Return all violations of the description, without repetition."""
        return sorted({f"{check.name}: {text}" for check in self.checks for text in check.violations})

    def undocumented(self, expected: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the undocumented items that are not expected, and the expected patterns that match none.

        :param expected: patterns of ``<reply>: <item>``, as of file names, with the reason for each.
        """
        found = {f"{check.name}: {item}" for check in self.checks for item in check.undocumented}
        unexpected = sorted(text for text in found if not any(fnmatchcase(text, key) for key in expected))
        unmatched = sorted(key for key in expected if not any(fnmatchcase(text, key) for text in found))
        return unexpected, unmatched

    def unused_operations(self) -> list[str]:
        """Return the operations of the description without a successful reply."""
        names = [check.name.rpartition(" ") for check in self.checks]
        return sorted(self.spec.operations() - {name for name, _, status in names if status < "300"})
