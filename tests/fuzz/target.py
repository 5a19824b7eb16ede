"""Fuzz target: a function of bytes that may raise errors of the provider, and nothing else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from airflow_provider.core.hook import ApiHook
from airflow_provider.core.redaction import encodings
from airflow_provider.errors import ProviderError

SEEDS = Path(__file__).parent / "seeds"

SECRET = 'R:s3cr3t+&%/"<fuzz'
"""Credential that every encoding changes."""

TOKEN = "tok/fuzz+&%=0x"
"""Token that the services issue; it is in no other text."""

SECRETS = {"secret": SECRET, "token": TOKEN, "api key": "c4mpus7f3e9b4d1a8f60b52e"}
"""Texts that no error and no log line may have, by their names in faults."""

_PACKAGE = "airflow_provider"

_UNEXPECTED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors that are faults where a watcher logs them and continues."""


class FaultError(AssertionError):
    """An input did what none may do.

    :param signature: short name of the fault, the same for equal faults.
    """

    def __init__(self, signature: str, text: str) -> None:
        super().__init__(f"{signature}\n{text}")
        self.signature = signature


@dataclass(frozen=True)
class Target:
    """One kind of input.

    :param name: its name on the command line, and of its folder of seeds.
    :param run: reads an input.
    :param instrumented: modules whose branches guide the search.
    :param allowed: errors that an input may raise.
    :param mutate: changes an input with its structure in mind; None for changes of bytes only.
    :param max_bytes: maximum bytes of an input.
    :param examples: returns further inputs to start from, which no file holds.
    :param holds_secrets: whether errors and logs are searched for secrets.
    """

    name: str
    run: Callable[[bytes], object]
    instrumented: tuple[str, ...]
    allowed: tuple[type[Exception], ...] = (ProviderError,)
    mutate: Callable[[bytes, int], bytes] | None = None
    max_bytes: int = 4096
    examples: Callable[[], list[bytes]] = list
    holds_secrets: bool = False

    def seeds(self) -> dict[str, bytes]:
        """Return the kept inputs by name."""
        return {path.name: path.read_bytes() for path in sorted((SEEDS / self.name).glob("*"))}

    def check(self, data: bytes) -> str:
        """Run the target; return the name of the error that the input raised, empty for none.

        :raises FaultError: for an error of another kind, and for a secret in an error or a log line.
        """
        raised = ""
        with _logs(self.holds_secrets) as logs:
            try:
                self.run(data)
            except FaultError:
                raise
            except self.allowed as error:
                raised = type(error).__name__
                if self.holds_secrets:
                    _refuse_secrets(texts_of(error), type(error).__name__)
            except BaseException as error:
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                where = _innermost(error)
                text = "".join(traceback.format_exception(error))
                raise FaultError(f"{type(error).__name__}-{where}", text[-4000:]) from error
        _refuse_secrets(logs.text, "log")
        for error in logs.errors:
            text = "".join(traceback.format_exception(error))
            raise FaultError(f"{type(error).__name__}-logged-{_innermost(error)}", text[-4000:])
        return raised


class _Logs(logging.Handler):
    """Log lines of the package, and the errors in them that are none of the provider's."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, and its errors."""
        self.text += f"{self.format(record)}\n"
        given = record.args if isinstance(record.args, tuple) else ()
        self.errors += [
            one for one in given if isinstance(one, _UNEXPECTED) and not isinstance(one, ProviderError)
        ]


@contextmanager
def _logs(watched: bool) -> Iterator[_Logs]:
    """Yield all that the package logs, before Airflow masks it; nothing of it is printed."""
    logs = _Logs()
    if not watched:
        yield logs
        return
    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    logger = logging.getLogger(_PACKAGE)
    before = logger.level, logger.propagate
    logger.addHandler(logs)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        with ExitStack() as stack:
            for kind in (ApiHook, BaseOperator, BaseTrigger):
                stack.enter_context(patch.object(kind, "log", logger))
            yield logs
    finally:
        logger.removeHandler(logs)
        level, logger.propagate = before
        logger.setLevel(level)


def texts_of(error: BaseException) -> str:
    """Return all texts of an error, of its causes and of its context."""
    out, waiting, done = "", [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) not in done:
            done.add(id(one))
            out += f"{one} {one!r} {one.args} {getattr(one, '__notes__', '')}\n"
            if isinstance(one, ProviderError):
                out += f"{vars(one)}\n"
            waiting += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
    return out


def _refuse_secrets(text: str, where: str) -> None:
    for name, secret in SECRETS.items():
        for encoding in encodings(secret):
            if (at := text.find(encoding)) >= 0:
                raise FaultError(f"{name}-in-{where}", text[max(0, at - 300) : at + 60])


def _innermost(error: BaseException) -> str:
    """Return the last line of the provider that an error passed."""
    frames = _own_frames(error)
    if not frames:
        return "outside"
    frame = frames[-1]
    path = frame.filename.rpartition(f"/{_PACKAGE}/")[2].removesuffix(".py").replace("/", ".")
    return f"{path}.{frame.name}"


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    return [one for one in traceback.extract_tb(error.__traceback__) if f"/{_PACKAGE}/" in one.filename]


def is_own(error: BaseException) -> bool:
    """Return whether an error passed a line of the provider, or tells of a fault."""
    return isinstance(error, FaultError) or bool(_own_frames(error))
