"""The objects of a map, many of them in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider.mapsindoors import api
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook

Json = dict[str, Any]


class _Known(msgspec.Struct):
    id: str


def read_undecoded(hook: MapsIndoorsHook) -> list[msgspec.Raw]:
    """Read all geodata of a solution, each checked to be an object, but not kept decoded."""
    return hook.send(api.undecoded(api.list_geodata(hook.api_key)))


class Objects(Mapping[str, Json]):
    """Objects by id, each decoded when it is asked for: as text they take a fifth of the memory.

    What is given is a copy, and each time another one.

    :param undecoded: the objects, as :func:`read_undecoded` gives them.
    """

    def __init__(self, undecoded: Iterable[msgspec.Raw]) -> None:
        known = msgspec.json.Decoder(_Known)
        self._undecoded = {known.decode(one).id: one for one in undecoded}
        self._decoder = msgspec.json.Decoder()

    def __getitem__(self, key: str) -> Json:
        found: Json = self._decoder.decode(self._undecoded[key])
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._undecoded

    def __iter__(self) -> Iterator[str]:
        return iter(self._undecoded)

    def __len__(self) -> int:
        return len(self._undecoded)
