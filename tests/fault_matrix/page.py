"""Page of the fault matrix: the behaviour of each hook method, operator and sensor under each fault.

``python -m tests.fault_matrix --write`` regenerates ``docs/faults.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix import methods, operators
from tests.fault_matrix.faults import FAULTS, HOOKS, connected

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"

Cells = dict[str, list[str]]

INTRODUCTION = """\
# What happens on a bad day

A request that may be sent again is sent up to six times, within three minutes. What this does not help ends
in one of these errors. They are in `airflow_provider.errors`, and all of them are a `ProviderError`:

| Error | It means | What helps |
| --- | --- | --- |
| `InputError` | arguments, rows, a file or the connection cannot be used | mend what it names, all at once |
| `AuthenticationError` | the service does not accept the credentials | the connection's login and password |
| `PermissionDeniedError` | the credentials are good, but may not do this | a permission, role or scope |
| `NotFoundError` | what the request names is not there, or not for you | the id, the project, the space |
| `RequestRejectedError` | the service understood, and refuses (another 4xx) | read what it says |
| `RateLimitedError` | the service asks for a longer wait than a worker should sleep | a later try |
| `ServerError`, `TransportError` | the service failed, or did not answer | a later try |
| `AmbiguousWriteError` | the answer to a write was lost, and twice could be too often | look at the service |
| `RunFailedError` | a run, a job or an action ended badly | its reason is in the error |
| `IncompleteExportError` | what came is not what there was; nothing was published | a later try |
| `PlanRejectedError` | a limit is passed, or the map has changed since; nothing was written | a new plan |
| `PartialWriteError` | some rows could not be written; all others are | the next try writes what is left |
| `VerificationError` | what was accepted reads otherwise afterwards | the values that it names |

`ApiError` is the base of those that are an answer of the service. With `ServiceRetryPolicy` a delay that it
named is the task's next retry, and no try is wasted on bad input, refused plans and missing permissions.

## How this page is made

Each cell was produced by running the thing against the sandbox, breaking an answer on purpose, and looking
afterwards at what the service holds and at the files. `python -m tests.fault_matrix --write` makes this page
anew; a test fails when it no longer holds, and when a cell says *duplicated*, *lost*, *hung* or *wrong*.

*reset before* breaks the connection before the service acts, *reset after* once it has. *slow* is an answer
in pieces within the timeout, *wrong type* a good body labelled as HTML, *401 once* a token that is refused,
*401 always* and *no tokens* last until the try has failed, *redirect* leads to another host (which must not
hear anything), *hour off* lets the service's clock jump an hour ahead.

- **fine**: the result, with as few requests as ever. **retried, fine**: the result, after more.
- **-**: the fault cannot strike, as there is no such request (AmigoCloud has no token endpoint).

## Operators and sensors

The fault strikes in the middle: at the first request that writes, else at the one halfway. A task that fails
gets one more try, as Airflow gives it, on another worker that knows only what Airflow remembers (3.3's task
state store); the service is well again by then. What is *deferred* waits in the triggerer. What a sensor
waits for is so at its fourth request, those that failed counted; so a failed look costs none more.

- **`Error`; next attempt fine**: the first try fails with that error; the next one takes over, and leaves
  what a good day leaves: nothing twice, nothing missing.
- **`Error`, done** or **not done**: the task fails for good, as Airflow is told not to try again what could
  happen twice; this is what the service holds, which the task cannot know.
"""

METHODS = """
## Methods of the hooks

The fault strikes the first request; there is no further try.

- **ambiguous**: `AmbiguousWriteError`, because the answer was lost and the write must not be sent twice;
  *done* and *not done* say what the service holds, which the caller cannot know.
- A name is the error that is raised; the service then holds nothing of the write. With *although done* it had
  taken effect before its answer was lost, and the next try was refused for that.
"""


def table(what: str, cells: Cells) -> list[str]:
    """Return the lines of a vendor's table."""
    head = [f"| {what} | {' | '.join(FAULTS)} |", f"|{' --- |' * (len(FAULTS) + 1)}"]
    return head + [f"| {name} | {' | '.join(row)} |" for name, row in cells.items()]


def tables(what: str, cells: dict[str, Cells]) -> str:
    """Return the tables of all vendors."""
    return "".join(
        f"\n### {HOOKS[vendor].hook_name}\n\n" + "\n".join(table(what, cells[vendor])) + "\n"
        for vendor in cells
    )


def main() -> None:
    """Build the page, print it, and write it when ``--write`` is given."""
    with Sandbox() as running, connected(running):
        tasks = {vendor: operators.cells(running, vendor) for vendor in HOOKS}
        calls = {vendor: methods.cells(running, vendor) for vendor in HOOKS}
    page = INTRODUCTION + tables("task", tasks) + METHODS + tables("method", calls)
    if "--write" in sys.argv:
        PAGE.write_text(page)
    print(page)
