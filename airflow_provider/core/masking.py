"""Keeps secrets out of logs, in every spelling that can reach one.

Airflow's masker is told of them. HTTP libraries write lines of their own accord, wherever logging was set up:
whole URLs (``httpx`` at INFO, ``urllib3`` at DEBUG), where some services take their token, and reply headers
(``httpcore`` at DEBUG), where a service may say it again. These lines are cleaned where they are written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from airflow_provider.core.redaction import Redactor, spellings, url_spellings


def spelled(secrets: Iterable[str]) -> list[str]:
    """Give the secrets of a connection as the masker should know them: in every spelling."""
    return sorted({text for secret in secrets if secret for text in spellings(secret)})


def spelled_token(token: str) -> list[str]:
    """Give a minted token as the masker should know it.

    The masker never forgets, and works the harder the more it knows, so it gets only the spellings that
    requests have.
    """
    return sorted(url_spellings(token)) if token else []


def mask(texts: list[str]) -> None:
    """Keep these texts out of this process's logs and its supervisor's."""
    from airflow.sdk import log

    if texts:
        log.mask_secret(list(texts))


async def amask(texts: list[str]) -> None:
    """Do the same from an event loop, without a blocking call to the supervisor."""
    from airflow.sdk import log

    if not texts:
        return
    if hasattr(log, "amask_secret"):
        await log.amask_secret(list(texts))
    else:
        # Airflow 3.1 has no async form; masking in this process alone makes no call.
        from airflow.sdk._shared.secrets_masker import mask_secret

        mask_secret(list(texts))


_NAMES = (
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
    *(
        f"urllib3.{part}"
        for part in ("connection", "connectionpool", "poolmanager", "response", "util.retry")
    ),
)

_redactor = Redactor(passing=64)


class _Cleaner(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _redactor.clean(record.getMessage()), ()
        # A traceback of these libraries repeats the URL or the headers.
        record.exc_info = record.exc_text = None
        return True


_cleaner = _Cleaner()


def clean_http_logs(secrets: Iterable[str] = ()) -> None:
    """Let the HTTP libraries' loggers hide tokens; doing it again changes nothing.

    :param secrets: credentials to hide from now on, besides whatever looks like one.
    """
    for secret in secrets:
        _redactor.add(secret)
    for name in _NAMES:
        logging.getLogger(name).addFilter(_cleaner)


def hide_passing(token: str) -> None:
    """Hide a token that will not live long."""
    _redactor.add_passing(token)


def hidden(text: str) -> str:
    """Give a text without any credential that this process knows of."""
    return _redactor.clean(text)
