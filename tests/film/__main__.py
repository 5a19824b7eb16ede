"""Record the film of the demo, and write it into the documentation: ``make pictures`` runs it."""

from __future__ import annotations

import sys

from dev import pictures
from dev.browser import open_browser
from dev.demo import demo
from tests.film.frames import draw, durations, film, still
from tests.film.recorder import Recorder
from tests.film.storyboard import storyboard


def main() -> int:
    """Record a run of the demo; write the film and its still picture; return the exit status."""
    with open_browser(own_fonts=True) as browser:
        recorder = Recorder(browser)
        if status := demo(recorder.say, recorder.watch):
            return status
        scenes = storyboard(recorder.lines, recorder.shots)
        frames = draw(browser, scenes)
    keys = [frame for frame, scene in zip(frames, scenes, strict=True) if scene.is_key]
    for name, picture in (
        (pictures.FILM, film(frames, durations(scenes))),
        (pictures.STILL, still(keys)),
    ):
        print(f"{pictures.write(name, picture)}: {len(picture) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
