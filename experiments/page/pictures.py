"""Matplotlib figures as pictures inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 192
SHOWN_PER_INCH = 108  # CSS pixels: a column of print is a third of the page, letters are as large as the text around
_QUALITY = 82


@dataclass(frozen=True)
class Picture:
    """One figure: its findings, a sentence each, its size in CSS pixels, and its image as a `data:` address."""

    title: str
    findings: tuple[str, ...]
    width: int
    height: int
    source: str


def picture(figure: Figure, title: str, findings: tuple[str, ...] = ()) -> Picture:
    """Draw a figure into a picture; the same figure gives the same bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    buffer.seek(0)
    with Image.open(buffer) as image:
        width, height = image.size
        small = io.BytesIO()
        image.convert("RGB").save(small, format="WEBP", quality=_QUALITY, method=6)
    data = base64.b64encode(small.getvalue()).decode("ascii")
    scale = SHOWN_PER_INCH / DOTS_PER_INCH
    return Picture(title, findings, round(width * scale), round(height * scale), f"data:image/webp;base64,{data}")
