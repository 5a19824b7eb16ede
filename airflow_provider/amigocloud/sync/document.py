"""Plan: the changes of a sync as a JSON document, with a change on each line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from airflow_provider.amigocloud.sync.store import DELETE, OPERATIONS, UPDATE, Change, SyncStore
from airflow_provider.errors import InputError, PlanRejectedError

T = TypeVar("T")

VERSION = 1
"""Version of the plan's JSON."""


class PlanHead(msgspec.Struct, kw_only=True):
    """A plan without its changes.

    :param dataset: id of the dataset.
    :param key: name of the key.
    :param state: hash of the state that was compared.
    :param compared: number of the dataset's rows that have the key.
    :param unchanged: number of rows without a difference.
    :param restores: hash of the state that the plan restores; empty for the plan of a sync.
    :param fingerprint: hash of all this, of the changes, and of the rows that are left out.
    """

    dataset: str
    key: str
    state: str
    compared: int = 0
    unchanged: int = 0
    restores: str = ""
    fingerprint: str = ""


class _Document(PlanHead, kw_only=True):
    version: int
    counts: dict[str, int]
    failed: list[msgspec.Raw] = []
    changes: list[msgspec.Raw]


class _Failure(msgspec.Struct):
    row: int | str
    key: str
    reasons: list[str]


def sign(head: PlanHead, store: SyncStore) -> None:
    """Set the fingerprint of a plan."""
    changes = (msgspec.json.encode(change) for _, change in store.changes())
    head.fingerprint = _fingerprint(head, changes, map(msgspec.json.encode, store.failed()))


def _fingerprint(head: PlanHead, lines: Iterable[bytes], failed: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    names = (name for name in PlanHead.__struct_fields__ if name != "fingerprint")
    digest.update(msgspec.json.encode({name: getattr(head, name) for name in names}))
    for line in lines:
        digest.update(line + b"\n")
    for line in failed:
        digest.update(b"failed " + line + b"\n")
    return digest.hexdigest()


def document_parts(head: PlanHead, store: SyncStore) -> Iterator[bytes]:
    """Yield the plan's JSON: ``version``, ``counts`` for readers, the head, ``failed`` and ``changes``."""
    first = {"version": VERSION, "counts": store.counts(), **msgspec.to_builtins(head)}
    yield msgspec.json.format(msgspec.json.encode(first), indent=1)[:-2]
    for name, items in (("failed", store.failed()), ("changes", (change for _, change in store.changes()))):
        yield f',\n "{name}": ['.encode()
        is_first = True
        for item in items:
            yield (b"\n  " if is_first else b",\n  ") + msgspec.json.encode(item)
            is_first = False
        yield b"]" if is_first else b"\n ]"
    yield b"\n}\n"


def load(data: bytes, where: str, store: SyncStore) -> PlanHead:
    """Read a plan, and store its changes and failures.

    :param data: the JSON.
    :param where: the plan's location, for errors.
    :param store: gets the changes.
    :raises InputError: when the data are no plan of this version.
    :raises PlanRejectedError: when the plan was altered.
    """
    try:
        plan = msgspec.json.decode(data, type=_Document)
        if plan.version != VERSION:
            raise ValueError(f"version {VERSION} is expected")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"{where} is not a plan of this version: {error}") from None
    if _fingerprint(plan, map(bytes, plan.changes), map(bytes, plan.failed)) != plan.fingerprint:
        raise PlanRejectedError(f"the plan {where} was altered: its fingerprint is not that of its content")
    with store.transaction():
        for number, text in enumerate(plan.changes, 1):
            store.add_change(_read_change(text, f"{where}, change {number}"))
        for number, text in enumerate(plan.failed, 1):
            failure = _decode(text, _Failure, f"{where}, row {number} of 'failed',")
            store.add_failed(failure.row, failure.key, failure.reasons)
    if store.counts() != plan.counts:
        raise PlanRejectedError(f"the plan {where} was altered: its counts are not those of its changes")
    return plan


def _decode(text: msgspec.Raw, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"{where} is not of this version: {error}") from None


def _read_change(text: msgspec.Raw, where: str) -> Change:
    change = _decode(text, Change, where)
    shown: dict[str, Any] = {name: pair[1] for name, pair in change.fields.items() if len(pair) == 2}
    fits = (
        change.operation in OPERATIONS
        and all(len(pair) == 2 for pair in change.fields.values())
        and bool(change.id)
        and (change.operation != DELETE or not change.body)
        and (change.operation != UPDATE or change.body == shown)
    )
    if not fits:
        raise PlanRejectedError(f"the plan was altered: {where} has other fields in its body than it shows")
    return change
