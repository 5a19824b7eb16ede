"""Page of the fault matrix: the behaviour of each hook method, operator and sensor under each fault.

``python -m tests.fault_matrix --write`` writes ``docs/faults.md``.
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
# Behaviour under faults

A request that may be repeated is sent up to six times, within three minutes (to AmigoCloud twenty times,
within ten minutes), unless the connection sets other limits. If that does not help, one of these errors is
raised. They are in `airflow_provider.errors`, and all of them are a `ProviderError`:

| Error | Meaning | What helps |
| --- | --- | --- |
| `InputError` | arguments, rows, a file or the connection cannot be used | correct everything that it names |
| `AuthenticationError` | the service does not accept the credentials | the connection's login and password |
| `PermissionDeniedError` | the credentials are valid, but do not allow this | a permission, role or scope |
| `NotFoundError` | the named object does not exist, or is not visible | the id, the project, the space |
| `RequestRejectedError` | the service understood the request and refuses it (another 4xx) | its message |
| `RateLimitedError` | the service, or the budget of all tasks, needs a wait over a minute | a later retry |
| `ServerError`, `TransportError` | the service failed, or did not respond | a later retry |
| `DatabaseError` | the database of a query could not be reached, or failed | a later retry |
| `AmbiguousWriteError` | a write had no response, and a second one could act twice | check the service |
| `RunFailedError` | a run, a job or an action ended badly | its reason is in the error |
| `RunTimeoutError` | it had not ended when the task stopped waiting; it may still end | check the service |
| `IncompleteExportError` | the rows that came are not all rows; no file was written | a later retry |
| `PlanRejectedError` | a limit is exceeded, or the map has changed since; nothing was written | a new plan |
| `PartialWriteError` | some rows could not be written; all others are | a retry writes the remaining rows |
| `VerificationError` | a value that was accepted reads differently afterwards | the values that it names |

`ApiError` is the base of the errors that are a reply of the service. With `ServiceRetryPolicy` a delay that
the service named is the task's next retry delay, and no retry is spent on bad input, refused plans and
missing permissions.

## How this page is made

Each cell is produced by running the method or task against the sandbox, breaking one reply on purpose, and
then comparing the state of the service and the files. `python -m tests.fault_matrix --write` writes this
page. A test fails when it no longer holds, and when a cell says *duplicated*, *lost*, *hung* or *wrong*.

*reset before* breaks the connection before the service acts, *reset after* once it has. *slow* is a reply in
pieces within the timeout, *wrong type* a good body labelled as HTML, *401 once* a token that is refused. *401
always* and *no tokens* last until the attempt has failed. *404 once* says that something is not there which
is; only IoT Studio has been seen to do so. *redirect* leads to another host, which must not receive anything;
photos are such links, which are followed without credentials.
*hour off* moves the service's clock an hour ahead.

- **fine**: the result, with as few requests as without a fault. **retried, fine**: the result, after more
  requests.
- **-**: the fault cannot occur, as there is no such request (AmigoCloud has no token endpoint), or the
  service is not known to do so.

## Operators and sensors

The fault occurs in the middle: at the first request that writes, else at the one halfway. A task that fails
is retried once, as Airflow does it: on another worker that knows only the stored state of the task (the
task state store of Airflow 3.3). The service works again by then. A *deferred* task waits in the triggerer.
The condition of a sensor is true at its fourth request, failed ones included, so a failed poll costs no
additional request.

- **`Error`; next attempt fine**: the first attempt fails with that error. The next one resumes, and leaves
  the same state as a run without a fault: nothing twice, nothing missing.
- **`Error`, done** or **not done**: the task fails permanently, because Airflow must not retry a write that
  could act twice. The words say whether the service holds the write, which the task cannot know.
"""

METHODS = """
## Methods of the hooks

The fault occurs at the first request; the method is not called a second time.

- **ambiguous**: `AmbiguousWriteError`, because there was no response and the write must not be sent twice;
  *done* and *not done* say whether the service holds it, which the caller cannot know.
- The name of an error: it is raised, and the service then holds nothing of the write. With *although done*
  the write had taken effect before its response was lost, and the next request was refused for that reason.
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
    """Run the matrix and write or print the page."""
    with Sandbox() as running, connected(running):
        tasks = {vendor: operators.cells(running, vendor) for vendor in HOOKS}
        calls = {vendor: methods.cells(running, vendor) for vendor in HOOKS}
    page = INTRODUCTION + tables("task", tasks) + METHODS + tables("method", calls)
    if "--write" in sys.argv:
        PAGE.write_text(page)
    print(page)
