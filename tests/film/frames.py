"""Frames of the film: a terminal or a page of Airflow's UI, above a caption; drawn by the browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from playwright.sync_api import Browser

SIZE = (1120, 620)
"""Width and height of what a frame shows, in pixels."""

CAPTION = 64
"""Height of the caption in pixels."""

SECONDS = 90
"""Duration of the film."""

ROWS, COLUMNS = 19, 80
"""Lines of text that the terminal shows, and characters of a line."""

PAGE = """<!doctype html><meta charset="utf-8"><style>
* {{ box-sizing: border-box; margin: 0 }}
body {{ width: {width}px; background: #0f172a; font-family: system-ui }}
.screen {{ height: {height}px; overflow: hidden; background: #111827 }}
.screen img {{ display: block; width: 100% }}
pre {{ padding: 22px 28px; font: 21px/30px monospace; color: #d1d5db; white-space: pre }}
pre.small {{ font: 14.5px/24px monospace }}
b {{ color: #fff }} i {{ font-style: normal; color: #4ade80 }} u {{ text-decoration: none; color: #60a5fa }}
.title {{ display: grid; place-content: center; height: 100%; text-align: center; color: #fff }}
.title h1 {{ font-size: 46px }}
.title p {{ margin-top: 18px; font-size: 23px; color: #cbd5e1; line-height: 1.5 }}
.caption {{ height: {caption}px; display: flex; align-items: center; padding: 0 24px;
  font-size: 21px; font-weight: 600; color: #fff; border-top: 3px solid #334155; position: relative }}
.caption::before {{ content: ""; position: absolute; top: -3px; left: 0; height: 3px; width: {done:.2f}%;
  background: #38bdf8 }}
</style><div class="screen">{screen}</div><div class="caption">{text}</div>"""


@dataclass(frozen=True)
class Scene:
    """A frame that stands for a time.

    :param screen: HTML of what it shows.
    :param caption: text below it.
    :param weight: its share of the film's duration.
    :param is_key: whether the still picture has it.
    """

    screen: str
    caption: str
    weight: float = 1.0
    is_key: bool = False


def title(heading: str, text: str) -> str:
    """Return the HTML of a title.

    :param heading: the heading.
    :param text: HTML below the heading.
    """
    return f'<div class="title"><div><h1>{escape(heading)}</h1><p>{text}</p></div></div>'


def picture(png: bytes) -> str:
    """Return the HTML of a picture.

    :param png: the picture.
    """
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def terminal(lines: Sequence[str]) -> str:
    """Return the HTML of a terminal that shows the last lines of a text.

    :param lines: the lines.
    """
    broken = [part for line in lines for part in wrap(line, COLUMNS, drop_whitespace=False) or [""]]
    return f"<pre>{'<br>'.join(map(_coloured, broken[-ROWS:]))}</pre>"


def table(lines: Sequence[str]) -> str:
    """Return the HTML of a terminal that shows a wide table in small letters.

    :param lines: the lines.
    """
    return f'<pre class="small">{"<br>".join(map(_coloured, lines))}</pre>'


def _coloured(line: str) -> str:
    if line.startswith("$ "):
        return f"<b>{escape(line)}</b>"
    text = escape(line)
    for word in ("success", "is healthy"):
        text = text.replace(word, f"<i>{word}</i>")
    for word in (": running", ": queued"):
        text = text.replace(word, f"<u>{word}</u>")
    return text


def durations(scenes: Sequence[Scene]) -> list[int]:
    """Return the milliseconds of each scene; together they are the film's duration.

    :param scenes: the scenes.
    """
    total = sum(scene.weight for scene in scenes)
    ends = [0.0]
    for scene in scenes:
        ends.append(ends[-1] + scene.weight)
    marks = [round(SECONDS * 1000 * end / total) for end in ends]
    return [after - before for before, after in pairwise(marks)]


def draw(browser: Browser, scenes: Sequence[Scene]) -> list[Image.Image]:
    """Return the frames of scenes, in their order.

    :param browser: the browser that draws them.
    :param scenes: the scenes.
    """
    from PIL import Image

    width, height = SIZE
    times, frames, passed = durations(scenes), [], 0
    page = browser.new_page(viewport={"width": width, "height": height + CAPTION})
    for scene, time in zip(scenes, times, strict=True):
        passed += time
        page.set_content(
            PAGE.format(
                width=width,
                height=height,
                caption=CAPTION,
                done=passed / SECONDS / 10,
                screen=scene.screen,
                text=escape(scene.caption),
            )
        )
        frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    page.close()
    return frames


def film(frames: Sequence[Image.Image], times: Sequence[int]) -> bytes:
    """Return frames as an animated WebP that repeats.

    :param frames: the frames.
    :param times: milliseconds of each.
    """
    moving = io.BytesIO()
    first, *others = frames
    settings = {"save_all": True, "append_images": others, "duration": list(times), "loop": 0}
    first.save(moving, "WEBP", quality=72, method=6, **settings)
    return moving.getvalue()


def still(frames: Sequence[Image.Image]) -> bytes:
    """Return frames beside each other, two in a row, as a WebP.

    :param frames: the frames.
    """
    from PIL import Image

    width, height, gap = SIZE[0] * 5 // 8, (SIZE[1] + CAPTION) * 5 // 8, 10
    rows = -(-len(frames) // 2)
    sheet = Image.new("RGB", (2 * width + gap, rows * (height + gap) - gap), "white")
    for number, frame in enumerate(frames):
        place = (number % 2 * (width + gap), number // 2 * (height + gap))
        sheet.paste(frame.resize((width, height), Image.Resampling.LANCZOS), place)
    small = io.BytesIO()
    sheet.save(small, "WEBP", quality=80, method=6)
    return small.getvalue()
