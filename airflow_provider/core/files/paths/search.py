"""Search: the files of a folder that a pattern matches, listing no more folders than it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airflow_provider.core.files.paths.folder import Folder, Found
from airflow_provider.core.files.paths.patterns import (
    ANY_DEPTH,
    SPECIAL,
    component_regex,
    is_skipped,
    path_regex,
)


def match_files(folder: Folder, components: Sequence[str]) -> tuple[list[Found], int]:
    """Return the files that a pattern matches, and the number of matches that are skipped by their names.

    ``?`` and ``[`` stand for themselves where a file or folder has just that name.

    :param folder: the folder that the pattern begins in.
    :param components: the rest of the pattern; the last one is the file's, or ``**``.
    """
    places = [""]
    for at, component in enumerate(components[:-1]):
        if component == ANY_DEPTH:
            return _match_tree(folder, places, components[at:])
        places = _match_folders(folder, places, component)
    if components[-1] == ANY_DEPTH:
        return _match_tree(folder, places, components[-1:])
    listed = [one for place in places for one in folder.entries(place) if not one.is_folder]
    return _without_skipped(_match_names(listed, components[-1]), components[-1])


def _match_folders(folder: Folder, places: Iterable[str], component: str) -> list[str]:
    if not SPECIAL & {*component}:
        return [f"{place}{component}/" for place in places]
    if "*" not in component:
        named = [f"{place}{component}" for place in places]
        own = [name for name in named if (found := folder.info(name)) and found.is_folder]
        if own:
            return [f"{name}/" for name in own]
    listed = [one for place in places for one in folder.entries(place) if one.is_folder]
    matching = _match_names(listed, component)
    hidden = component.startswith(("_", "."))
    return [f"{one.name}/" for one in matching if hidden or not is_skipped(_last(one.name), folder=True)]


def _match_names(listed: Sequence[Found], component: str) -> list[Found]:
    regexes = [
        re.compile(component_regex(component, literal=literal), re.DOTALL) for literal in (True, False)
    ]
    return [found for found, _ in _first_matching([(found, _last(found.name)) for found in listed], regexes)]


def _match_tree(folder: Folder, places: Iterable[str], components: Sequence[str]) -> tuple[list[Found], int]:
    """Return the files below some folders that the rest of a pattern matches; it begins with ``**``."""
    regexes = [path_regex(components, literal=literal) for literal in (True, False)]
    listed = [(found, found.name[len(place) :]) for place in places for found in folder.files(place)]
    matching = _first_matching(listed, regexes)
    seen = [found for found, below in matching if not _in_skipped_folder(below)]
    kept, skipped = _without_skipped(seen, components[-1])
    return kept, len(matching) - len(seen) + skipped


def _first_matching(
    listed: Sequence[tuple[Found, str]], regexes: Iterable[re.Pattern[str]]
) -> Sequence[tuple[Found, str]]:
    """Return what the first of the regular expressions that matches anything matches, with its text."""
    for regex in regexes:
        if matching := [one for one in listed if regex.fullmatch(one[1])]:
            return matching
    return []


def _without_skipped(matching: Sequence[Found], component: str) -> tuple[list[Found], int]:
    """Return files without those that are skipped, and the number of these.

    A pattern that begins with ``_`` or ``.`` asks for such names.
    """
    if component.startswith(("_", ".")):
        return list(matching), 0
    kept = [one for one in matching if not is_skipped(_last(one.name))]
    return kept, len(matching) - len(kept)


def _in_skipped_folder(path: str) -> bool:
    return any(is_skipped(name, folder=True) for name in path.split("/")[:-1])


def _last(name: str) -> str:
    return name.rpartition("/")[2]
