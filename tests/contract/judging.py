"""What a vendor's file says of everything that a sandbox has answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from tests.contract.specs import Reply, Spec


class Judged:
    """Replies, and the verdict on each.

    :param unused: routes of the sandbox that were not driven.
    """

    def __init__(self, spec: Spec, replies: Iterable[Reply], unused: list[str]) -> None:
        self.spec, self.replies, self.unused = spec, list(replies), unused
        self.verdicts = [spec.judge(reply) for reply in self.replies]

    def problems(self) -> list[str]:
        """Name what breaks the file's word, each once."""
        return sorted({f"{one.name}: {text}" for one in self.verdicts for text in one.problems})

    def unspoken(self, listed: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Give what the file has no word for and nobody has listed, and what is listed for nothing.

        :param listed: patterns of ``<reply>: <what>`` as of file names, and why each is so.
        """
        found = {f"{one.name}: {what}" for one in self.verdicts for what in one.unspoken}
        left = sorted(text for text in found if not any(fnmatchcase(text, one) for one in listed))
        idle = sorted(one for one in listed if not any(fnmatchcase(text, one) for text in found))
        return left, idle

    def undriven(self) -> list[str]:
        """Name the operations of the file that nothing good was got from."""
        good = {one.name.rpartition(" ")[0] for one in self.verdicts if one.name.rpartition(" ")[2] < "300"}
        return sorted(self.spec.operations() - good)
