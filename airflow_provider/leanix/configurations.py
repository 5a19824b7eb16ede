"""Processor configurations: read from files and compared with the stored ones."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.csv_reader import detect_encoding
from airflow_provider.core.input.values import UnreadableValueError, ValueReader, is_missing, shown
from airflow_provider.core.redaction import shown_path
from airflow_provider.errors import InputError, one_line, shorten
from airflow_provider.leanix.api import DIRECTIONS, KEY_FIELDS, MODES, REQUIRED_FIELDS

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

_READER = ValueReader(nan_is_absent=False)

_CHOICES = {KEY_FIELDS[3]: DIRECTIONS, KEY_FIELDS[4]: MODES}
"""Values of the fields of a key that have few of them."""

_ENDINGS = (".json", ".json.gz")
"""Ends of the names of configurations in a folder."""

_NAMED = 20
"""Maximum files that the log names."""


def read_configurations(source: Any, log: Logger | None = None) -> tuple[list[dict[str, Any]], bool]:
    """Return processor configurations with all fields of their keys, and whether it is a single one.

    :param source: a configuration, the path of a JSON file that contains one or a list of them, the path of
        many such files (a folder with ``/`` at its end, or a wildcard), or a list of all these. Of a folder,
        only files that end in ``.json`` or ``.json.gz`` are read, and no plans.
    :param log: receives the names of the files of folders that are left out.
    :raises InputError: with the problems of all of them, and for a key that two of them have.
    """
    is_several = isinstance(source, (list, tuple)) or _has_many_files(source)
    found: list[tuple[str, dict[str, Any]]] = []
    problems: list[str] = []
    left_out: list[str] = []
    for label, one, in_folder in _each(source, left_out):
        try:
            values = _read_file(one, label) if isinstance(one, str) else one
            if isinstance(one, str) and _is_plan(values):
                if not in_folder:
                    raise InputError("is a plan; give its path as 'plan'", label)
                left_out.append(shown_path(one))
                continue
            is_several = is_several or isinstance(values, list)
            for number, value in enumerate(values if isinstance(values, list) else [values], start=1):
                where = f"{label}[{number}]" if isinstance(values, list) else label
                found.append((where, _read_value(value, where, with_defaults=True)))
        except InputError as error:
            if not is_several:
                raise
            problems += [f"{error.subject or label}: {problem}" for problem in error.problems]
    problems += _repeated(found)
    if left_out and log is not None:
        log.info(
            "Files that are no configurations are left out: %s",
            one_line(", ".join(shorten(left_out, _NAMED))),
        )
    if not found and not problems:
        problems.append("has no configuration; each must be a JSON object, or the path of a file")
    if problems:
        raise InputError(problems, "configuration")
    return [configuration for _, configuration in found], not is_several


def _has_many_files(source: Any) -> bool:
    return isinstance(source, str) and (source.endswith("/") or bool({*"*?["} & {*source}))


def _each(source: Any, left_out: list[str]) -> Iterator[tuple[str, Any, bool]]:
    """Yield the configurations and files of a source, each with its name in errors, and whether it is listed.

    :param left_out: gets the paths of a folder's files that do not end as those of configurations.
    """
    if isinstance(source, (list, tuple)):
        for number, one in enumerate(source, start=1):
            if _has_many_files(one):
                yield from _each(one, left_out)
            else:
                yield _label(one) if isinstance(one, str) else f"configuration {number}", one, False
    elif _has_many_files(source) and not source.lstrip().startswith(("[", "{")):
        from airflow_provider.core.files.listing import find_files

        for file in find_files(source, "configuration", source_format="json"):
            if source.endswith("/") and not file.path.lower().endswith(_ENDINGS):
                left_out.append(shown_path(file.path))
            else:
                yield _label(file.path), file.path, True
    else:
        yield _label(source), source, False


def _is_plan(value: Any) -> bool:
    """Return whether the content of a file is a plan, which a task writes beside configurations."""
    return isinstance(value, dict) and {"version", "fingerprint", "entries"} <= value.keys()


def _label(source: Any) -> str:
    return f"configuration '{source[:200]}'" if isinstance(source, str) else "configuration"


def _repeated(found: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield a problem for each configuration that has the key of an earlier one."""
    first: dict[tuple[str, ...], str] = {}
    for label, configuration in found:
        other = first.setdefault(key_of(configuration), label)
        if other != label:
            yield f"{label} has the key of {other}: {'/'.join(key_of(configuration))}"


def read_configuration(source: Mapping[str, Any] | str, *, with_defaults: bool = True) -> dict[str, Any]:
    """Return a processor configuration with all fields of its key.

    :param source: the configuration, or the path of a JSON file that contains it (also with ``.gz``).
    :param with_defaults: complete the key, and require the fields that the service requires beside it.
    :raises InputError: with the missing fields, and values that JSON does not have.
    """
    label = _label(source)
    value = _read_file(source, label) if isinstance(source, str) else source
    return _read_value(value, label, with_defaults=with_defaults)


def _read_value(value: Any, label: str, *, with_defaults: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"must be a JSON object, not {type(value).__name__}", label)
    problems = [f"field '{name}' is missing" for name in REQUIRED_FIELDS if is_missing(value.get(name))]
    problems += _key_problems(value)
    if with_defaults and value.get("processingDirection") == "outbound" and "scope" not in value:
        problems.append("field 'scope' is missing; an outbound configuration needs it, even when it is empty")
    try:
        read: dict[str, Any] = _READER.read(value)
    except UnreadableValueError as problem:
        problems.append(str(problem))
    if problems:
        raise InputError(problems, label)
    if not with_defaults:
        return read
    return {**read, "processingMode": str(read.get("processingMode") or "partial").lower()}


def _key_problems(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each field of the key by which no run finds the configuration."""
    for name in KEY_FIELDS:
        given, allowed = value.get(name), _CHOICES.get(name)
        if is_missing(given):
            continue
        if not isinstance(given, str):
            yield f"field '{name}' must be a text, not {shown(given)}"
        elif allowed and (given.lower() if name == KEY_FIELDS[4] else given) not in allowed:
            yield f"field '{name}' must be {' or '.join(allowed)}, not {shown(given)}"


def _read_file(path: str, label: str) -> Any:
    from airflow_provider.core.files.reader import open_source, read_whole
    from airflow_provider.core.input.conditions import refuse_rendered_list

    refuse_rendered_list(path, "configuration")
    with open_source(path, "configuration") as raw:
        file: Any = gzip.GzipFile(fileobj=raw) if path.lower().endswith(".gz") else raw
        try:
            data = read_whole(file, label)
            return _decode(data.decode(detect_encoding(data, label)), label)
        except UnicodeDecodeError as error:
            raise InputError(f"is not {error.encoding}: save it as UTF-8", label) from None
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise InputError(f"cannot be read: {error}", label) from None
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            # A number of thousands of digits is no JSONDecodeError.
            raise InputError(f"is not JSON: {error}", label) from None


def _decode(text: str, label: str) -> Any:
    """Return the value of a JSON text.

    :raises InputError: for keys that an object has twice: readers of JSON keep another one of both.
    """
    twice: list[str] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(name for name, _ in pairs)
        twice.extend(name for name, count in counts.items() if count > 1)
        return dict(pairs)

    def refuse(name: str) -> Any:
        raise InputError(f"is not JSON: it has {name}", label)

    value = json.loads(text, object_pairs_hook=read_object, parse_constant=refuse)
    if twice:
        raise InputError(
            [f"has the key {name!r} twice in one object" for name in dict.fromkeys(twice)], label
        )
    return value


def key_of(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values of the five fields that identify a configuration; the mode's default is partial."""
    values = [str(configuration.get(name) or "") for name in KEY_FIELDS[:4]]
    return (*values, str(configuration.get(KEY_FIELDS[4]) or "partial").lower())


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field in which a wanted configuration differs from the stored one.

    :param sign: ``+`` added, ``-`` removed, ``~`` changed.
    :param path: its path: ``processors[0].fields``.
    :param old: the stored value; None without one.
    :param new: the wanted value; None without one.
    """

    sign: str
    path: str
    old: Any = None
    new: Any = None


def changes(wanted: Any, found: Any, where: str = "") -> Iterator[FieldChange]:
    """Yield the fields in which two configurations differ.

    A field that is null, false or empty in the stored configuration and absent from the wanted one is a
    default and no difference.

    :param where: path of the compared values.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in {**wanted, **found}:
            inner = f"{where}.{name}" if where else str(name)
            if name not in found:
                yield FieldChange("+", inner, None, wanted[name])
            elif name in wanted:
                yield from changes(wanted[name], found[name], inner)
            elif found[name]:
                yield FieldChange("-", inner, found[name])
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, pair in enumerate(zip(wanted, found, strict=True)):
            yield from changes(*pair, f"{where}[{number}]")
    elif wanted != found:
        yield FieldChange("~", where, found, wanted)
