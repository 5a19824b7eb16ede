"""Imports on the event loop of a script: print the modules that the first call of a hook imports there.

Run it in a fresh interpreter, with the connections of a sandbox in the environment.
"""

from __future__ import annotations

import asyncio
import json
import sys

from airflow_provider.leanix.hooks import LeanIXHook
from tests.support.import_recorder import ImportRecorder


async def main() -> list[str]:
    """Call a hook once; return the names of the modules."""
    recorder = ImportRecorder()
    async with LeanIXHook() as hook:
        sys.meta_path.insert(0, recorder)  # type: ignore[arg-type]
        await hook.alist_runs()
    return recorder.names


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
