"""Number of examples in property tests: few in the short form, many in ``make test-long``."""

from __future__ import annotations

import os

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def examples(short: int) -> int:
    """Return the number of examples: as given in the short form, ten times as many in the long form."""
    return 10 * short if LONG else short
