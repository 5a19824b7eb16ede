"""Names: the columns of a query's result as names of fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import normal_key
from airflow_provider.core.sql.query import SUBJECT
from airflow_provider.errors import InputError


def field_names(
    names: Sequence[str],
    columns: Mapping[str, str] | None,
    ignore: Iterable[str] | None,
    known: Iterable[str] = (),
) -> list[str | None]:
    """Return the field of each column; None for a column that is left out.

    A database may change the case of names: PostgreSQL's are in lower case, Snowflake's in upper case. So a
    column has the name of a known field whatever its case is, unless two columns would have the same one.

    :param names: names of the result's columns.
    :param columns: names of fields by names of columns.
    :param ignore: names of columns that are left out.
    :param known: names of fields, in their case.
    :raises InputError: for two columns of one name, and a name that the result does not have.
    """
    keys = [normal_key(name) for name in names]
    wanted = {normal_key(name): field for name, field in (columns or {}).items()}
    ignored = set(map(normal_key, ignore or ()))
    problems = [f"has two columns {key!r}; name them with AS" for key in _repeated(keys)]
    problems += [
        f"{name!r} of columns or ignore is not a column of the result{nearest(name, names)}"
        for name in sorted({*wanted, *ignored} - {*keys})
    ]
    fields = [None if (key := normal_key(name)) in ignored else wanted.get(key, name) for name in names]
    taken = [field for field in fields if field is not None]
    if not problems:
        problems = [f"has the field {field!r} twice, by columns" for field in _repeated(taken)]
    if problems:
        raise InputError(problems, SUBJECT)
    by_case = _by_case(set(taken) - set(wanted.values()), set(taken), known)
    return [by_case.get(field, field) if field is not None else None for field in fields]


def _repeated(names: Sequence[Any]) -> list[Any]:
    return sorted({name for name in names if names.count(name) > 1})


def _by_case(free: set[str], taken: set[str], known: Iterable[str]) -> dict[str, str]:
    """Return known fields by the names that are theirs but for the case."""
    fields: dict[str, str] = {}
    for field in known:
        # Two known fields that differ in case only have their exact names only.
        fields[field.lower()] = "" if field.lower() in fields else field
    found: dict[str, list[str]] = {}
    for name in free:
        field = fields.get(name.strip().lower(), "")
        if field and field not in taken:
            found.setdefault(field, []).append(name)
    return {names[0]: field for field, names in found.items() if len(names) == 1}
