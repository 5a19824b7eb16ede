"""Driver of one target: atheris instruments the modules under test, and each new fault is kept as a file.

It needs the package ``atheris``, which ``make fuzz`` installs into an environment of its own.
"""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

if TYPE_CHECKING:
    from tests.fuzz.target import Target

MEMORY_MB = 2048
"""Maximum resident memory of the process; more is a fault."""

SECONDS_EACH = 10
"""Maximum seconds of an input; more is a fault."""


def main() -> None:
    """Fuzz ``target seconds corpus faults module...``; only the named modules are instrumented."""
    name, seconds, corpus, faults, *modules = sys.argv[1:]
    os.environ["DIGITAL_TWIN_STORE"] = tempfile.mkdtemp(prefix="fuzz-")
    target = _load(name, modules)
    _fuzz(target, seconds, Path(corpus), Path(faults))


def _load(name: str, modules: list[str]) -> Target:
    with atheris.instrument_imports(include=modules):
        from tests.fuzz.targets import TARGETS
    return TARGETS[name]


def _fuzz(target: Target, seconds: str, corpus: Path, faults: Path) -> None:
    for number, data in enumerate([*target.examples(), *target.seeds().values()]):
        (corpus / f"example-{number}").write_bytes(data)
    seen = {path.name for path in faults.iterdir()}

    def test(data: bytes) -> None:
        from tests.fuzz.target import FaultError

        try:
            target.check(data)
        except FaultError as fault:
            kept = re.sub(r"[^\w.-]", "_", fault.signature)[:120]
            if kept not in seen:
                seen.add(kept)
                (faults / kept).write_bytes(data)
                sys.__stdout__.write(f"FAULT {fault}\n") if sys.__stdout__ else None

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        if target.mutate is None or random.Random(seed).random() < 0.3:
            return bytes(atheris.Mutate(data, most))
        return target.mutate(data, seed)[:most]

    options = [
        *(f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SECONDS_EACH}"),
        *(f"-max_len={target.max_bytes}", f"-artifact_prefix={faults}/", "-print_final_stats=1"),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], test, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
