"""A fleet: the Things that a task or a watcher asks, and the requests for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider.core.input.conditions import list_problems
from airflow_provider.core.input.problems import nearest
from airflow_provider.iotstudio import api
from airflow_provider.iotstudio.conditions import filter_problems, name_problems

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook

T = TypeVar("T")
R = TypeVar("R")

CONCURRENCY = 8
"""Number of requests at the same time, of a sensor or watcher."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Things: some by their ids, or all that a category and filters leave.

    :param thing_ids: these Things; None for all others.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated by the service on current values.
    """

    thing_ids: tuple[str, ...] | None = None
    category: str | None = None
    filters: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, task: Any) -> Fleet:
        """Return the fleet of a task or trigger: its ``thing_ids``, ``category`` and ``filters``.

        :param task: the operator, sensor or trigger; see :func:`fleet_problems`.
        """
        one = getattr(task, "thing_id", None)
        ids = None if task.thing_ids is None else tuple(dict.fromkeys(task.thing_ids))
        if one is not None:
            ids = (one,)
        return cls(ids, task.category, task.filters)

    def things(self, hook: IoTStudioHook) -> Iterator[dict[str, Any]]:
        """Yield the descriptions of the Things; not for those that are given by their ids.

        :param hook: the space.
        """
        return hook.list_things(category=self.category, params=api.filters(self.filters))

    async def athings(self, hook: IoTStudioHook) -> list[dict[str, Any]]:
        """Return the same from an event loop.

        :param hook: the space.
        """
        params = api.filters(self.filters)
        return [thing async for thing in hook.alist_things(category=self.category, params=params)]

    def key(self) -> tuple[Any, ...]:
        """Return what tells two fleets apart."""
        return self.thing_ids, self.category, repr(api.filters(self.filters))


def fleet_problems(task: Any) -> list[str]:
    """Return what is wrong with the arguments of a task or trigger that name its Things.

    :param task: the operator, sensor or trigger.
    """
    one = getattr(task, "thing_id", None)
    problems = list_problems(task.thing_ids, "thing_ids") + filter_problems(task.filters)
    for name in ("category", "space"):
        problems += name_problems(getattr(task, name), name)
    problems += name_problems(one, "thing_id")
    if not problems:
        for thing_id in task.thing_ids or ():
            problems += name_problems(thing_id, "thing_ids")
    given = [name for name, ids in (("thing_id", one), ("thing_ids", task.thing_ids)) if ids is not None]
    if len(given) > 1:
        problems.append("set 'thing_id' or 'thing_ids', not both")
    elif given and (task.category is not None or task.filters is not None):
        problems.append(f"set {given[0]!r}, or 'category' and 'filters', not both")
    return problems


class Declared:
    """The Things that declare an event, as their descriptions are read.

    :param names: names of the wanted events; None for any.
    """

    def __init__(self, names: Iterable[str] | None) -> None:
        self._names = None if names is None else set(names)
        self._known: set[str] = set()
        self._left = set(self._names or ())
        self.things = 0

    def ids(self, things: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """Yield the ids of the Things that declare a wanted event.

        :param things: their descriptions.
        """
        for thing in things:
            self.things += 1
            declared = (thing.get("events") or {}).keys()
            self._known |= declared
            self._left -= declared
            if declared if self._names is None else declared & self._names:
                yield str(thing["uid"])

    def problems(self) -> list[str]:
        """Return a sentence for each wanted event that no Thing declares."""
        if not self.things and self._left:
            return ["there is no Thing that could report an event"]
        return [
            f"no Thing of {self.things} declares the event {name!r:.80}{nearest(name, self._known)}"
            for name in sorted(self._left)
        ]


def map_concurrently(
    function: Callable[[T], R], items: Iterable[T], concurrency: int = CONCURRENCY
) -> Iterator[R]:
    """Yield a function's results in the order of the items; some calls run at the same time.

    An error is raised in its turn, and calls that have not begun are dropped. At most twice as many results
    as calls wait for their turn.

    :param function: called in threads.
    :param items: its arguments; read as they are needed.
    :param concurrency: number of calls at the same time.
    """
    left = iter(items)
    with ThreadPoolExecutor(concurrency, thread_name_prefix="read-fleet") as pool:
        running: list[Future[R]] = [pool.submit(function, item) for item in islice(left, 2 * concurrency)]
        try:
            while running:
                yield running.pop(0).result()
                running += [pool.submit(function, item) for item in islice(left, 1)]
        finally:
            for future in running:
                future.cancel()


async def amap_concurrently(
    function: Callable[[T], Awaitable[R]], items: Iterable[T], concurrency: int = CONCURRENCY
) -> list[R]:
    """Return a coroutine function's results in the order of the items; some calls run at the same time.

    When one fails, the others are cancelled, and its error is raised.

    :param function: called in the event loop.
    :param items: its arguments.
    :param concurrency: number of calls at the same time.
    """
    numbered = iter(enumerate(items))
    results: dict[int, R] = {}

    async def work() -> None:
        for number, item in numbered:
            results[number] = await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except* Exception as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [results[number] for number in sorted(results)]
