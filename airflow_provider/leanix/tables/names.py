"""Names of tables' files: safe on any storage, and different for different types."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

MANIFEST = "manifest.json"
"""Name of the list of all tables of a folder, written last."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")

_LIKE_HASHED = re.compile(r".*-[0-9a-f]{8}", re.IGNORECASE)

_MAX_LENGTH = 80
"""Maximum characters of a type in the name of a file."""


def stems(types: Iterable[str]) -> dict[str, str]:
    """Return the beginning of the names of each type's files.

    That is the type itself when it has only letters and digits of ASCII, ``_`` and ``-``, does not begin with
    ``_``, and has at most 80 characters. In any other type, other characters become ``_``, and ``-`` and a
    hash of the type follow. Types that are equal apart from their case have the hash, too, and types that
    end like one.

    :param types: the types, each once.
    """
    types = list(types)
    counts = Counter(name.casefold() for name in types)
    return {name: _stem(name, is_shared=counts[name.casefold()] > 1) for name in types}


def possible_stems(type_name: str) -> set[str]:
    """Return what :func:`stems` may return for a type, whatever other types there are.

    :param type_name: the type.
    """
    return {_stem(type_name, is_shared=is_shared) for is_shared in (False, True)}


def _stem(name: str, *, is_shared: bool) -> str:
    # Readers of a folder skip names that begin with an underscore.
    safe = _UNSAFE.sub("_", name).lstrip("_")[:_MAX_LENGTH]
    if name and safe == name and not is_shared and not _LIKE_HASHED.fullmatch(name):
        return name
    return f"{safe or 'type'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def table_name(stem: str, run_id: str, ending: str) -> str:
    """Return the name of a type's file; each run has its own, so that no file is replaced by another run.

    :param stem: see :func:`stems`.
    :param run_id: the run.
    :param ending: ending of the file without a dot.
    """
    return f"{stem}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}.{ending}"


def table_names(ending: str) -> str:
    """Return the pattern of :func:`table_name` for all types and runs.

    :param ending: ending of the files without a dot.
    """
    return f"*-{'[0-9a-f]' * 8}.{ending}"


def manifest_name(stem: str) -> str:
    """Return the name of a type's manifest, which is the same for all runs.

    :param stem: see :func:`stems`.
    """
    return f"{stem}.{MANIFEST}"
