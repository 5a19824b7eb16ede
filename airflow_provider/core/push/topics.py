"""Topics: patterns with names in braces, as subscriptions and as readers of incoming topics."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"\{([a-z_]+)(?:=([^{}/+#\s]+))?\}"


class TopicPattern:
    """A topic with names in braces, such as ``spaces/{space}/things/{thing_id}/properties``.

    :param template: the topic. A name is a whole level, with a value (``{thing_id=01H5}``) only this level;
        ``+`` is a level without a name.
    :param known: values of names; a name without a value stands for any level.
    """

    def __init__(self, template: str, known: Mapping[str, str | None]) -> None:
        self._levels = template.split("/")
        self._known = {name: value for name, value in known.items() if value is not None}

    @property
    def problem(self) -> str:
        """The reason why the topic is impossible with these names; empty when it is possible."""
        for level in self._levels:
            named = re.fullmatch(_NAME, level)
            value = self._known.get(named[1]) if named and not named[2] else None
            if value is not None and (not value or re.search(r"[#+/\0]", value)):
                template = "/".join(self._levels)
                return (
                    f"the {level[1:-1]} '{value:.100}' cannot be a level of the topic '{template:.200}', as a"
                    " level is not empty and has none of # + /"
                )
        return ""

    @property
    def subscription(self) -> str:
        """The filter to subscribe to."""
        return "/".join(self._subscribed(level) for level in self._levels)

    def _subscribed(self, level: str) -> str:
        named = re.fullmatch(_NAME, level)
        return (named[2] or self._known.get(named[1], "+")) if named else level

    def read(self, topic: str) -> dict[str, str] | None:
        """Return the values of the names in a topic; None for a topic of another form."""
        levels = topic.split("/")
        if len(levels) != len(self._levels):
            return None
        found: dict[str, str] = {}
        for level, expected in zip(levels, self._levels, strict=True):
            if self._subscribed(expected) not in ("+", level):
                return None
            if named := re.fullmatch(_NAME, expected):
                found[named[1]] = level
        return found


def topic_problems(template: str, names: Mapping[str, bool]) -> list[str]:
    """Return what is wrong with a template.

    :param template: the topic.
    :param names: the names that it may hold; True for a name that it must hold.
    """
    found = [match[1] for level in template.split("/") if (match := re.fullmatch(_NAME, level))]
    odd = [level for level in template.split("/") if re.search(r"[{}#\s]|.\+|\+.", level)]
    odd = [level for level in odd if not re.fullmatch(_NAME, level)]
    problems = [f"the topic '{template:.100}' has the level '{odd[0]:.40}'"] if odd else []
    problems += [
        f"the topic '{template:.100}' has the unknown name '{{{name}}}'"
        for name in found
        if name not in names
    ]
    problems += [
        f"the topic '{template:.100}' has {{{name}}} twice"
        for name in dict.fromkeys(found)
        if found.count(name) > 1
    ]
    if template.startswith("$"):
        problems.append(f"the topic '{template:.100}' begins with $, which no published topic does")
    missing = [name for name, needed in names.items() if needed and name not in found]
    if missing:
        problems.append(f"the topic '{template:.100}' lacks {{{missing[0]}}}")
    return problems
