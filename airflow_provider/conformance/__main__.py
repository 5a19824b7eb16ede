"""``python -m airflow_provider.conformance``: check a live service against what the provider assumes."""

from __future__ import annotations

import sys

from airflow_provider.conformance.command import main

if __name__ == "__main__":
    sys.exit(main())
