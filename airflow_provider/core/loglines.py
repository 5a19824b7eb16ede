"""Keeps credentials out of the log lines that HTTP libraries write of their own accord.

Both print whole URLs (``httpx`` at INFO, ``urllib3`` at DEBUG), and some services take their token there.
"""

from __future__ import annotations

import logging

from airflow_provider.core.redaction import Redactor

_NAMES = ("httpx", "urllib3.connectionpool")


class _Cleaner(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._redactor = Redactor()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.clean(record.getMessage()), ()
        return True


_cleaner = _Cleaner()


def clean_http_logs() -> None:
    """Let the HTTP libraries' loggers hide token parameters; doing it again changes nothing."""
    for name in _NAMES:
        logging.getLogger(name).addFilter(_cleaner)
