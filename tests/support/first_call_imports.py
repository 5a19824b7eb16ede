"""Imports on the event loop of a script: print the modules that the first call of a hook imports there.

Run it in a fresh interpreter, with the connections of a sandbox in the environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

from airflow_provider.leanix.hooks import LeanIXHook


class ImportRecorder:
    """Import hook that records the modules which the main thread imports, and finds none of them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: Any) -> None:
        """Record a module; the hooks behind this one find it."""
        if threading.current_thread() is threading.main_thread():
            self.names.append(name)


async def main() -> list[str]:
    """Call a hook once; return the names of the modules."""
    recorder = ImportRecorder()
    async with LeanIXHook() as hook:
        sys.meta_path.insert(0, recorder)  # type: ignore[arg-type]
        await hook.alist_runs()
    return recorder.names


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
