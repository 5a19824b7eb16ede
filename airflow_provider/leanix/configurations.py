"""Processor configurations: read from a file, compared with what the service has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider.errors import InputError
from airflow_provider.leanix.ldif.validation import KEY_FIELDS, REQUIRED_FIELDS


def read_configuration(source: Mapping[str, Any] | str) -> dict[str, Any]:
    """Give a processor configuration with its whole key.

    :param source: the configuration, or the path of a JSON file that holds it.
    :raises InputError: naming what is missing.
    """
    what = f"configuration '{source}'" if isinstance(source, str) else "configuration"
    value = _read_file(source, what) if isinstance(source, str) else source
    if not isinstance(value, Mapping):
        raise InputError(f"must be a JSON object, not {type(value).__name__}", what)
    problems = [f"field '{name}' is missing" for name in REQUIRED_FIELDS if not value.get(name)]
    if value.get("processingDirection") == "outbound" and "scope" not in value:
        problems.append("field 'scope' is missing; an outbound configuration needs it, even if empty")
    if problems:
        raise InputError(problems, what)
    return {**value, "processingMode": str(value.get("processingMode") or "partial").lower()}


def _read_file(path: str, what: str) -> Any:
    import msgspec

    from airflow_provider.core.files.reader import open_source

    with open_source(path, "configuration") as file:
        try:
            return msgspec.json.decode(file.read())
        except (msgspec.DecodeError, RecursionError) as error:
            raise InputError(f"is not JSON: {error}", what) from None


def key_of(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the five fields that tell configurations apart."""
    return tuple(str(configuration.get(name) or "") for name in KEY_FIELDS)


def differences(wanted: Any, found: Any, where: str = "") -> Iterator[str]:
    """Name the fields in which two configurations differ, without their values: some are credentials.

    A field that only the service has, and that is null, false or empty, is a default and no difference.
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
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{where}[{number}]")
    elif wanted != found:
        yield f"~ {where}"
