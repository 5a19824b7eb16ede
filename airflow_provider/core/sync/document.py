"""Plan document: a plan as JSON, with a fingerprint by which a change of it is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Self

import msgspec

from airflow_provider.core.input.row_numbers import encode_row_number
from airflow_provider.errors import InputError, PlanRejectedError


class _Failure(msgspec.Struct):
    row: int | str
    key: str
    reasons: list[str]


def check_pairs(changes: Iterable[Any]) -> None:
    """Check that each difference of a plan's changes has an old and a new value.

    :param changes: changes with ``fields``, the pairs by name.
    :raises ValueError: naming a field that has no such pair.
    """
    for change in changes:
        for name, pair in change.fields.items():
            if len(pair) != 2:
                raise ValueError(f"the field {name!r:.60} has not one old and one new value")


def counts_in_words(counts: Mapping[str, int], none: str = "nothing") -> str:
    """Return the counts that are not zero, such as ``create 2, update 1``.

    :param counts: numbers by operation.
    :param none: what to return when there is none.
    """
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or none


def members(document: Any) -> dict[str, Any]:
    """Return the fields of a plan by name, those of data classes in its lists included.

    Values of the service and of rows are returned as they are: ``dataclasses.asdict`` copies them, and they
    may be nested more deeply than Python's own functions can follow.

    :param document: a plan, or a data class in one of its lists.
    """
    return {one.name: _member(getattr(document, one.name)) for one in fields(document)}


def _member(value: Any) -> Any:
    if isinstance(value, list) and value and is_dataclass(value[0]):
        return [members(one) for one in value]
    return value


@dataclass
class SignedPlan:
    """Base of plans: a data class with the field ``fingerprint``, and perhaps ``failed``, the rows left out.

    :cvar version: version of the plan's JSON.
    """

    version: ClassVar[int]

    def counts(self) -> dict[str, int]:
        """Return the number of writes by operation."""
        raise NotImplementedError

    def sign(self) -> None:
        """Set the fingerprint."""
        self.fingerprint = self._hash()

    def _hash(self) -> str:
        parts = {**members(self), "fingerprint": ""}
        data = msgspec.json.encode(parts, enc_hook=encode_row_number, order="deterministic")
        return hashlib.sha256(data).hexdigest()

    def to_json(self) -> bytes:
        """Return the plan as JSON: its fields, ``version``, and ``counts`` for readers."""
        head = {"version": self.version, "counts": self.counts()}
        data = msgspec.json.encode({**head, **members(self)}, enc_hook=encode_row_number)
        return msgspec.json.format(data, indent=1)

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """Parse a plan that :meth:`to_json` returned.

        :param data: the JSON.
        :param where: the plan's location, for the error.
        :raises InputError: when the data are not a plan of this version.
        :raises PlanRejectedError: when the plan was altered.
        """
        try:
            given = msgspec.json.decode(data)
            if given["version"] != cls.version:
                raise ValueError(f"version {cls.version} is expected")
            counts = given["counts"]
            plan = msgspec.convert(given, cls)
            check_pairs(getattr(plan, "changes", ()))
            msgspec.convert(given.get("failed", []), list[_Failure])
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{where} is not a plan of this version: {error}") from None
        if plan._hash() != plan.fingerprint:
            raise PlanRejectedError(f"the plan {where} was altered: its fingerprint is that of another one")
        if counts != plan.counts():
            raise PlanRejectedError(f"the plan {where} was altered: its counts are not those of its changes")
        return plan
