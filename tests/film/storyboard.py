"""Storyboard of the film: the recorded lines and pictures, in their order, with captions and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.film.frames import Scene, picture, table, terminal, title
from tests.film.recorder import Shot

COMMAND = "$ make demo"
HEADINGS = {
    "Sandbox at": "One command. Four emulated services start: no account is needed",
    "Starting Airflow": "A real Airflow starts on this machine, with all its parts",
    "Running mapsindoors": "Five jobs run at once: exports, updates, a sync, a run of LeanIX",
    "Running nightly": "Then one DAG for all four systems",
    "Changing dataset": "Then events: a dataset changes, a sensor passes a limit, a device reports",
    "Stopping": "The demo stops everything that it has started",
}
"""Caption from a line on, by the line's beginning."""

START = title(
    "Your digital twin, in step", "MapsIndoors · AmigoCloud · Altair IoT Studio · LeanIX<br>with Airflow"
)
END = title(
    "Try it",
    "<b>make demo</b> &nbsp; all of this, in some minutes<br><b>make up</b> &nbsp; and Airflow stays",
)
LINE, PICTURE, TABLE, TITLE = 1.0, 4.5, 14.0, 4.0
"""Weights of a new line, of a picture, of the final table, and of a title."""


def storyboard(lines: Sequence[str], shots: Sequence[Shot]) -> list[Scene]:
    """Return the scenes of a film.

    :param lines: the lines that the demo has printed; the last ones, after an empty one, are its table.
    :param shots: the pictures that were taken meanwhile.
    """
    start = len(lines) - 1 - list(reversed(lines)).index("")
    return [
        Scene(START, "The demo in 90 seconds", TITLE),
        *_told(lines[:start], shots),
        Scene(table([COMMAND, *_narrow(lines[start:])]), "What each job has changed", TABLE, is_key=True),
        Scene(END, "Next: the tutorial, ten minutes without any account", TITLE),
    ]


def _narrow(rows: Sequence[str]) -> list[str]:
    """Return a table without its last columns, which are too wide for the screen."""
    width = rows[1].index("output")
    return [line[:width].rstrip() for line in rows]


def _told(lines: Sequence[str], shots: Sequence[Shot]) -> Iterator[Scene]:
    """Yield a scene for each line, and the pictures between them."""
    caption = ""
    healthy = max(number for number, line in enumerate(lines) if line.endswith("is healthy"))
    yield Scene(terminal([COMMAND]), next(iter(HEADINGS.values())), 2 * LINE)
    for number, line in enumerate(lines):
        caption = next((text for start, text in HEADINGS.items() if line.startswith(start)), caption)
        if " waiting for " in line:
            continue
        seen = [text for text in lines[: number + 1] if " waiting for " not in text]
        yield Scene(terminal([COMMAND, *seen]), caption, LINE, is_key=number in (healthy, len(lines) - 1))
        for shot in shots:
            if shot.lines == number + 1:
                yield Scene(
                    picture(shot.png), shot.caption, PICTURE, is_key=shot is _last(shots, shot.caption)
                )


def _last(shots: Sequence[Shot], caption: str) -> Shot:
    return [shot for shot in shots if shot.caption == caption][-1]
