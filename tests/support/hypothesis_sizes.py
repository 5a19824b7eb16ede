"""Number of examples in property tests: half of them in ``make test``, many in ``make test-long``."""

from __future__ import annotations

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "")
LONG = PROFILE == "long"
_FACTOR = {"short": 0.5, "long": 10}.get(PROFILE, 1)


def examples(usual: int) -> int:
    """Return the number of examples: half as many in the short form, ten times as many in the long form.

    :param usual: the number in neither form.
    """
    return int(_FACTOR * usual)
