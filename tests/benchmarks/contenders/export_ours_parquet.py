"""The same export to a Parquet file, with pyarrow loaded before."""

import pyarrow.json
import pyarrow.parquet  # noqa: F401

from tests.benchmarks.contenders.export_ours import run as run
