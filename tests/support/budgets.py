"""Request budgets of the tests: their folder, and its removal."""

from __future__ import annotations

import os
import shutil

from airflow_provider.core.http import rate_limit
from airflow_provider.core.limits import address
from airflow_provider.core.limits.machine import FOLDER_VARIABLE


def forget_process() -> None:
    """Drop what this process knows of budgets, so that it continues as a new process."""
    rate_limit._budgets.clear()
    address._stores.clear()


def forget_budgets() -> None:
    """Remove all budgets of the tests' folder, so that the next requests find them full."""
    forget_process()
    shutil.rmtree(os.environ[FOLDER_VARIABLE], ignore_errors=True)
