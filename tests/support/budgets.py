"""Request budgets and shared tokens of the tests: their folder, and its removal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from airflow_provider.core.http import auth, rate_limit
from airflow_provider.core.limits import address
from airflow_provider.core.limits.machine import FOLDER_VARIABLE
from airflow_provider.core.tokens import access, sharing


def forget_process() -> None:
    """Drop what this process knows of budgets and tokens, so that it continues as a new process."""
    auth._slots.clear()
    sharing._tokens.clear()
    access._accesses.clear()
    rate_limit._budgets.clear()
    address._stores.clear()


def forget_budgets() -> None:
    """Remove all budgets and tokens of the tests' folder, so that the next requests find none."""
    forget_process()
    shutil.rmtree(os.environ[FOLDER_VARIABLE], ignore_errors=True)


def forget_tokens() -> None:
    """Remove all tokens, the stored ones too, so that the next request needs a new one."""
    auth._slots.clear()
    for path in Path(os.environ[FOLDER_VARIABLE]).glob("*.token"):
        path.unlink()
