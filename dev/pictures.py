"""Pictures of the documentation: where they are, how they are stored, and which ones pages name."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dev.site import ROOT

if TYPE_CHECKING:
    from PIL import Image

FOLDER = ROOT / "docs" / "assets" / "pictures"
WRITE = bool(os.environ.get("WRITE_PICTURES"))
"""Whether tests that take pictures write them into the documentation."""

FILM, STILL = "demo.webp", "demo-still.webp"
"""Pictures that ``tests/film`` makes; all others are taken by ``tests/system/test_ui.py``."""

MOST_FILM_BYTES = 1_500_000
"""Maximum size of the film in bytes."""

MOST_BYTES = 150_000
"""Maximum size of a picture in bytes."""

FEW_COLOURS = 64
"""Pictures with no more colours show nothing."""

_NAMED = re.compile(r"assets/pictures/([\w.-]+)")


def named_by_pages() -> set[str]:
    """Return the names of the pictures that the documentation and the project's own pages show."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return {name for page in pages for name in _NAMED.findall(page.read_text())}


def shrink(png: bytes) -> bytes:
    """Return a picture as WebP.

    :param png: the picture as PNG.
    """
    small = io.BytesIO()
    _open(png).save(small, "WEBP", quality=85, method=6)
    return small.getvalue()


def is_blank(picture: bytes) -> bool:
    """Return whether a picture shows nothing.

    :param picture: the picture, in any format.
    """
    return _open(picture).getcolors(FEW_COLOURS) is not None


def write(name: str, picture: bytes) -> Path:
    """Write a picture into the documentation; return its path.

    :param name: its file's name.
    :param picture: its content.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_bytes(picture)
    return FOLDER / name


def _open(picture: bytes) -> Image.Image:
    from PIL import Image

    return Image.open(io.BytesIO(picture)).convert("RGB")
