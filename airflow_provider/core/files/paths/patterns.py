"""Patterns of paths: wildcards as regular expressions, names that are skipped, and natural order."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPECIAL = frozenset("*?[")
"""Characters of wildcards."""

ANY_DEPTH = "**"
"""Component of a pattern that stands for any number of folders."""

REPORT_ENDING = ".report.html"
"""Ending of the page about a file, which stands beside it and is no file of rows."""

_CLASS = re.compile(r"\[(!?)([^\]/][^\]/]*)\]")
_DIGITS = re.compile("([0-9]+)")


def split_path(source: str) -> tuple[str, list[str]]:
    """Return a path as the folder before its first wildcard, which ends in ``/`` or is empty, and the rest.

    The rest are the components that a name is compared with; of a folder it is ``**``. Of a path without any
    wildcard it is the file's name.

    :param source: a path that may have wildcards, or end in ``/``.
    """
    scheme, separator, path = source.rpartition("://")
    root = scheme + separator
    if separator:
        host, slash, path = path.partition("/")
        root += host + slash
    *folders, name = path.split("/")
    fixed = next((at for at, one in enumerate(folders) if SPECIAL & {*one}), len(folders))
    base = "".join(f"{one}/" for one in folders[:fixed])
    return root + base, [*folders[fixed:], name or ANY_DEPTH]


def component_regex(component: str, *, literal: bool) -> str:
    """Return the regular expression of one component of a pattern.

    :param component: text with ``*``, and with ``?`` and ``[…]``.
    :param literal: whether ``?`` and ``[`` stand for themselves.
    """
    out, at = [], 0
    while at < len(component):
        letter, found = component[at], None if literal else _CLASS.match(component, at)
        if found:
            members = re.sub(r"([\\\[&~|^])", r"\\\1", found[2])
            out.append(f"[^/{members}]" if found[1] else f"[{members}]")
            at = found.end()
            continue
        wild = {"*": "[^/]*", **({} if literal else {"?": "[^/]"})}
        out.append(wild.get(letter, re.escape(letter)))
        at += 1
    return "".join(out)


def path_regex(components: Sequence[str], *, literal: bool) -> re.Pattern[str]:
    """Return the regular expression of the rest of a pattern, in which ``**`` stands for any folders.

    :param components: the components; ``**`` as the last one stands for any file at any depth.
    :param literal: whether ``?`` and ``[`` stand for themselves.
    """
    *folders, name = components
    out = [
        "(?:[^/]+/)*" if one == ANY_DEPTH else f"{component_regex(one, literal=literal)}/" for one in folders
    ]
    out.append(".+" if name == ANY_DEPTH else component_regex(name, literal=literal))
    return re.compile("".join(out), re.DOTALL)


def bad_range(component: str) -> bool:
    """Return whether a component has a range whose end is before its beginning, as in ``[z-a]``."""
    try:
        re.compile(component_regex(component, literal=False))
    except re.error:
        return True
    return False


def is_skipped(name: str, *, folder: bool = False) -> bool:
    """Return whether a file or folder is skipped: it is hidden, a marker, a report, or not complete.

    :param name: its name, without its folder.
    :param folder: whether it is a folder. The name of a partition (``_year=2026``) may begin with ``_``.
    """
    if name.startswith(".") or name.endswith(("._COPYING_", "_$folder$", REPORT_ENDING)):
        return True
    return name.startswith("_") and not (folder and "=" in name)


def natural_key(path: str) -> tuple[list[int | str], str]:
    """Return the key that sorts ``part-2`` before ``part-10``."""
    # Texts and numbers take turns, a text being first, so that two keys differ in a place of the same kind.
    return [int(one) if at % 2 else one for at, one in enumerate(_DIGITS.split(path))], path
