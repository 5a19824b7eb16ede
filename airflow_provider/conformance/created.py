"""Created objects: a file that names each of them before and after its creation."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUN_NAME = re.compile(r"conformance-[0-9a-f]{12}")
"""The names of runs, with which the names of their objects begin."""


_ID = re.compile(r"[A-Za-z0-9][\w.:-]{0,127}", re.ASCII)
_COUNTED_APART = frozenset({"gallery"})
"""Kinds whose numbers are also those of other objects."""


def usable_id(value: object) -> str:
    """Return an id of a service as text; empty for a value that is none.

    :param value: a value of a reply. A text with other characters could be more than a part of a path.
    """
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) if is_id and _ID.fullmatch(str(value)) else ""


def own_id(kind: str, id_: str) -> str:
    """Return an id as the guard knows it, so that gallery 7 does not stand for dataset 7.

    :param kind: kind of the object.
    :param id_: its id.
    """
    return f"{kind} {id_}" if kind in _COUNTED_APART else id_


@dataclass
class Created:
    """An object that a run makes.

    :param kind: kind of the object.
    :param name: its name, which no other object has.
    :param id: its id; empty until the service has sent it.
    :param removed: whether it is certainly gone.
    :param repeated: whether it was asked for twice, so that there may be two of its name.
    """

    kind: str
    name: str
    id: str = ""
    removed: bool = False
    repeated: bool = False


class UnusableFileError(Exception):
    """The statement that a file of created objects cannot be used.

    :param reason: why.
    """


@dataclass
class CreatedObjects:
    """The objects of a run, in the order of their creation, each written to a file before the next request.

    :param path: the file.
    :param head: service, run and a fingerprint of the host.
    :param ids: ids of the objects, removed ones included.
    """

    path: Path
    head: Mapping[str, str]
    objects: list[Created] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    @classmethod
    def start(cls, path: Path, head: Mapping[str, str]) -> CreatedObjects:
        """Create the file, which only its owner may read.

        :raises OSError: when it cannot be created, or is there.
        """
        found = cls(path, head)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        found._write(dict(head))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return found

    @classmethod
    def open(cls, path: Path) -> CreatedObjects:
        """Read the file of an earlier run; a last line that was cut off is ignored.

        :raises UnusableFileError: when it cannot be read, or is no such file.
        """
        try:
            lines = path.read_text().splitlines()
        except OSError as error:
            raise UnusableFileError(f"{path.name} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            lines = []
        entries = list(_entries(lines, path.name))
        if not entries or not RUN_NAME.fullmatch(str(entries[0].get("run"))):
            raise UnusableFileError(f"{path.name} is not a file of objects that a run has made")
        found = cls(path, {str(name): str(text) for name, text in entries[0].items()})
        for entry in entries[1:]:
            found._apply(entry)
        return found

    @property
    def run(self) -> str:
        """The run's name."""
        return self.head["run"]

    @property
    def left(self) -> list[Created]:
        """The objects that may be there still."""
        return [created for created in self.objects if not created.removed]

    def intend(self, kind: str, name: str) -> Created:
        """Write down that an object is about to be made."""
        created = Created(kind, name)
        self._write({"intend": kind, "name": name})
        self.objects.append(created)
        return created

    def made(self, created: Created, id_: str) -> None:
        """Write down an object's id."""
        self._write({"made": created.kind, "name": created.name, "id": id_})
        created.id = id_
        self.ids.add(own_id(created.kind, id_))

    def removed(self, created: Created) -> None:
        """Write down that an object is gone."""
        self._write({"removed": created.kind, "name": created.name})
        created.removed = True

    def _apply(self, entry: Mapping[str, Any]) -> None:
        name = str(entry.get("name"))
        if not name.startswith(self.run):
            raise UnusableFileError(f"{self.path.name} names an object that the run has not made")
        if "intend" in entry:
            self.objects.append(Created(str(entry["intend"]), name))
            return
        created = next((one for one in self.objects if one.name == name), None)
        if created is None:
            raise UnusableFileError(f"{self.path.name} names an object that it has not announced")
        if "made" in entry:
            created.id = usable_id(entry.get("id"))
            self.ids.add(own_id(created.kind, created.id))
        elif "removed" in entry:
            created.removed = True

    def _write(self, entry: Mapping[str, str]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _entries(lines: list[str], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            yield entry
        elif number < len(lines):
            raise UnusableFileError(f"{name}: line {number} cannot be read")
