"""How many examples property tests try: few in the short form, many in ``make test-long``."""

from __future__ import annotations

import os

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def examples(short: int) -> int:
    """Give a number of examples: as it is in the short form, ten times as many in the long one."""
    return 10 * short if LONG else short
