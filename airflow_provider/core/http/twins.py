"""Twins: a hook's method written once, for workers and for event loops.

A method that sends is a coroutine function, decorated with :func:`blocking` (an iterator: with
:func:`blocking_iterator`), so that calling it blocks. Its twin ``a<name>`` is one line, which gives the same
coroutine function to event loops. In both, ``await hook.asend(call)`` sends a call: on a worker it returns
without suspending the coroutine.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from contextvars import ContextVar
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary


class Hook(Protocol):
    """A hook, as twins need it."""

    async def aload(self) -> Any:
        """Read the connection without blocking the event loop."""


H = TypeVar("H", bound=Hook)
P = ParamSpec("P")
T = TypeVar("T")

_blocks: ContextVar[bool] = ContextVar("blocks", default=False)


_bodies: WeakKeyDictionary[Callable[..., Any], Callable[..., Any]] = WeakKeyDictionary()
"""Coroutine functions by the decorated method: a user's decorator may copy a method's attributes."""


def is_blocking() -> bool:
    """Return whether the running coroutine belongs to a call that blocks: it may not be suspended."""
    return _blocks.get()


# -- the method of workers ------------------------------------------------------------------------


def blocking(method: Callable[Concatenate[H, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[H, P], T]:
    """Decorate a coroutine function, so that calling it blocks and returns the result.

    :param method: awaits nothing but functions of this module, ``asend``, and other methods' twins.
    """

    @wraps(method)
    def blocked(hook: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(method(hook, *args, **kwargs))

    _bodies[blocked] = method
    return blocked


def blocking_iterator(
    method: Callable[Concatenate[H, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[H, P], Iterator[T]]:
    """Decorate a function that returns an async generator, so that calling it returns an iterator.

    :param method: raises errors of its arguments before it returns the generator; see also :func:`blocking`.
    """

    @wraps(method)
    def blocked(hook: H, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return iterate(method(hook, *args, **kwargs))

    _bodies[blocked] = method
    return blocked


def run(body: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the calling thread, where it blocks instead of being suspended; return its result.

    :param body: the coroutine, see :func:`blocking`.
    """
    token = _blocks.set(True)
    try:
        body.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    finally:
        _blocks.reset(token)
    body.close()
    raise RuntimeError("a method that blocks awaited something else than a call")


def iterate(items: AsyncGenerator[T, None]) -> Iterator[T]:
    """Yield the items of an async generator, which blocks instead of being suspended.

    :param items: the generator, see :func:`blocking_iterator`.
    """
    try:
        while True:
            try:
                item = run(_next(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(_close(items))


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()


# -- the method of event loops --------------------------------------------------------------------


def twin(
    method: Callable[Concatenate[H, P], T], *, loads: bool = True
) -> Callable[Concatenate[H, P], Coroutine[Any, Any, T]]:
    """Return the twin of a method for event loops, which reads the connection first.

    :param method: a method decorated with :func:`blocking`.
    :param loads: whether the method needs the connection; one that tests it takes a wrong one, too.
    """
    body = _body(method)

    @wraps(method)
    async def awaited(hook: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if loads and not is_blocking():
            await hook.aload()
        return cast("T", await body(hook, *args, **kwargs))

    return _named(awaited)


def twin_iterator(
    method: Callable[Concatenate[H, P], Iterator[T]],
) -> Callable[Concatenate[H, P], AsyncGenerator[T, None]]:
    """Return the twin of an iterator for event loops: an async iterator, which reads the connection first.

    :param method: a method decorated with :func:`blocking_iterator`.
    """
    body = _body(method)

    @wraps(method)
    async def items(hook: H, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        if not is_blocking():
            await hook.aload()
        async with aclosing(body(hook, *args, **kwargs)) as found:
            async for item in found:
                yield item

    return _named(items)


def threaded_twin(
    method: Callable[Concatenate[H, P], T],
) -> Callable[Concatenate[H, P], Coroutine[Any, Any, T]]:
    """Return the twin of a method that reads or writes files: the method itself, in a thread.

    :param method: a method that blocks. A cancelled twin does not end its thread.
    """

    @wraps(method)
    async def awaited(hook: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not is_blocking():
            await hook.aload()
        return await aside(method, hook, *args, **kwargs)

    return _named(awaited)


def complete_twins(hook: type) -> None:
    """Add to a hook's class the twins of the methods that it or a mixin overrides without a twin.

    :param hook: the class. Its methods that are not decorated run in a thread.
    """
    for name in dir(hook):
        twins = [(depth, vars(cls)[f"a{name}"]) for depth, cls in _owners(hook, f"a{name}")]
        known = next((one for _, one in twins if hasattr(one, _IS_TWIN)), None)
        if known is None:
            continue
        depth, cls = next(_owners(hook, name))
        method = vars(cls)[name]
        if depth >= twins[0][0] or not (callable(method) or hasattr(method, "__get__")):
            continue
        is_iterator = inspect.isasyncgenfunction(known)
        if method not in _bodies:
            method = _in_thread(method, name) if is_iterator else _bound(method, name)
            made = twin_iterator(method) if is_iterator else threaded_twin(method)
        else:
            made = twin_iterator(method) if is_iterator else twin(method)
        made.__qualname__ = f"{hook.__qualname__}.{made.__name__}"
        setattr(hook, f"a{name}", made)


def _owners(hook: type, name: str) -> Iterator[tuple[int, type]]:
    """Yield the classes that define a name, the first one first, with their places in the order of search."""
    return ((depth, cls) for depth, cls in enumerate(hook.__mro__) if name in vars(cls))


def _bound(method: Any, name: str) -> Callable[..., Any]:
    """Return a function that calls a class's attribute as an instance does: it may be a class method."""

    def call(hook: Any, /, *args: Any, **kwargs: Any) -> Any:
        bound = method.__get__(hook, type(hook)) if hasattr(method, "__get__") else method
        return bound(*args, **kwargs)

    call.__doc__, call.__name__, call.__qualname__ = getattr(method, "__doc__", None), name, name
    if not isinstance(method, (classmethod, staticmethod)) and callable(method):
        call.__wrapped__ = method  # type: ignore[attr-defined]
    return call


def _in_thread(method: Any, name: str) -> Callable[..., Iterator[Any]]:
    """Return an iterator over the items of a method, which are all read first, in a thread."""
    called = _bound(method, name)

    @wraps(called)
    async def items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        for item in await aside(lambda: list(called(*args, **kwargs))):
            yield item

    return blocking_iterator(items)


_IS_TWIN = "is_twin"
"""Name of the attribute of twins that this module made."""


def _body(method: Any) -> Callable[..., Any]:
    return _bodies[method]


F = TypeVar("F", bound=Callable[..., Any])


def _named(function: F) -> F:
    name, documented = function.__name__, function.__doc__
    function.__name__ = f"a{name}"
    function.__qualname__ = function.__qualname__.removesuffix(name) + function.__name__
    setattr(function, _IS_TWIN, True)
    function.__doc__ = f"{documented}\n\n        The twin of :meth:`{name}` for event loops."
    return function


# -- what a method may await ----------------------------------------------------------------------


async def no_items() -> AsyncGenerator[Any, None]:
    """Yield nothing."""
    nothing: tuple[Any, ...] = ()
    for item in nothing:
        yield item


async def wait(seconds: float) -> None:
    """Wait.

    :param seconds: length of the wait.
    """
    if is_blocking():
        time.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that blocks; for an event loop in a thread.

    :param function: the function, called with the other arguments.
    """
    if is_blocking():
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


async def mask_texts(texts: list[str]) -> None:
    """Mask texts in the logs of this process and of its supervisor.

    :param texts: the secrets, in all their encodings.
    """
    from airflow_provider.core.redaction import amask, mask

    if is_blocking():
        mask(texts)
    else:
        await amask(texts)
