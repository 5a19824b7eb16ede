"""Import hook for tests of what is imported on an event loop."""

from __future__ import annotations

import threading
from typing import Any


class ImportRecorder:
    """Import hook that records the modules which the main thread imports, and finds none of them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: Any) -> None:
        """Record a module; the hooks behind this one find it."""
        if threading.current_thread() is threading.main_thread():
            self.names.append(name)
