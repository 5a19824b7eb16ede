"""The film of the demo, and the documentation's pictures, as a reader sees them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from PIL import Image, ImageSequence

from dev import pictures
from tests.film.frames import SECONDS, Scene, draw, durations, film, picture, terminal
from tests.film.recorder import Shot
from tests.film.storyboard import storyboard
from tests.support.web_page import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LINES = [
    "Sandbox at http://127.0.0.1:8080",
    "Starting Airflow (half a minute or so)",
    "     5 s  waiting for scheduler",
    "     9 s  scheduler is healthy",
    "Running leanix_run",
    "     1 s  leanix_run: success",
    "Stopping Airflow",
    "",
    "job         state    output",
    "leanix_run  success  output/leanix/landscape.json",
]


def milliseconds(path: Path) -> list[int]:
    """Return the time of each frame of a film."""
    times = []
    with Image.open(path) as moving:
        for frame in ImageSequence.Iterator(moving):
            frame.load()
            times.append(frame.info["duration"])
    return times


def test_the_film_is_small_and_takes_ninety_seconds() -> None:
    times = milliseconds(pictures.FOLDER / pictures.FILM)
    assert (sum(times), len(times) > 20) == (SECONDS * 1000, True)
    assert (pictures.FOLDER / pictures.FILM).stat().st_size < pictures.MOST_FILM_BYTES
    assert (pictures.FOLDER / pictures.STILL).stat().st_size < 2 * pictures.MOST_BYTES


def test_a_storyboard_has_lines_and_pictures_in_their_order_without_those_of_waiting() -> None:
    scenes = storyboard(LINES, [Shot(5, "The DAGs", b"png")])
    at = [scene.caption for scene in scenes].index("The DAGs")
    assert scenes[at].screen == picture(b"png")
    assert "Running leanix_run" in scenes[at - 1].screen
    assert "leanix_run: <i>success</i>" in scenes[at + 1].screen
    assert not any("waiting for" in scene.screen for scene in scenes)
    assert "leanix_run  <i>success</i></pre>" in scenes[-2].screen
    assert sum(durations(scenes)) == SECONDS * 1000


def test_a_film_shows_each_frame_for_its_time(browser: Browser, tmp_path: Path) -> None:
    scenes = [Scene(terminal(["$ make demo"]), "One", 1), Scene(terminal(LINES), "Two", 2)]
    frames = draw(browser, scenes)
    assert frames[0].tobytes() != frames[1].tobytes()
    (tmp_path / "film.webp").write_bytes(film(frames, durations(scenes)))
    assert milliseconds(tmp_path / "film.webp") == durations(scenes) == [30_000, 60_000]


@pytest.mark.parametrize(("motion", "shown"), [("no-preference", pictures.FILM), ("reduce", pictures.STILL)])
def test_the_home_page_shows_the_film_or_still_pictures_to_who_wants_less_motion(
    browser: Browser, built_site: Path, motion: Literal["no-preference", "reduce"], shown: str
) -> None:
    with open_page(browser, motion=motion) as seen:
        seen.page.goto((built_site / "index.html").as_uri())
        image = seen.page.locator("details picture img")
        assert image.evaluate("image => image.decode().then(() => image.currentSrc)").endswith(f"/{shown}")
        seen.page.locator("details summary").first.click()
        image.wait_for(state="hidden")
        assert seen.problems == []


def test_every_picture_of_the_site_is_there(browser: Browser, built_site: Path) -> None:
    shown: set[str] = set()
    with open_page(browser) as seen:
        for path in built_site.glob("*.html"):
            if "assets/pictures/" in path.read_text():
                seen.page.goto(path.as_uri())
                images = seen.page.locator("img[src*='assets/pictures/']")
                for image in images.all():
                    image.scroll_into_view_if_needed()
                    shown.add(image.evaluate("image => image.decode().then(() => image.currentSrc)"))
        assert seen.problems == []
    names = {Path(url).name for url in shown}
    assert names == {path.name for path in pictures.FOLDER.iterdir()} - {pictures.STILL}
