"""Processor configurations: read from a file and compared with the stored ones."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.core.files.csv_reader import detect_encoding
from airflow_provider.core.input.values import UnreadableValueError, ValueReader, is_missing
from airflow_provider.errors import InputError
from airflow_provider.leanix.api import KEY_FIELDS, REQUIRED_FIELDS

_READER = ValueReader(nan_is_absent=False)


def read_configuration(source: Mapping[str, Any] | str, *, with_defaults: bool = True) -> dict[str, Any]:
    """Return a processor configuration with all fields of its key.

    :param source: the configuration, or the path of a JSON file that contains it (also with ``.gz``).
    :param with_defaults: complete the key, and require the fields that the service requires beside it.
    :raises InputError: with the missing fields, and values that JSON does not have.
    """
    label = f"configuration '{source[:200]}'" if isinstance(source, str) else "configuration"
    value = _read_file(source, label) if isinstance(source, str) else source
    if not isinstance(value, Mapping):
        raise InputError(f"must be a JSON object, not {type(value).__name__}", label)
    problems = [f"field '{name}' is missing" for name in REQUIRED_FIELDS if is_missing(value.get(name))]
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


def _read_file(path: str, label: str) -> Any:
    import msgspec

    from airflow_provider.core.files.reader import open_source
    from airflow_provider.core.input.conditions import refuse_rendered_list

    refuse_rendered_list(path, "configuration")
    with open_source(path, "configuration") as raw:
        file: Any = gzip.GzipFile(fileobj=raw) if path.lower().endswith(".gz") else raw
        try:
            data = file.read()
            return msgspec.json.decode(data.decode(detect_encoding(data, label)))
        except UnicodeDecodeError as error:
            raise InputError(f"is not {error.encoding}: save it as UTF-8", label) from None
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise InputError(f"cannot be read: {error}", label) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", label) from None


def key_of(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values of the five fields that identify a configuration."""
    return tuple(str(configuration.get(name) or "") for name in KEY_FIELDS)


def differences(wanted: Any, found: Any, where: str = "") -> Iterator[str]:
    """Yield the paths of the fields in which two configurations differ.

    Values are left out, because some are credentials. A field that is null, false or empty in the stored
    configuration and absent from the wanted one is a default and no difference.

    :param where: path of the compared values.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in {**wanted, **found}:
            inner = f"{where}.{name}" if where else str(name)
            if name not in found:
                yield f"+ {inner}"
            elif name in wanted:
                yield from differences(wanted[name], found[name], inner)
            elif found[name]:
                yield f"- {inner}"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, pair in enumerate(zip(wanted, found, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif wanted != found:
        yield f"~ {where}"
